"""The front channel as pure functions: URL, callback, issuer, scopes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_refresh.core.connection import Connection, SecretRecord
from token_refresh.core.consent.authorization import (
    CallbackError,
    build_authorization_url,
    code_challenge,
    is_issuer,
    missing_scopes,
    parse_callback,
    prompt_for_account,
    requested_scopes,
)
from token_refresh.core.consent.session import Cookie, Session, Ticket
from token_refresh.core.provider.definition import Provider
from token_refresh.core.secrecy import Secret

URL = "https://provider.example/authorize"


def provider(**changes: Any) -> Provider:
    return Provider("acme", "https://provider.example/token", "https://provider.example/token", URL, **changes)


def connection(**changes: Any) -> Connection:
    return Connection("mail", SecretRecord("mail-refresh-token", {}, {}, "1"), **changes)


def build(definition: Provider, url: str = URL, **changes: Any) -> list[tuple[str, str]]:
    arguments: dict[str, Any] = {
        "client_id": "id-1",
        "redirect_uri": "https://consent.example/callback",
        "scopes": ("a", "b"),
        "login_hint": None,
        "values": {},
    }
    session = Session(Ticket("mail", 1), "the-state", Secret("v" * 43), "the-nonce", Cookie("name", "value", 60))
    return parse_qsl(urlsplit(build_authorization_url(definition, url, session, **{**arguments, **changes})).query)


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_request_has_what_rfc_6749_and_7636_ask_for() -> None:
    assert dict(build(provider())) == {
        "response_type": "code",
        "client_id": "id-1",
        "scope": "a b",
        "redirect_uri": "https://consent.example/callback",
        "state": "the-state",
        "code_challenge": code_challenge(Secret("v" * 43)),
        "code_challenge_method": "S256",
    }


@pytest.mark.parametrize(
    ("definition", "changes", "expected"),
    [
        ({"openid": True}, {}, {"nonce": "the-nonce"}),
        ({"pkce": False}, {}, {"state": "the-state"}),
        ({}, {"login_hint": "a@b.c"}, {"login_hint": "a@b.c"}),
        ({"scope_separator": ","}, {}, {"scope": "a,b"}),
        ({"param_names": {"client_id": "client_key"}}, {}, {"client_key": "id-1"}),
        ({"authorization_params": {"access_type": "offline"}}, {}, {"access_type": "offline"}),
        ({"authorization_params": {"scope": "{scopes} offline_access"}}, {}, {"scope": "a b offline_access"}),
        ({"authorization_params": {"aud": "{tenant}"}}, {"values": {"tenant": "t1"}}, {"aud": "t1"}),
    ],
    ids=[
        "nonce",
        "no pkce",
        "login hint",
        "separator",
        "renamed",
        "offline",
        "scopes in a template",
        "variable in a template",
    ],
)
def test_a_definition_bends_the_request(definition: Any, changes: Any, expected: dict[str, str]) -> None:
    assert expected.items() <= dict(build(provider(**definition), **changes)).items()


def test_no_definition_weakens_the_request() -> None:
    guarded = {"state": "x", "redirect_uri": "x", "nonce": "x", "code_challenge": "x", "code_challenge_method": "plain"}
    asked = dict(build(provider(openid=True, authorization_params=guarded)))
    assert "x" not in asked.values()
    assert asked["code_challenge_method"] == "S256"


def test_a_parameter_with_several_values_is_repeated() -> None:
    pairs = build(provider(authorization_params={"resource": ["https://a.api", "https://b.api"]}))
    assert [value for name, value in pairs if name == "resource"] == ["https://a.api", "https://b.api"]


def test_a_query_of_the_authorization_url_stays_and_nothing_comes_twice() -> None:
    pairs = build(provider(), url=URL + "?version=2&state=fixed")
    assert ("version", "2") in pairs
    assert [value for name, value in pairs if name == "state"] == ["the-state"]


def test_an_empty_parameter_is_left_out() -> None:
    assert "prompt" not in dict(build(provider(authorization_params={"prompt": ""})))


@pytest.mark.parametrize(
    ("openid", "owner", "subject", "scopes", "expected"),
    [
        (False, "a@b.c", None, ("x",), "x"),
        (True, "a@b.c", None, ("x",), "x openid email"),
        (True, "a@b.c", "sub-1", ("x",), "x openid"),
        (True, "alice", None, ("x",), "x openid"),
        (True, "a@b.c", None, ("openid", "https://www.googleapis.com/auth/userinfo.email"), None),
    ],
    ids=["no openid", "first consent", "later", "owner by login", "asked for already"],
)
def test_openid_scopes_are_added_where_the_account_would_stay_unknown(
    *, openid: bool, owner: str, subject: str | None, scopes: tuple[str, ...], expected: str | None
) -> None:
    asked = requested_scopes(connection(scopes=scopes, owner=owner, subject=subject), provider(openid=openid))
    assert " ".join(asked) == (expected or " ".join(scopes))


@pytest.mark.parametrize(
    ("required", "granted", "missing"),
    [
        ("a b", None, ""),
        ("a b", "b a", ""),
        ("a b", "a", "b"),
        ("a b", "", "a b"),
        ("a b", "a,b", ""),
        ("email", "https://www.googleapis.com/auth/userinfo.email", ""),
        ("https://www.googleapis.com/auth/userinfo.profile", "profile", ""),
        ("User.Read", "user.read https://graph.microsoft.com/Mail.Read", ""),
        ("Mail.Read", "https://graph.microsoft.com/Mail.Read", ""),
        ("openid offline_access a", "a", ""),
        ("a", "aa ab", "a"),
        ("read,write", "read,write", ""),
    ],
)
def test_granted_scopes_are_compared_as_providers_spell_them(required: str, granted: str | None, missing: str) -> None:
    assert " ".join(missing_scopes(required.split(), granted)) == missing


@pytest.mark.parametrize(
    ("iss", "issuer", "tid", "expected"),
    [
        ("https://i.example", "https://i.example", None, True),
        ("https://i.example/", "https://i.example", None, False),
        ("accounts.google.com", "https://accounts.google.com", None, True),
        (None, "https://i.example", None, False),
        (7, None, None, False),
        ("https://provider.example/realms/a", None, None, True),
        ("https://provider.example:8443", None, None, False),
        ("http://provider.example", None, None, False),
        ("https://[", None, None, False),
        ("", None, None, False),
        (
            "https://login.microsoftonline.com/t-1/v2.0",
            "https://login.microsoftonline.com/common/v2.0",
            "t-1",
            True,
        ),
        (
            "https://login.microsoftonline.com/t-1/v2.0",
            "https://login.microsoftonline.com/t-2/v2.0",
            "t-1",
            False,
        ),
        ("https://i.example/t-1", "https://i.example/common", "t-1", False),
    ],
)
def test_issuers_are_compared_as_text(iss: object, issuer: str | None, tid: str | None, *, expected: bool) -> None:
    assert is_issuer(iss, issuer, URL, {"tid": tid} if tid else None) is expected


def test_a_callback_is_read() -> None:
    callback = parse_callback([("state", "s"), ("code", "c"), ("iss", "https://i"), ("realmId", "9"), ("realmId", "8")])
    assert callback.code is not None
    assert (callback.state, callback.code.reveal(), callback.iss) == ("s", "c", "https://i")
    assert callback.more == {"realmId": "9"}
    assert repr(callback.code) == "***"


def test_an_error_is_one_line_of_bounded_length() -> None:
    callback = parse_callback([("state", "s"), ("error", "e\nf"), ("error_description", "a\r\nb" * 300)])
    assert callback.error == "e f"
    assert callback.error_description is not None
    assert len(callback.error_description) <= 500
    assert "\n" not in callback.error_description


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        pytest.param([("state", "s"), ("code", "c"), ("code", "d")], "code came twice", id="twice"),
        pytest.param([("state", "s"), ("state", "s"), ("code", "c")], "state came twice", id="the-same-twice"),
        pytest.param([("code", "c")], "state is missing", id="no-state"),
        pytest.param([("state", ""), ("code", "c")], "state is missing", id="an-empty-state"),
        pytest.param([("state", "s")], "neither code nor error came", id="nothing"),
        pytest.param([("state", "s"), ("code", "")], "neither code nor error came", id="an-empty-code"),
        pytest.param([("state", "s"), ("code", "c"), ("error", "e")], "both code and error came", id="both"),
    ],
)
def test_a_callback_that_is_none_is_refused_with_its_fault(query: list[tuple[str, str]], fault: str) -> None:
    with pytest.raises(CallbackError, match=f"^{fault}$"):
        parse_callback(query)


def test_what_else_came_with_a_callback_is_kept_as_it_came_first() -> None:
    callback = parse_callback([("state", "s"), ("code", "c"), ("realmId", "1"), ("realmId", "2")])
    assert (callback.code, callback.more) == (Secret("c"), {"realmId": "1"})


@given(st.lists(st.tuples(st.sampled_from(["state", "code", "error", "iss", "x"]), st.text(max_size=20)), max_size=6))
def test_a_callback_is_read_or_refused(query: list[tuple[str, str]]) -> None:
    try:
        callback = parse_callback(query)
    except CallbackError:
        return
    assert callback.state
    assert (callback.code is None) != (callback.error is None)


@pytest.mark.parametrize("name", ["code", "state", "iss", "error"])
def test_a_huge_parameter_is_refused(name: str) -> None:
    with pytest.raises(CallbackError, match="too long"):
        parse_callback([(name, "x" * 10_000)])


@pytest.mark.parametrize(
    ("definition", "prompt"),
    [
        ({"openid": False}, None),
        ({}, "login"),
        ({"authorization_params": {"prompt": "consent"}}, "login consent"),
        ({"authorization_params": {"prompt": "login"}}, "login"),
        (
            {
                "authorization_url": "https://accounts.google.com/o/oauth2/v2/auth",
                "authorization_params": {"prompt": "consent"},
            },
            "select_account consent",
        ),
        (
            {
                "authorization_url": "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
                "authorization_params": {"prompt": "consent"},
            },
            "select_account",
        ),
    ],
)
def test_a_provider_is_asked_for_another_account_in_its_own_words(definition: Any, prompt: str | None) -> None:
    assert prompt_for_account(replace(provider(openid=True), **definition)) == prompt
