"""Downstream jobs read one secret and hand it to the library they have (contract 3)."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime

import google.auth.transport.requests
import pytest
from google.oauth2.credentials import Credentials
from requests_oauthlib import OAuth2Session  # type: ignore[import-untyped]

from tests.worlds.stack import OWNER, StackWorld


@pytest.fixture
def name(world: StackWorld, request: pytest.FixtureRequest) -> str:
    name = str(request.node.name).replace("_", "-")[-40:].strip("-")
    world.declare(name)
    world.run(name)
    return name


def test_the_document_has_every_field_in_its_form(world: StackWorld, name: str) -> None:
    now = time.time()
    document = world.document(name)
    assert set(document) >= {
        "access_token",
        "token_type",
        "expires_at",
        "expiry",
        "expiry_date",
        "scope",
        "connection",
        "refreshed_at",
        "connection_version",
    }
    assert document["token_type"] == "Bearer"
    assert document["connection"] == name
    assert document["connection_version"] == "1"
    assert set(document["scope"].split()) == {"openid", "email", "profile"}
    assert document["expires_at"] == pytest.approx(now + 3600, abs=60)
    assert document["refreshed_at"] == pytest.approx(now, abs=60)
    assert document["expiry_date"] == document["expires_at"] * 1000
    assert isinstance(document["expiry_date"], int)
    assert datetime.fromisoformat(document["expiry"]) == datetime.fromtimestamp(document["expires_at"], UTC)


def test_it_is_a_token_of_requests_oauthlib(world: StackWorld, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with closing(OAuth2Session(token=world.document(name))) as session:
        session.trust_env = False
        answer = session.get(world.stack.authorization_server.userinfo_url, timeout=30)
    assert answer.json()["email"] == OWNER


def test_it_fills_credentials_of_google_auth(world: StackWorld, name: str) -> None:
    document = world.document(name)
    # google-auth's expiry is naive and in UTC.
    expiry = datetime.fromtimestamp(document["expires_at"], UTC).replace(tzinfo=None)
    credentials = Credentials(document["access_token"], expiry=expiry, scopes=document["scope"].split())  # type: ignore[no-untyped-call]
    assert credentials.valid
    with closing(google.auth.transport.requests.AuthorizedSession(credentials)) as session:  # type: ignore[no-untyped-call]
        session.trust_env = False
        answer = session.get(world.stack.authorization_server.userinfo_url, timeout=30)
    assert answer.json()["email"] == OWNER


def test_format_text_is_the_bare_token_and_its_facts_stand_beside_the_grant(world: StackWorld) -> None:
    world.declare("plain-text", annotations={"token-refresh.format": "text"})
    world.run("plain-text")
    token = world.read("plain-text-access-token")
    assert world.userinfo(token).json()["email"] == OWNER
    secret = world.client.get_secret(request={"name": f"{world.project}/secrets/plain-text-refresh-token"})
    facts = json.loads(secret.annotations["token-refresh.access-token"])
    assert facts.keys() == {"expires_at", "refreshed_at", "connection_version"}
    assert secret.annotations["token-refresh.format"] == "text"
    assert world.run("plain-text")["plain-text"]["outcome"] == "fresh"


def test_the_version_before_stays_readable_until_the_next_refresh(world: StackWorld, name: str) -> None:
    before = world.document(name)["access_token"]
    world.run(name, force=True)
    # Whether that token still works is the provider's matter; this one ends it.
    assert json.loads(world.read(f"{name}-access-token", 1))["access_token"] == before
    world.run(name, force=True)
    assert world.versions(f"{name}-access-token") == ["DESTROYED", "ENABLED", "ENABLED"]
    world.assert_token_works(name)


def test_no_annotation_chooses_another_access_token_secret(world: StackWorld) -> None:
    world.create("team-token")
    world.declare("gmail-shared", annotations={"token-refresh.access-token-secret": "team-token"})
    assert world.run("gmail-shared")["gmail-shared"]["outcome"] == "misconfigured"
    assert world.versions("team-token") == []
