"""``manage.py create_api_key EMAIL [--scopes a,b] [--operator]``"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError
from django.core.validators import validate_email

from accounts.errors import UnknownScope
from accounts.models import Role, User
from accounts.services.api_keys import api_key_create


class Command(BaseCommand):
    """Makes the user if need be and prints the key, alone."""

    help = "Make an API key for a user, who is made if need be, and print it. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--scopes", default="", help="by commas; none: everything that the user may do")
        parser.add_argument("--name", default="")
        parser.add_argument("--operator", action="store_true", help="make the user an operator")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(f"{email!r} is no e-mail address.") from error
        user = User.objects.filter(email=email).first() or User.objects.create_user(email)
        if options["operator"] and not user.is_operator:
            user.role = Role.OPERATOR
            user.save(update_fields=["role"])
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        try:
            issued = api_key_create(user=user, name=options["name"], scopes=scopes)
        except UnknownScope as error:
            raise CommandError(error.detail) from error
        self.stdout.write(issued.plain)
