"""The tests' own surroundings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection


def test_a_test_never_touches_the_instance_of_the_machine(user: Any) -> None:
    assert "dragoman-test-" in str(settings.VAR)
    assert "dragoman-test-" in settings.REDIS_URL
    assert "test" in str(connection.settings_dict["NAME"])
