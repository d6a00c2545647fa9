"""Revocation requests (RFC 7009, or as the definition has it), and what counts as confirmed (contract 4)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from token_refresh.core.grant import Client
from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import Asked
from token_refresh.core.token_endpoint.revocation import (
    ACCESS_TOKEN,
    REFRESH_TOKEN,
    NotRevoked,
    Revoked,
    build_revocation_request,
    classify_revocation,
)

URL = "https://a.example/revoke"
CLIENT = Client("id 1", Secret("s&cret:1"))
PUBLIC = Client("id 1", None)
TOKEN = {"token": "r+1", "token_type_hint": "refresh_token"}
BODY = {"client_id": "id 1", "client_secret": "s&cret:1"}
BASIC = "Basic aWQrMTpzJTI2Y3JldCUzQTE="  # "id+1:s%26cret%3A1"


def provider(**keys: Any) -> Provider:
    return parse_providers({"p": {"token_url": "https://a.example/token", "revocation_url": URL, **keys}})["p"]


def request(keys: dict[str, Any], client: Client = CLIENT, hint: str = REFRESH_TOKEN) -> HttpRequest:
    return build_revocation_request(
        provider(**keys),
        URL,
        Secret("r+1"),
        hint,
        client,
        values={"tenant": "acme"},
        client_assertion=Secret("assertion"),
    )


def parameters(text: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(text, keep_blank_values=True).items()}


@pytest.mark.parametrize(
    ("keys", "client", "expected"),
    [
        pytest.param({}, CLIENT, {**BODY, **TOKEN}, id="rfc-7009"),
        pytest.param({}, PUBLIC, {"client_id": "id 1", **TOKEN}, id="a-client-without-a-secret-sends-no-empty-one"),
        pytest.param({"client_auth": "none"}, CLIENT, {"client_id": "id 1", **TOKEN}, id="a-public-client"),
        pytest.param({"client_auth": "client_secret_basic"}, CLIENT, TOKEN, id="basic"),
        pytest.param(
            {"client_auth": "client_secret_basic", "revocation": {"client_auth": "client_secret_post"}},
            CLIENT,
            {**BODY, **TOKEN},
            id="another-way-than-for-tokens",
        ),
        pytest.param(
            {"client_auth": "private_key_jwt"},
            CLIENT,
            {
                "client_id": "id 1",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": "assertion",
                **TOKEN,
            },
            id="a-client-with-a-key",
        ),
        pytest.param(
            {"revocation": {"params": {"token": "{token}", "client_id": "", "client_secret": ""}}},
            CLIENT,
            {"token": "r+1"},
            id="an-empty-parameter-is-left-out",
        ),
        pytest.param(
            {"variables": {"tenant": ""}, "revocation": {"params": {"id": "{client_id}@{tenant}", "t": "{token}"}}},
            CLIENT,
            {**BODY, "id": "id 1@acme", "t": "r+1"},
            id="own-parameters-instead-of-the-standard-s",
        ),
        pytest.param(
            {"param_names": {"client_id": "client_key", "token": "access"}},
            CLIENT,
            {"client_key": "id 1", "client_secret": "s&cret:1", "access": "r+1", "token_type_hint": "refresh_token"},
            id="renamed",
        ),
    ],
)
def test_a_request_has_the_parameters_of_the_rfc_or_of_the_definition(
    keys: dict[str, Any], client: Client, expected: dict[str, str]
) -> None:
    sent = request(keys, client)
    assert (sent.method, sent.url) == ("POST", URL)
    assert parameters(sent.body.decode()) == expected
    assert ("Authorization" in sent.headers) is (expected == TOKEN)
    assert "r%2B1" not in repr(sent)


@pytest.mark.parametrize("hint", [REFRESH_TOKEN, ACCESS_TOKEN])
def test_the_hint_says_which_token_it_is(hint: str) -> None:
    assert parameters(request({}, hint=hint).body.decode())["token_type_hint"] == hint


@pytest.mark.parametrize(
    ("keys", "headers"),
    [
        pytest.param({"client_auth": "client_secret_basic"}, {"Authorization": BASIC}, id="basic"),
        pytest.param(
            {"client_auth": "none", "headers": {"X-Version": "1"}, "revocation": {"headers": {"X-Way": "{token}"}}},
            {"X-Version": "1", "X-Way": "r+1"},
            id="of-the-provider-and-of-the-way",
        ),
        pytest.param(
            {"headers": {"X-Version": "1"}, "revocation": {"headers": {"X-Version": "2"}}},
            {"X-Version": "2"},
            id="the-way-s-own-outrank",
        ),
        pytest.param(
            {"headers": {"X-Pair": "{client_id}:{client_secret}"}}, {"X-Pair": "id 1:s&cret:1"}, id="with-the-client"
        ),
    ],
)
def test_headers_are_those_of_the_definition(keys: dict[str, Any], headers: dict[str, str]) -> None:
    sent = request(keys)
    assert {name: sent.headers.get(name) for name in headers} == headers
    assert sent.headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        pytest.param({}, "form", id="a-form"),
        pytest.param({"request_format": "query"}, "query", id="as-for-tokens"),
        pytest.param({"revocation": {"request_format": "query"}}, "query", id="another-way-than-for-tokens"),
        pytest.param({"request_format": "query", "revocation": {"request_format": "form"}}, "form", id="its-own-form"),
    ],
)
def test_parameters_stand_where_the_definition_has_them(keys: dict[str, Any], place: str) -> None:
    sent = request(keys)
    query, body = urlsplit(sent.url).query, sent.body.decode()
    assert parameters(query if place == "query" else body) == {**BODY, **TOKEN}
    assert (body if place == "query" else query) == ""


def test_a_definition_may_delete_with_a_body_or_without_one() -> None:
    way = {"method": "DELETE", "request_format": "json", "client_auth": "client_secret_basic"}
    sent = request({"revocation": {**way, "params": {"access_token": "{token}"}}})
    assert (sent.method, json.loads(sent.body)) == ("DELETE", {"access_token": "r+1"})
    bare = request({"revocation": {**way, "params": {"token": ""}}})
    assert (bare.method, bare.url, bare.body) == ("DELETE", URL, b"")
    assert "Content-Type" not in bare.headers, "nothing is said of a body that is not there"


def reply(status: int, body: object = None) -> HttpReply:
    return HttpReply(status, {"content-type": "application/json"}, b"" if body is None else json.dumps(body).encode())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(200), id="rfc-7009-section-2.2"),
        pytest.param(reply(204), id="no-content"),
        pytest.param(reply(200, {"ok": True, "revoked": True}), id="slack"),
        pytest.param(reply(400, {"error": "invalid_token"}), id="google-gone-already"),
        pytest.param(reply(200, {"ok": False, "error": "token_revoked"}), id="slack-gone-already"),
    ],
)
def test_a_grant_that_is_gone_is_revoked(answer: HttpReply) -> None:
    assert classify_revocation(answer, provider(), Asked(0)) == Revoked()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(reply(400, {"error": "invalid_grant"}), "revoked_or_expired", id="anothers"),
        pytest.param(reply(401, {"error": "invalid_client"}), "invalid_client", id="client"),
        pytest.param(
            reply(400, {"error": "unsupported_token_type"}),
            "unsupported_token_type",
            id="rfc-7009-section-2.2.1",
        ),
        pytest.param(reply(503), "http_503", id="rfc-7009-section-2.2.1-try-again"),
        pytest.param(reply(200, {"ok": False, "error": "invalid_auth"}), "invalid_auth", id="200"),
        pytest.param(
            reply(200, {"access_token": "x" * 9, "error": "odd"}), "unreadable_reply", id="a-token-and-an-error"
        ),
    ],
)
def test_anything_else_is_no_confirmation(answer: HttpReply, reason: str) -> None:
    assert classify_revocation(answer, provider(), Asked(0)) == NotRevoked(reason)
