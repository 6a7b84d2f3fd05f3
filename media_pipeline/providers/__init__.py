"""Speech recognition, translation and speech: one file a provider."""
