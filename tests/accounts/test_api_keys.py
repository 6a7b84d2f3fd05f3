"""API keys: shape, proof, end."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.errors import UnknownScope
from accounts.models import ApiKey, User
from accounts.services import api_keys
from accounts.services.api_keys import api_key_authenticate, api_key_create, api_key_revoke


def client_of(plain: str) -> Client:
    return Client(headers={"Authorization": f"Api-Key {plain}"})


def test_a_key_has_the_documented_shape_and_is_not_kept(user: Any) -> None:
    issued = api_key_create(user=user)
    assert re.fullmatch(rf"dgm_{issued.key.pk}_[0-9A-Za-z]{{38}}", issued.plain)
    row = ApiKey.objects.values().get()
    assert not [value for value in row.values() if issued.plain[-20:] in str(value)]


def test_a_good_key_is_its_users(user: Any) -> None:
    issued = api_key_create(user=user)
    key = api_key_authenticate(issued.plain)
    assert key is not None
    assert key.user == user
    assert ApiKey.objects.get().last_used_at is not None


def test_a_mistyped_key_does_not_reach_the_database(user: Any, django_assert_num_queries: Any) -> None:
    plain = api_key_create(user=user).plain
    wrong = plain[:-10] + ("a" if plain[-10] != "a" else "b") + plain[-9:]
    with django_assert_num_queries(0):
        for text in (wrong, "", "dgm_", plain + "x", plain.upper(), "dgm_é_" + "0" * 38, f" {plain}\n"):
            assert api_key_authenticate(text) is None


def test_a_key_made_up_with_a_good_checksum_is_refused(user: Any) -> None:
    issued = api_key_create(user=user)
    body = f"dgm_{issued.key.pk}_{'A' * 32}"
    assert api_key_authenticate(body + api_keys._crc(body)) is None


@pytest.mark.parametrize("how", ["revoked", "expired", "inactive"])
def test_an_ended_key_is_refused_with_401(how: str, user: Any) -> None:
    issued = api_key_create(user=user)
    assert client_of(issued.plain).get("/api/v1/me").status_code == 200
    if how == "revoked":
        api_key_revoke(user=user, key_id=issued.key.pk)
    elif how == "expired":
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    else:
        User.objects.update(is_active=False)
    answer = client_of(issued.plain).get("/api/v1/me")
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_api_key"


def test_last_use_is_written_at_most_once_a_minute(user: Any, django_assert_num_queries: Any) -> None:
    plain = api_key_create(user=user).plain
    api_key_authenticate(plain)
    with django_assert_num_queries(1):
        api_key_authenticate(plain)


def test_unknown_scopes_are_refused_naming_those_there_are(user: Any) -> None:
    with pytest.raises(UnknownScope, match="jobs:read"):
        api_key_create(user=user, scopes=["jobs:all"])


def test_keys_over_http(user: Any, make_user: Any) -> None:
    client = client_of(api_key_create(user=user).plain)
    made = client.post("/api/v1/api-keys", {"name": "ci", "scopes": ["jobs:read"]}, "application/json")
    assert made.status_code == 201
    assert api_key_authenticate(made.json()["key"]) is not None
    listed = client.get("/api/v1/api-keys").json()["results"]
    assert len(listed) == 2
    assert all("key" not in row and "digest" not in row for row in listed)
    stranger = client_of(api_key_create(user=make_user()).plain)
    url = f"/api/v1/api-keys/{made.json()['id']}"
    assert stranger.delete(url).status_code == 404
    assert client.delete(url).status_code == 204
    assert api_key_authenticate(made.json()["key"]) is None
    wrong = client.post("/api/v1/api-keys", {"scopes": ["all"]}, "application/json")
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "/scopes/0"


def test_me(user: Any) -> None:
    found = client_of(api_key_create(user=user, scopes=["jobs:read"]).plain).get("/api/v1/me").json()
    assert (found["email"], found["role"], found["scopes"]) == (user.email, "member", ["jobs:read"])


def test_a_session_works_and_needs_the_csrf_token_to_write(user: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.get("/api/v1/me").status_code == 200
    refused = client.post("/api/v1/api-keys", {}, "application/json")
    assert refused.status_code == 403
    assert refused["Content-Type"] == "application/problem+json"


class TestCommand:
    """``manage.py create_api_key``."""

    def run(self, *args: str) -> str:
        out = StringIO()
        call_command("create_api_key", *args, stdout=out)
        return out.getvalue()

    def test_makes_the_user_and_prints_the_key_alone(self, db: None) -> None:
        printed = self.run("New@Example.com", "--operator", "--scopes", "jobs:read,jobs:write")
        key = api_key_authenticate(printed.strip())
        assert key is not None
        assert printed.count("\n") == 1
        assert (key.user.email, key.user.is_operator) == ("new@example.com", True)
        assert not key.user.has_usable_password()
        assert key.scopes == ["jobs:read", "jobs:write"]

    def test_takes_the_user_there_is(self, user: Any) -> None:
        self.run(user.email)
        assert User.objects.count() == 1

    def test_refuses_what_is_no_address(self, db: None) -> None:
        with pytest.raises(CommandError):
            self.run("nobody")
        with pytest.raises(CommandError):
            self.run("a@example.com", "--scopes", "odd")
