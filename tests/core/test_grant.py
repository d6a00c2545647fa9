"""Payloads, recognised by what they are; whatever cannot be used says why and quotes nothing."""

from __future__ import annotations

import json

import pytest

from token_refresh.core.grant import (
    MAX_TOKEN_LENGTH,
    Client,
    ClientCredentialsGrant,
    PayloadError,
    RefreshTokenGrant,
    ServiceAccountGrant,
    parse_client,
    parse_grant,
    render_rotated,
)
from token_refresh.core.secrecy import Secret

CANARY = "CANARY-1//0g-token"
KEY = "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n"


def as_json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("payload", "grant"),
    [
        pytest.param(CANARY.encode(), RefreshTokenGrant(Secret(CANARY), is_bare=True), id="bare-text"),
        pytest.param(
            f"\n {CANARY}\r\n".encode(), RefreshTokenGrant(Secret(CANARY), is_bare=True), id="white-space-around"
        ),
        pytest.param(f"\ufeff{CANARY}".encode(), RefreshTokenGrant(Secret(CANARY), is_bare=True), id="byte-order-mark"),
        pytest.param(as_json(refresh_token=CANARY), RefreshTokenGrant(Secret(CANARY)), id="json"),
        pytest.param(
            as_json(refresh_token=f" {CANARY} ", issued_at=1, consented_at=0, expires_at=2.5, scope="a b", sub="42"),
            RefreshTokenGrant(Secret(CANARY), issued_at=1.0, consented_at=0.0, expires_at=2.5, scope="a b", sub="42"),
            id="json-with-all-that-is-known",
        ),
        pytest.param(
            as_json(refresh_token=CANARY, issued_at="yesterday", expires_at=True, scope=7, sub=""),
            RefreshTokenGrant(Secret(CANARY)),
            id="odd-extras-are-ignored",
        ),
        pytest.param(
            as_json(refresh_token=CANARY, issued_at=float("nan"), consented_at=10**400, expires_at=float("inf")),
            RefreshTokenGrant(Secret(CANARY)),
            id="times-without-an-end-are-none",
        ),
        pytest.param(
            as_json(refresh_token=CANARY, client_id="id", client_secret="CANARY-s", type="authorized_user"),
            RefreshTokenGrant(Secret(CANARY), client=Client("id", Secret("CANARY-s"))),
            id="authorized-user",
        ),
        pytest.param(
            as_json(refresh_token=CANARY, client_id="id"), RefreshTokenGrant(Secret(CANARY)), id="client-id-alone"
        ),
        pytest.param(as_json(refresh_token=CANARY, type="oauth2"), RefreshTokenGrant(Secret(CANARY)), id="some-type"),
        pytest.param(
            as_json(refresh_token=CANARY, variables={"shop": "acme"}),
            RefreshTokenGrant(Secret(CANARY), variables={"shop": "acme"}),
            id="variables-learned-at-consent",
        ),
        pytest.param(
            as_json(
                type="service_account",
                client_email="x@y.iam",
                private_key=KEY,
                private_key_id="k1",
                token_uri="https://evil.example/token",
            ),
            ServiceAccountGrant("x@y.iam", Secret(KEY), "k1"),
            id="service-account-key",
        ),
        pytest.param(
            as_json(type="service_account", client_email="x@y.iam", private_key=KEY, private_key_id=5),
            ServiceAccountGrant("x@y.iam", Secret(KEY)),
            id="service-account-key-without-a-key-id",
        ),
        pytest.param(
            as_json(client_id=" id ", client_secret="CANARY-s"),
            ClientCredentialsGrant(Client("id", Secret("CANARY-s"))),
            id="client-credentials",
        ),
        pytest.param(
            as_json(client_id="id", client_secret=""),
            ClientCredentialsGrant(Client("id")),
            id="client-credentials-with-an-empty-secret",
        ),
    ],
)
def test_a_connection_secret_is_recognised_by_what_it_is(payload: bytes, grant: object) -> None:
    assert parse_grant(payload) == grant


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n", "is empty", id="only-white-space"),
        pytest.param("\ufeff".encode(), "is empty", id="only-a-byte-order-mark"),
        pytest.param(b"\x80\x81\xfe", "is binary", id="binary"),
        pytest.param(b"CANARY two words", "white space inside", id="two-words"),
        pytest.param(b"CANARY\x00x", "neither JSON nor", id="control-character"),
        pytest.param(b'{"refresh_token": "CANARY', "truncated", id="truncated-json"),
        pytest.param(b"[" * 200_000, "truncated", id="nested-too-deep"),
        pytest.param(b'["CANARY"]', "must be a JSON object", id="json-list"),
        pytest.param(b'"CANARY"', "must be a JSON object", id="json-string"),
        pytest.param(
            as_json(type="external_account", refresh_token=CANARY), '"type" that brings its own', id="foreign-type"
        ),
        pytest.param(as_json(type="service_account", client_email="x"), "lacks private_key", id="no-private-key"),
        pytest.param(
            as_json(type="service_account", client_email="", private_key=1),
            "lacks client_email and private_key",
            id="no-key-at-all",
        ),
        pytest.param(as_json(access_token=CANARY), 'without "refresh_token"', id="no-refresh-token"),
        pytest.param(as_json(refresh_token=""), '"refresh_token" is empty', id="empty-refresh-token"),
        pytest.param(as_json(refresh_token=7), '"refresh_token" is empty or not a string', id="number"),
        pytest.param(as_json(refresh_token="CANARY\nx"), "unprintable", id="line-feed-inside"),
        pytest.param(b"x" * (MAX_TOKEN_LENGTH + 1), "too long", id="too-long"),
        pytest.param(as_json(client_id="", client_secret="CANARY"), 'no "client_id"', id="empty-client-id"),
        pytest.param(as_json(client_id="i", client_secret=["CANARY"]), '"client_secret" is not', id="secret-is-a-list"),
        pytest.param(as_json(refresh_token=CANARY, variables=[1]), '"variables" must be', id="variables-are-a-list"),
        pytest.param(
            as_json(client_id="i", client_secret="s", variables={"a": 1}), '"variables" must be', id="number-variable"
        ),
    ],
)
def test_what_cannot_be_used_says_why_and_quotes_nothing(payload: bytes, words: str) -> None:
    with pytest.raises(PayloadError) as caught:
        parse_grant(payload)
    assert words in str(caught.value)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "client"),
    [
        pytest.param(as_json(client_id="i", client_secret="s"), Client("i", Secret("s")), id="plain"),
        pytest.param(as_json(web={"client_id": "i", "client_secret": "s"}), Client("i", Secret("s")), id="web"),
        pytest.param(
            as_json(installed={"client_id": "i", "client_secret": "s", "variables": {"a": "b"}}),
            Client("i", Secret("s"), variables={"a": "b"}),
            id="installed",
        ),
        pytest.param(
            as_json(web={"client_id": "i"}, variables={"a": "b"}), Client("i", variables={"a": "b"}), id="outer-wins"
        ),
        pytest.param(
            as_json(client_id="i", private_key=KEY, private_key_id="k", dpop_private_key=KEY),
            Client("i", private_key=Secret(KEY), private_key_id="k", dpop_private_key=Secret(KEY)),
            id="keys",
        ),
    ],
)
def test_a_client_registration_is_recognised(payload: bytes, client: Client) -> None:
    assert parse_client(payload) == client


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(b"", "client registration is empty", id="empty"),
        pytest.param(b"CANARY", "cannot be parsed", id="text"),
        pytest.param(as_json(client_secret="CANARY"), 'no "client_id"', id="no-client-id"),
        pytest.param(as_json(client_id="i", variables="x"), '"variables" must be', id="odd-variables"),
    ],
)
def test_a_client_registration_that_cannot_be_used_says_why(payload: bytes, words: str) -> None:
    with pytest.raises(PayloadError, match=words) as caught:
        parse_client(payload)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("wrapper", ["", "web", "installed"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_registration_says_beside_or_inside_to_whom_it_belongs(wrapper: str, *, inside: bool) -> None:
    says = {"provider": ["okta", "auth0"], "allowed_variables": {"org": ["acme"], "x": "*"}, "variables": {"a": "b"}}
    core: dict[str, object] = {"client_id": "id"}
    document = {**core, **says}
    if wrapper:
        document = {wrapper: document} if inside else {wrapper: core, **says}
    assert parse_client(as_json(**document)) == Client(
        "id",
        providers=("okta", "auth0"),
        allowed_variables={"org": ("acme",), "x": ("*",)},
        variables={"a": "b"},
    )


def test_what_stands_beside_outranks_what_stands_inside() -> None:
    document = {"web": {"client_id": "id", "provider": "inside"}, "provider": "beside"}
    assert parse_client(as_json(**document)).providers == ("beside",)


@pytest.mark.parametrize("grant_type", ["refresh token", "client credentials"])
def test_a_payload_with_its_own_client_says_so_too(grant_type: str) -> None:
    more = {"refresh_token": CANARY} if grant_type == "refresh token" else {}
    payload = as_json(client_id="id", client_secret="s", provider="okta", allowed_variables={"org": ["a"]}, **more)
    grant = parse_grant(payload)
    assert isinstance(grant, RefreshTokenGrant | ClientCredentialsGrant)
    assert grant.client is not None
    assert (grant.client.providers, grant.client.allowed_variables) == (("okta",), {"org": ("a",)})


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        pytest.param(None, (), id="nobody"),
        pytest.param("alice@example.com", ("alice@example.com",), id="one"),
        pytest.param(["a@b", "c@d"], ("a@b", "c@d"), id="several"),
        pytest.param("*", ("*",), id="anybody"),
    ],
)
def test_a_service_account_key_says_for_whom_it_may_stand(subjects: object, expected: tuple[str, ...]) -> None:
    grant = parse_grant(as_json(type="service_account", client_email="x@y", private_key=KEY, subjects=subjects))
    assert isinstance(grant, ServiceAccountGrant)
    assert grant.subjects == expected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"provider": 1}, '"provider" must be a string or a list'),
        ({"provider": [""]}, '"provider" must be a string or a list'),
        ({"allowed_variables": ["a"]}, '"allowed_variables" must be a JSON object'),
        ({"allowed_variables": {"a": [1]}}, '"allowed_variables" must be a string or a list'),
    ],
)
def test_nonsense_about_boundaries_says_why(fields: dict[str, object], words: str) -> None:
    with pytest.raises(PayloadError, match=words):
        parse_client(as_json(client_id="id", **fields))


def test_a_rotated_bare_token_stays_bare() -> None:
    assert render_rotated(b" old\n", Secret("new"), {"issued_at": 5, "scope": "a"}) == b"new"


def test_a_rotated_token_in_json_keeps_every_other_field() -> None:
    old = as_json(refresh_token="old", client_id="i", note="ü", expires_at=9, issued_at=1)
    new = json.loads(render_rotated(old, Secret("new"), {"issued_at": 5, "expires_at": None, "scope": "a"}))
    assert new == {"refresh_token": "new", "client_id": "i", "note": "ü", "issued_at": 5, "scope": "a"}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(RefreshTokenGrant(Secret(CANARY), client=Client("i", Secret("CANARY-s"))), id="refresh-token"),
        pytest.param(ServiceAccountGrant("x", Secret(KEY)), id="service-account"),
        pytest.param(Client("i", Secret("CANARY"), Secret(KEY), "k", Secret(KEY)), id="client"),
    ],
)
def test_no_repr_shows_a_secret(value: object) -> None:
    assert "CANARY" not in repr(value)
