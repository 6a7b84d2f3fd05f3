"""``manage.py set_password EMAIL``: for a user who is to sign in to the pages."""

from __future__ import annotations

import getpass
import os
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from accounts.models import User


class Command(BaseCommand):
    """Django's changepassword asks at a terminal only."""

    help = "Set a user's password: asked for, or taken from a variable of the environment."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--from-env", metavar="NAME", help="The variable that holds the password.")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"].lower()).first()
        if user is None:
            raise CommandError(f"There is no user {options['email']}.")
        name = options["from_env"]
        password = os.environ.get(name, "") if name else getpass.getpass()
        if not password:
            raise CommandError("The password is empty.")
        user.set_password(password)
        user.save(update_fields=["password"])
