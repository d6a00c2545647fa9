"""Shapes of token requests and replies that public documentation shows: what a definition can say, and what it cannot.

Each row is one shape, with the page that shows it; the request must come out as it stands there.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from token_refresh.core.grant import Client, RefreshTokenGrant
from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import Asked, classify_reply
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.core.token_endpoint.request import (
    build_client_credentials_params,
    build_refresh_params,
    build_token_request,
)

DOCS = Path(__file__).parents[2] / "docs" / "providers.md"
NOW = 1_800_000_000
URL = "https://a.example/token"
CLIENT = Client("id", Secret("secret"))
BASIC = f"Basic {base64.b64encode(b'id:secret').decode()}"
STANDARD = {"grant_type": "refresh_token", "refresh_token": "old"}
POSTED = {**STANDARD, "client_id": "id", "client_secret": "secret"}

# (table, what the request holds: fields and "!method", "!header:..." of it)
REQUESTS = [
    pytest.param({}, POSTED, id="https://www.rfc-editor.org/rfc/rfc6749#section-6"),
    pytest.param(
        {"client_auth": "client_secret_basic"},
        {**STANDARD, "!header:Authorization": BASIC},
        id="https://developer.xero.com/documentation/guides/oauth2/auth-flow",
    ),
    pytest.param(
        {"client_auth": "none"},
        {**STANDARD, "client_id": "id"},
        id="https://developers.etsy.com/documentation/essentials/authentication",
    ),
    pytest.param(
        {"request_format": "json"}, {**POSTED, "!json": True}, id="https://www.freshbooks.com/api/authentication"
    ),
    pytest.param(
        {"request_format": "json", "client_auth": "client_secret_basic", "headers": {"Notion-Version": "2022-06-28"}},
        {**STANDARD, "!json": True, "!header:Authorization": BASIC, "!header:Notion-Version": "2022-06-28"},
        id="https://developers.notion.com/reference/refresh-a-token",
    ),
    pytest.param(
        {"request_format": "query", "client_auth": "client_secret_basic"},
        {**STANDARD, "!query": True, "!header:Authorization": BASIC},
        id="https://help.gong.io/docs/create-an-app-for-gong",
    ),
    pytest.param(
        {"param_names": {"client_id": "client_key"}},
        {**STANDARD, "client_key": "id", "client_secret": "secret"},
        id="https://developers.tiktok.com/doc/oauth-user-access-token-management",
    ),
    pytest.param(
        {
            "refresh_params": {"grant_type": "fb_exchange_token"},
            "param_names": {"refresh_token": "fb_exchange_token"},
        },
        {
            "grant_type": "fb_exchange_token",
            "fb_exchange_token": "old",
            "client_id": "id",
            "client_secret": "secret",
        },
        id="https://developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived",
    ),
    pytest.param(
        {
            "refresh_method": "GET",
            "request_format": "query",
            "client_auth": "none",
            "refresh_params": {"grant_type": "ig_refresh_token", "client_id": ""},
            "param_names": {"refresh_token": "access_token"},
        },
        {"grant_type": "ig_refresh_token", "access_token": "old", "!query": True, "!method": "GET"},
        id="https://developers.facebook.com/documentation/instagram-platform/reference/refresh_access_token",
    ),
    pytest.param(
        {"request_format": "json", "refresh_params": {"grant_type": "", "client_secret": ""}},
        {"refresh_token": "old", "client_id": "id", "!json": True},
        id="https://docs.clover.com/dev/docs/refresh-access-tokens",
    ),
    pytest.param(
        {
            "token_params": {"type": "web_server"},
            "refresh_params": {"type": "refresh"},
        },
        {**POSTED, "type": "refresh"},
        id="https://github.com/basecamp/api/blob/master/sections/authentication.md",
    ),
    pytest.param(
        {"token_params": {"action": "requesttoken"}},
        {**POSTED, "action": "requesttoken"},
        id="https://developer.withings.com/developer-guide/v3/integration-guide",
    ),
    pytest.param(
        {
            "client_auth": "none",
            "headers": {"Authorization": "Bearer {client_secret}"},
            "refresh_params": {"client_id": ""},
        },
        {**STANDARD, "!header:Authorization": "Bearer secret"},
        id="https://docs.stripe.com/stripe-apps/api-authentication/oauth",
    ),
    pytest.param(
        {"refresh_params": {"scope": "{scopes}"}, "scope_separator": ","},
        {**POSTED, "scope": "a,b"},
        id="https://developer.whoop.com/docs/developing/oauth",
    ),
    pytest.param(
        {"token_params": {"resource": ["https://a.example/mcp", "https://b.example/mcp"]}},
        {**POSTED, "resource": ["https://a.example/mcp", "https://b.example/mcp"]},
        id="https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization",
    ),
    pytest.param(
        {"headers": {"User-Agent": "web:token-refresh:v0 (client {client_id})"}, "client_auth": "client_secret_basic"},
        {**STANDARD, "!header:User-Agent": "web:token-refresh:v0 (client id)"},
        id="https://github.com/reddit-archive/reddit/wiki/OAuth2",
    ),
    pytest.param(
        {"token_params": {"audience": "https://{variable}.api.example"}, "variables": {"variable": "acme"}},
        {**POSTED, "audience": "https://acme.api.example"},
        id="https://auth0.com/docs/secure/tokens/refresh-tokens/use-refresh-tokens",
    ),
]

# (table, reply, access token's life, new refresh token)
REPLIES = [
    pytest.param({}, {"access_token": "new", "expires_in": "60"}, 60, None, id="expires_in as text"),
    pytest.param({}, {"access_token": "new"}, 3600, None, id="https://help.salesforce.com (no expires_in)"),
    pytest.param(
        {"response": {"access_token": "body.access_token", "refresh_token": "body.r", "expires_in": "body.ttl"}},
        {"status": 0, "body": {"access_token": "new", "r": "next", "ttl": 60}},
        60,
        "next",
        id="https://developer.withings.com (everything inside body)",
    ),
    pytest.param(
        {"response": {"expires_at": "expires_at"}},
        {"access_token": "new", "expires_at": "2027-01-15T08:01:00Z"},
        60,
        None,
        id="https://developer.squareup.com (ISO 8601)",
    ),
    pytest.param(
        {"response": {"expires_at": "access_token_expiration"}},
        {"access_token": "new", "access_token_expiration": NOW + 60, "refresh_token": "next"},
        60,
        "next",
        id="https://docs.clover.com (instants)",
    ),
    pytest.param(
        {"response": {"expires_at": "expiry_date"}},
        {"access_token": "new", "expiry_date": (NOW + 60) * 1000},
        60,
        None,
        id="milliseconds",
    ),
    pytest.param(
        {"response": {"refresh_token": "access_token"}},
        {"access_token": "new", "expires_in": 60},
        60,
        "new",
        id="https://developers.facebook.com (the access token is the next refresh token)",
    ),
    pytest.param(
        {"response": {"access_token": "authed_user.access_token", "refresh_token": "authed_user.refresh_token"}},
        {"ok": True, "authed_user": {"access_token": "new", "refresh_token": "next"}},
        3600,
        "next",
        id="https://docs.slack.dev (the user's token of two)",
    ),
]

# The words of a shape's row in docs/providers.md, where it stands why not; the id is a page that shows it.
NOT_EXPRESSIBLE = [
    pytest.param(
        "a second exchange at consent",
        id="https://developers.facebook.com/documentation/instagram-platform/reference/access_token",
    ),
    pytest.param(
        "a client certificate (RFC 8705)",
        id="https://developers.adp.com/guides/auth-process",
    ),
    pytest.param(
        "a client assertion with another audience or issuer",
        id="https://developer.revolut.com/docs/guides/manage-accounts/get-started/make-your-first-api-request",
    ),
    pytest.param(
        "a signature over the request",
        id="https://open.lazada.com/apps/doc/doc?nodeId=10777",
    ),
    pytest.param(
        "two ways to prove the client",
        id="https://developer.infusionsoft.com/getting-started-oauth-keys/",
    ),
    pytest.param(
        "the access token somewhere that depends on the reply",
        id="https://docs.slack.dev/authentication/installing-with-oauth",
    ),
    pytest.param(
        "a token endpoint in another reply",
        id="https://developer.docuware.com/rest/documentation/authentication.html",
    ),
    pytest.param(
        "a user's password",
        id="https://www.rfc-editor.org/rfc/rfc9700#section-2.4",
    ),
]


@pytest.mark.parametrize(("table", "wire"), REQUESTS)
def test_a_documented_request_can_be_said(table: dict[str, Any], wire: dict[str, Any]) -> None:
    provider = parse_providers({"p": {"token_url": URL, **table}})["p"]
    params = build_refresh_params(RefreshTokenGrant(Secret("old")))
    request = build_token_request(
        provider, provider.refresh_url, params, CLIENT, values=dict(provider.variables), scopes=("a", "b")
    )
    expected = {name: value for name, value in wire.items() if not name.startswith("!")}
    assert fields_of(request, "!query" in wire, "!json" in wire) == expected
    assert request.method == wire.get("!method", "POST")
    headers = {name: value for name, value in wire.items() if name.startswith("!header:")}
    assert {
        f"!header:{name}": request.headers.get(name) for name in (n.removeprefix("!header:") for n in headers)
    } == headers


def test_a_documented_grant_type_of_its_own_can_be_said() -> None:
    """https://developers.zoom.us/docs/internal-apps/s2s-oauth/"""
    table = {
        "token_url": URL,
        "client_auth": "client_secret_basic",
        "token_params": {"grant_type": "account_credentials", "account_id": "{account}"},
        "variables": {"account": ""},
    }
    provider = parse_providers({"p": table})["p"]
    params = build_client_credentials_params(provider, ())
    request = build_token_request(provider, URL, params, CLIENT, values={"account": "7"})
    assert fields_of(request, False, False) == {"grant_type": "account_credentials", "account_id": "7"}
    assert request.headers["Authorization"] == BASIC


@pytest.mark.parametrize(("table", "body", "life", "refresh_token"), REPLIES)
def test_a_documented_reply_can_be_read(
    table: dict[str, Any], body: dict[str, Any], life: int, refresh_token: str | None
) -> None:
    provider = parse_providers({"p": {"token_url": URL, **table}})["p"]
    outcome = classify_reply(HttpReply(200, {}, json.dumps(body).encode()), provider, Asked(NOW, sent=Secret("old")))
    assert isinstance(outcome, Refreshed)
    assert outcome.access_token == Secret("new")
    assert outcome.expires_at == NOW + life
    assert outcome.refresh_token == (Secret(refresh_token) if refresh_token else None)


@pytest.mark.parametrize("words", NOT_EXPRESSIBLE)
def test_what_cannot_be_said_is_said_in_the_docs(words: str) -> None:
    assert f"| {words} | " in DOCS.read_text()


def fields_of(request: HttpRequest, in_query: bool, is_json: bool) -> dict[str, Any]:  # noqa: FBT001 - where to look
    if is_json:
        data = json.loads(request.body)
        assert isinstance(data, dict)
        return data
    found: dict[str, Any] = {}
    for name, value in parse_qsl(urlsplit(request.url).query if in_query else request.body.decode()):
        found[name] = (
            value if name not in found else [*([found[name]] if isinstance(found[name], str) else found[name]), value]
        )
    return found
