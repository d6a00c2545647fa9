"""Token files of other tools, as `token-refresh import` takes them (contract 11)."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from token_refresh.core.grant import ClientCredentialsGrant, PayloadError, RefreshTokenGrant, parse_grant
from token_refresh.core.token_file import parse_token_file

GOOGLE_AUTH = {
    "token": "ya29.access",
    "refresh_token": "1//refresh",
    "token_uri": "https://oauth2.googleapis.com/token",
    "client_id": "id.apps.googleusercontent.com",
    "client_secret": "GOCSPX-x",
    "scopes": ["https://mail.google.com/", "openid"],
    "universe_domain": "googleapis.com",
    "account": "ada@example.com",
    "expiry": "2026-11-28T20:00:00Z",
}
GCLOUD = {
    "account": "",
    "client_id": "id.apps.googleusercontent.com",
    "client_secret": "d-x",
    "quota_project_id": "p",
    "refresh_token": "1//refresh",
    "type": "authorized_user",
    "universe_domain": "googleapis.com",
}
AUTHLIB = {
    "access_token": "ya29.access",
    "token_type": "Bearer",
    "refresh_token": "1//refresh",
    "expires_in": 3600,
    "expires_at": 1_800_000_000.5,
    "scope": ["openid", "email"],
}
NODE = {
    "access_token": "ya29.access",
    "refresh_token": "1//refresh",
    "scope": "openid email",
    "token_type": "Bearer",
    "expiry_date": 1_800_000_000_000,
}
GO = {"access_token": "a", "token_type": "Bearer", "refresh_token": "1//refresh", "expiry": "2026-11-28T20:00:00Z"}
KEY = {
    "type": "service_account",
    "client_email": "robot@p.iam.gserviceaccount.com",
    "private_key": "-----BEGIN PRIVATE KEY-----",
    "token_uri": "https://oauth2.googleapis.com/token",
}


def dump(data: object) -> bytes:
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("data", "kept", "scopes", "owner"),
    [
        pytest.param(
            GOOGLE_AUTH,
            {
                "refresh_token": "1//refresh",
                "client_id": "id.apps.googleusercontent.com",
                "client_secret": "GOCSPX-x",
                "scope": "https://mail.google.com/ openid",
            },
            ("https://mail.google.com/", "openid"),
            "ada@example.com",
            id="google-auth",
        ),
        pytest.param(
            GCLOUD,
            {
                "refresh_token": "1//refresh",
                "client_id": "id.apps.googleusercontent.com",
                "client_secret": "d-x",
                "type": "authorized_user",
            },
            (),
            None,
            id="gcloud",
        ),
        pytest.param(
            AUTHLIB, {"refresh_token": "1//refresh", "scope": "openid email"}, ("openid", "email"), None, id="Authlib"
        ),
        pytest.param(
            NODE, {"refresh_token": "1//refresh", "scope": "openid email"}, ("openid", "email"), None, id="Node"
        ),
        pytest.param(GO, {"refresh_token": "1//refresh"}, (), None, id="Go"),
        pytest.param(
            {"refresh_token": "r", "client_id": "public"}, {"refresh_token": "r"}, (), None, id="half a client"
        ),
    ],
)
def test_of_a_token_file_the_grant_is_kept_and_no_access_token(
    data: dict[str, Any], kept: dict[str, Any], scopes: tuple[str, ...], owner: str | None
) -> None:
    found = parse_token_file(dump(data))
    assert json.loads(found.payload) == kept
    assert (found.scopes, found.owner, found.has_own_client) == (scopes, owner, "client_secret" in kept)
    assert "refresh" not in repr(found).replace("a refresh token", "")
    grant = parse_grant(found.payload)
    assert isinstance(grant, RefreshTokenGrant)
    assert grant.expires_at is None, "the expiry in the file is the access token's"


@pytest.mark.parametrize(
    "content",
    [b"1//refresh", b"\xef\xbb\xbf 1//refresh\r\n", b"1%2F%2Frefresh", b'"1//refresh"'],
    ids=["bare", "with a byte-order mark and a line break", "percent-encoded", "a JSON string"],
)
def test_a_bare_refresh_token_stays_bare(content: bytes) -> None:
    assert parse_token_file(content).payload == b"1//refresh"


def test_a_service_account_stands_for_its_owner_only_if_it_says_so() -> None:
    assert json.loads(parse_token_file(dump(KEY)).payload) == KEY
    assert json.loads(parse_token_file(dump(KEY), "ada@example.com").payload)["subjects"] == ["ada@example.com"]
    own = {**KEY, "subjects": ["bob@example.com"]}
    assert json.loads(parse_token_file(dump(own), "ada@example.com").payload) == own


def test_a_client_alone_is_client_credentials() -> None:
    found = parse_token_file(dump({"client_id": "i", "client_secret": "s", "scope": "read", "more": 1}))
    assert isinstance(parse_grant(found.payload), ClientCredentialsGrant)
    assert found.scopes == ("read",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(pickle.dumps({"token": "x"}), "pickle", id="a pickle"),
        pytest.param(b"\xff\xfe", "not text", id="bytes"),
        pytest.param(b" \n", "empty", id="nothing"),
        pytest.param(b"{", "neither JSON", id="half of a JSON"),
        pytest.param(b"[1]", "not an object", id="a list"),
        pytest.param(dump({"web": {"client_id": "x"}}), "client registration", id="a client registration"),
        pytest.param(dump({"type": "external_account"}), "external_account", id="a file that holds no grant"),
        pytest.param(dump({"access_token": "ya29.x"}), "access_type=offline", id="no refresh token"),
        pytest.param(dump({"refresh_token": ""}), "empty", id="an empty refresh token"),
        pytest.param(dump({"refresh_token": 7}), "empty", id="a refresh token that is a number"),
        pytest.param(b"two words", "white space", id="two words"),
        pytest.param(b"ya29.a0secret", "an access token", id="an access token"),
        pytest.param(b"4/0secret", "an authorization code", id="a code"),
    ],
)
def test_what_is_no_grant_is_named_and_not_quoted(content: bytes, says: str) -> None:
    with pytest.raises(PayloadError, match=says) as caught:
        parse_token_file(content)
    assert "0secret" not in str(caught.value)
