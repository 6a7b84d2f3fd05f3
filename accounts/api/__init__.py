"""Keys, sessions and the signed-in user over HTTP."""
