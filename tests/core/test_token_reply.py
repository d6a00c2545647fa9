from __future__ import annotations

import json
from typing import Any

import pytest

from token_refresh.core.http import HttpReply
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.core.token_endpoint.reply import look_up, parse_body, parse_instant, parse_refreshed

NOW = 1_800_000_000
SENT = Secret("sent-refresh-token")


def refreshed(data: dict[str, Any], **keys: Any) -> Refreshed | None:
    provider = parse_providers({"p": {"token_url": "https://a.example/token", **keys}})["p"]
    return parse_refreshed(data, provider, now=NOW, sent=SENT)


def token(**fields: Any) -> Refreshed:
    outcome = refreshed({"access_token": "new-access-token", **fields})
    assert outcome is not None
    return outcome


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"access_token": "t"}', id="JSON"),
        pytest.param(b'\xef\xbb\xbf{"access_token": "t"}', id="byte order mark"),
        pytest.param('{"access_token": "t"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b' \n{"access_token": "t"}\r\n', id="white space"),
        pytest.param(b"access_token=t", id="form"),
        pytest.param(b"\xef\xbb\xbfaccess_token=t\n", id="form with byte order mark"),
    ],
)
def test_a_body_is_read_as_servers_send_it(body: bytes) -> None:
    assert parse_body(HttpReply(200, body=body)) == {"access_token": "t"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"t"',
        b"1",
        b"{",
        b"\xff\xfe\xfd",
        b"<html>a=b</html>",
        b"Bad Request",
        b"[" * 5000,
        b"a=b\nc=d",
        b"9" * 5000,
        b"\x80=1",
    ],
)
def test_a_body_that_is_no_object_is_nothing(body: bytes) -> None:
    assert parse_body(HttpReply(200, body=body)) is None


def test_a_body_cut_short_is_nothing() -> None:
    assert parse_body(HttpReply(200, body=b'{"access_token": "t"}', too_large=True)) is None


def test_infinity_and_nan_are_no_numbers() -> None:
    assert parse_body(HttpReply(200, body=b'{"expires_in": Infinity, "x": NaN}')) == {"expires_in": None, "x": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"b": [1, {"c": 2}]}),
        ("a.b.1.c", 2),
        ("a.b.0", 1),
        ("a.b.2", None),
        ("a.b.x", None),
        ("a.b.0.c", None),
        ("", None),
        ("z", None),
    ],
)
def test_a_dotted_path_leads_through_objects_and_lists(path: str, value: object) -> None:
    assert look_up({"a": {"b": [1, {"c": 2}]}}, path) == value


@pytest.mark.parametrize("value", [None, 1, True, [], {}, "", "  ", "a\nb", "a\x00b", "x" * 16_385, "\ud800"])
def test_what_cannot_be_an_access_token_is_none(value: object) -> None:
    assert refreshed({"access_token": value}) is None


@pytest.mark.parametrize(
    ("fields", "life"),
    [
        pytest.param({"expires_in": 3599}, 3599, id="number"),
        pytest.param({"expires_in": "600"}, 600, id="text"),
        pytest.param({"expires_in": 0.5}, 1, id="fraction"),
        pytest.param({"expires_in": "3599.9"}, 3599, id="text with fraction"),
        pytest.param({}, 1800, id="missing"),
        pytest.param({"expires_in": None}, 1800, id="null"),
        pytest.param({"expires_in": 0}, 1800, id="zero"),
        pytest.param({"expires_in": -1}, 1800, id="negative"),
        pytest.param({"expires_in": True}, 1800, id="boolean"),
        pytest.param({"expires_in": "soon"}, 1800, id="a word"),
        pytest.param({"expires_in": "1e999"}, 1800, id="infinite"),
        pytest.param({"expires_in": 10**400}, 1800, id="beyond floats"),
        pytest.param({"expires_in": NOW + 3600}, 1800, id="an epoch in the wrong place"),
        pytest.param({"expires_in": [3600]}, 1800, id="a list"),
        pytest.param({"expires_at": NOW + 60}, 60, id="absolute seconds"),
        pytest.param({"expires_at": str(NOW + 60)}, 60, id="absolute seconds as text"),
        pytest.param({"expires_at": (NOW + 60) * 1000}, 60, id="absolute milliseconds"),
        pytest.param({"expires_at": "2027-01-15T08:01:00Z"}, 60, id="ISO 8601"),
        pytest.param({"expires_at": "2027-01-15T09:01:00+01:00"}, 60, id="ISO 8601 with offset"),
        pytest.param({"expires_at": "2027-01-15 08:01:00"}, 60, id="ISO 8601 without offset is UTC"),
        pytest.param({"expires_at": NOW - 1}, 1800, id="past"),
        pytest.param({"expires_at": "tomorrow"}, 1800, id="no date"),
        pytest.param({"expires_at": "0001-01-01T00:00:00+14:00"}, 1800, id="before all time"),
        pytest.param({"expires_in": 3000, "expires_at": NOW + 60}, 3000, id="relative outranks absolute"),
    ],
)
def test_an_expiry_is_read_however_it_comes(fields: dict[str, Any], life: int) -> None:
    outcome = refreshed({"access_token": "new-access-token", **fields}, default_expires_in=1800)
    assert outcome is not None
    assert outcome.expires_at == NOW + life


def test_a_definition_that_names_the_absolute_expiry_means_it() -> None:
    keys = {"response": {"expires_at": "until"}}
    outcome = refreshed({"access_token": "new-access-token", "until": NOW + 60, "expires_in": 1}, **keys)
    assert outcome is not None
    assert outcome.expires_at == NOW + 60


def test_an_instant_of_another_type_is_none() -> None:
    assert parse_instant([]) is None


@pytest.mark.parametrize(
    ("value", "token_type"),
    [
        ("bearer", "Bearer"),
        ("BEARER", "Bearer"),
        (None, "Bearer"),
        ("", "Bearer"),
        ("DPoP", "DPoP"),
        ("a\n", "Bearer"),
        ("bot", "bot"),
        ({}, "Bearer"),
    ],
)
def test_bearer_is_spelled_as_clients_expect_it(value: object, token_type: str) -> None:
    assert token(token_type=value).token_type == token_type


@pytest.mark.parametrize(
    ("value", "scope"),
    [
        ("a b", "a b"),
        ("a,b", "a b"),
        ("a, b", "a, b"),
        (["a", "b", 1], "a b"),
        ("", None),
        (None, None),
        (7, None),
        ("x" * 16385, None),
        ("a \x00 b", "a b"),
        ("a", "a"),
    ],
)
def test_scopes_are_separated_by_spaces(value: object, scope: str | None) -> None:
    assert token(scope=value).scope == scope


def test_scopes_are_separated_as_the_definition_says() -> None:
    outcome = refreshed({"access_token": "new-access-token", "scope": "a, b,c"}, scope_separator=",")
    assert outcome is not None
    assert outcome.scope == "a b c"


@pytest.mark.parametrize("value", [None, "", 1, "sent-refresh-token", " sent-refresh-token "])
def test_no_refresh_token_or_the_same_one_means_no_rotation(value: object) -> None:
    assert token(refresh_token=value).refresh_token is None


def test_another_refresh_token_is_a_rotation() -> None:
    assert token(refresh_token="new-refresh-token").refresh_token == Secret("new-refresh-token")


# draft-ietf-oauth-refresh-token-expiration-02, section 3
@pytest.mark.parametrize(
    ("fields", "authorization", "timeout", "own"),
    [
        ({"authorization_expires_in": 60}, NOW + 60, None, None),
        ({"x_refresh_token_hard_expires_in": 60, "x_refresh_token_expires_in": 9}, NOW + 60, None, None),
        ({"refresh_token_timeout": "30"}, None, 30, None),
        (
            {"authorization_expires_in": 60, "refresh_token_timeout": 30, "refresh_token_expires_in": 9},
            NOW + 60,
            30,
            None,
        ),
        ({"refresh_token_timeout": 30, "refresh_token_expires_in": 9}, None, 30, None),
        ({"refresh_token_timeout": 0, "refresh_token_expires_in": 9}, None, None, NOW + 9),
        ({"authorization_expires_in": "never"}, None, None, None),
    ],
)
def test_the_end_of_an_authorization_and_an_idle_time_outrank_the_older_names(
    fields: dict[str, Any], authorization: int | None, timeout: int | None, own: int | None
) -> None:
    reply = token(**fields)
    assert (reply.authorization_expires_at, reply.refresh_token_timeout) == (authorization, timeout)
    assert reply.refresh_token_expires_at == own
    assert reply.ends_at == (authorization or own)


@pytest.mark.parametrize("name", ["refresh_token_expires_in", "x_refresh_token_expires_in", "refresh_expires_in"])
def test_the_end_of_a_refresh_token_has_three_names(name: str) -> None:
    assert token(**{name: "60"}).refresh_token_expires_at == NOW + 60
    assert token(**{name: 0}).refresh_token_expires_at is None


def test_tokens_are_found_where_the_definition_says_and_nowhere_else() -> None:
    keys = {"response": {"access_token": "data.token", "refresh_token": "data.next", "expires_in": "data.ttl"}}
    outcome = refreshed({"data": {"token": "t", "next": "n", "ttl": 5}, "id_token": "i"}, **keys)
    assert outcome == Refreshed(Secret("t"), NOW + 5, refresh_token=Secret("n"), id_token=Secret("i"), extra={})
    assert refreshed({"access_token": "another account's"}, **keys) is None


def test_fields_to_keep_go_to_extra() -> None:
    data = {
        "access_token": "new-access-token",
        "refresh_token": "new-refresh-token",
        "instance_url": "https://a.example",
        "team": {"id": 7},
        "broken": "\ud800",
        "big": "x" * 5000,
        "new": {"token": "new-refresh-token"},
        "old": "sent-refresh-token",
    }
    keep = ["instance_url", "team.id", "absent", "broken", "big", "new", "old"]
    outcome = refreshed(data, keep=keep)
    assert outcome is not None
    assert outcome.extra == {"instance_url": "https://a.example", "team.id": 7, "broken": "\ufffd"}
    assert "new-refresh-token" not in json.dumps(dict(outcome.extra))
