"""Whose grant is it? ID tokens and accounts as tables."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds.depth import examples
from token_refresh.core.connection import Connection, SecretRecord
from token_refresh.core.consent.account import (
    Account,
    AccountFault,
    IdTokenError,
    WrongAccountError,
    identify,
    read_id_token,
    subject_source,
    why_nobody_may_consent,
)
from token_refresh.core.provider.definition import Provider, SubjectSource
from token_refresh.core.secrecy import Secret

ISSUER = "https://provider.example"
NOW = 1_800_000_000
CLAIMS: dict[str, object] = {"iss": ISSUER, "aud": "id-1", "exp": NOW + 60, "nonce": "n-1", "sub": "s-1"}


def provider(**changes: Any) -> Provider:
    return Provider("acme", f"{ISSUER}/token", f"{ISSUER}/token", f"{ISSUER}/authorize", **changes)


def connection(**changes: Any) -> Connection:
    return Connection("mail", SecretRecord("mail-refresh-token", {}, {}, "1"), **changes)


def encode(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def read(token: Secret | None) -> Any:
    where = f"{ISSUER}/authorize"
    return read_id_token(token, issuer=ISSUER, authorization_url=where, client_id="id-1", nonce="n-1", now=NOW)


def token(**changes: object) -> Secret:
    return Secret(f"e30.{encode({**CLAIMS, **changes})}.c2ln")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": ["id-1"]},
        {"aud": ["id-1", "other"], "azp": "id-1"},
        {"azp": "id-1"},
        {"exp": NOW - 9},
        {"exp": NOW + 0.5},
    ],
    ids=["plain", "list of one", "list of two", "azp", "a slow clock", "a fraction"],
)
def test_an_id_token_that_holds_is_read(changes: dict[str, object]) -> None:
    assert read(token(**changes))["sub"] == "s-1"


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "other"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["id-1", "other"]}, "azp"),
        ({"azp": "other"}, "azp"),
        ({"exp": NOW - 10}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": "later"}, "exp"),
        ({"nonce": "n-2"}, "nonce"),
        ({"nonce": None}, "nonce"),
    ],
)
def test_an_id_token_that_does_not_hold_names_the_claim(changes: dict[str, object], claim: str) -> None:
    with pytest.raises(IdTokenError, match=f"^{claim}$"):
        read(token(**changes))


@pytest.mark.parametrize(
    "text",
    [None, "", "a.b", "a.b.c.d", "a.!.c", "a.WzFd.c", "a.bm8.c", "a.b.c", "a.\u00e9.c", "a." + encode([1]) + ".c"],
)
def test_what_is_no_id_token_is_refused(text: str | None) -> None:
    with pytest.raises(IdTokenError, match=r"^id_token$"):
        read(None if text is None else Secret(text))


@settings(max_examples=examples(200))
@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(text: str) -> None:
    with pytest.raises(IdTokenError):
        read(Secret(f"a.{text}.c"))


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({}, None),
        ({"openid": True}, SubjectSource("id_token")),
        ({"openid": True, "subject": SubjectSource("userinfo", "id", "https://u")}, "userinfo"),
    ],
)
def test_an_openid_provider_always_tells_the_account(definition: Any, expected: Any) -> None:
    source = subject_source(provider(**definition))
    assert source == expected or (source is not None and source.source == expected)


@pytest.mark.parametrize(
    ("spec", "path", "facts", "expected"),
    [
        ({"owner": "*"}, "sub", {"sub": "1"}, "1"),
        ({"owner": "*"}, "id", {"id": 17}, "17"),
        ({"owner": "*"}, "sub", {}, "unknown_account"),
        ({"subject": "1"}, "sub", {"sub": "1"}, "1"),
        ({"subject": "1"}, "sub", {"sub": "2"}, "wrong_account"),
        ({"subject": "1"}, "sub", {}, "unknown_account"),
        ({"subject": "1", "owner": "*"}, "sub", {"sub": "2"}, "wrong_account"),
        ({"owner": "ann"}, "data.id", {"data": {"id": 5, "login": "Ann"}}, "5"),
        ({"owner": "ann"}, "data.id", {"data": {"id": 5, "login": "Bob"}}, "wrong_account"),
        ({"owner": "ann"}, "athlete.id", {"athlete.id": 5, "login": "ann"}, "5"),
        ({"owner": "ann"}, "sub", {"sub": "5", "preferred_username": "Ann"}, "5"),
        ({"owner": "ann"}, "sub", {"sub": "ANN"}, "ANN"),
        ({"owner": "ann"}, "sub", {"sub": "5", "email": "ann", "email_verified": True}, "wrong_account"),
        ({"owner": "ann", "subject": "5"}, "id", {"id": 5, "login": "bob"}, "5"),
        ({"owner": "a@b.c"}, "sub", {"sub": "1", "email": "A@b.c", "email_verified": "true"}, "1"),
        ({"owner": "a@b.c"}, "sub", {"sub": "1", "email": "a@b.c"}, "wrong_account"),
        ({"owner": "a@b.c"}, "sub", {"sub": "1", "email": "a@b.c", "email_verified": "yes"}, "wrong_account"),
        ({"owner": "a@b.c"}, "sub", {"sub": "1", "preferred_username": "a@b.c"}, "wrong_account"),
        ({"owner": "a@b.c"}, "id", {"id": 1, "login": "a@b.c"}, "wrong_account"),
        ({"owner": "a@b.c"}, "sub", {"sub": "a@b.c"}, "wrong_account"),
    ],
)
def test_accounts_are_identified(spec: Any, path: str, facts: Any, expected: str) -> None:
    tells = provider(subject=SubjectSource("userinfo", path, "https://u"))
    if expected in tuple(AccountFault):
        with pytest.raises(WrongAccountError) as wrong:
            identify(connection(**spec), tells, spec.get("subject"), facts)
        assert wrong.value.reason == expected
    else:
        assert identify(connection(**spec), tells, spec.get("subject"), facts).subject == expected


def test_a_user_name_is_an_address_only_where_the_definition_says_that_it_is_verified() -> None:
    verifies = provider(openid=True, verified_usernames=True)
    facts = {"sub": "1", "preferred_username": "Ann@b.c"}
    assert identify(connection(owner="ann@b.c"), verifies, None, facts) == Account("1", "Ann@b.c")


@pytest.mark.parametrize("tells", [True, False])
def test_without_owner_and_subject_no_account_is_the_right_one(*, tells: bool) -> None:
    definition = provider(openid=tells)
    assert why_nobody_may_consent(connection(), definition, None) == AccountFault.NO_OWNER
    with pytest.raises(WrongAccountError) as wrong:
        identify(connection(), definition, None, {"sub": "1"})
    assert wrong.value.reason == AccountFault.NO_OWNER


@pytest.mark.parametrize("owner", ["a@b.c", "ann", "*"])
def test_where_the_account_cannot_be_known_the_link_is_what_counts(owner: str) -> None:
    assert identify(connection(owner=owner), provider(), None, {"sub": "1"}) == Account()


def test_an_account_on_record_is_never_taken_on_trust() -> None:
    with pytest.raises(WrongAccountError) as wrong:
        identify(connection(owner="ann"), provider(), "1", {})
    assert wrong.value.reason == AccountFault.UNKNOWN_ACCOUNT


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"sub": "1", "email": "a@b.c", "login": "ann"}, "a@b.c"),
        ({"sub": "1", "preferred_username": "ann"}, "ann"),
        ({"sub": "1", "email": "\n"}, "1"),
    ],
)
def test_an_account_is_called_what_its_owner_calls_it(facts: dict[str, object], name: str) -> None:
    assert identify(connection(owner="*"), provider(openid=True), None, facts).name == name
