"""Every built-in definition against an endpoint that enforces it to the letter and answers in the recorded shape."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlsplit

import pytest

from tests.fakes.token_requests import build_token_request
from tests.worlds.recorded_replies import recorded
from token_refresh.adapters.http import PooledTransport
from token_refresh.adapters.signing import KeySigner
from token_refresh.core.grant import Client, ClientCredentialsGrant, RefreshTokenGrant
from token_refresh.core.provider.url import fill
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import ClientRejected, GrantDead, Refreshed, TokenOutcome
from token_refresh.providers import load_providers
from token_refresh.token_endpoint.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from token_refresh.core.provider.definition import Provider

pytestmark = pytest.mark.timeout(60)

REPLIES = Path(__file__).parent.parent / "replies"
PROVIDERS = load_providers()
CLIENT_ID, CLIENT_SECRET = "client:1", "s3cret &/+%"
ALIVE, DEAD = "sent-refresh-token", "dead-refresh-token"
CONTENT_TYPES = {"form": "application/x-www-form-urlencoded", "json": "application/json", "query": None}


class Strict(BaseHTTPRequestHandler):
    """One request, held against the definition; the first breach is the error."""

    protocol_version = "HTTP/1.1"
    provider: Provider
    seen: list[str]

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        breach, refresh_token = self._check(body)
        if breach:
            self.seen.append(breach)
            self._answer(400, {}, json.dumps({"error": "strict", "error_description": breach}))
            return
        case = "dead" if refresh_token == DEAD else "success"
        reply = json.loads((REPLIES / f"{recorded(self.provider.name)}.{case}.json").read_text())["reply"]
        self._answer(reply["status"], reply["headers"], reply.get("text") or json.dumps(reply["body"]))

    def _answer(self, status: int, headers: Mapping[str, str], text: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _check(self, body: bytes) -> tuple[str, str]:
        provider, parts = self.provider, urlsplit(self.path)
        if self.command != ("POST" if machine(provider) else provider.refresh_method):
            return f"method {self.command}", ""
        wanted_path = urlsplit(fill(provider.refresh_url, dict.fromkeys(provider.variables, "acme"))).path
        if parts.path != wanted_path:
            return f"path {parts.path}", ""
        if self.headers.get("content-type") != CONTENT_TYPES[provider.request_format]:
            return f"content type {self.headers.get('content-type')}", ""
        if provider.request_format == "json":
            params = json.loads(body)
        elif provider.request_format == "query":
            params = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
            if body:
                return "a body beside a query", ""
        else:
            params = dict(parse_qsl(body.decode("ascii"), strict_parsing=True, keep_blank_values=True))
            if parts.query:
                return "a query beside a body", ""
        breach = self._check_client(params) or self._check_params(params) or self._check_headers()
        return breach, params.get(self._name("refresh_token"), "")

    def _name(self, name: str) -> str:
        return self.provider.param_names.get(name, name)

    def _check_client(self, params: dict[str, str]) -> str:
        kind, credentials = [*(self.headers.get("authorization") or "").split(" ", 1), "", ""][:2]
        if self.provider.client_auth == "client_secret_basic":
            halves = [unquote_plus(half) for half in base64.b64decode(credentials).decode().split(":")]
            if kind != "Basic" or halves != [CLIENT_ID, CLIENT_SECRET]:
                return "Basic credentials"
            if self._name("client_id") in params or "client_secret" in params:
                return "credentials in the body where basic is declared"
            return ""
        if kind == "Basic":
            return "Basic where it is not declared"
        secret = params.get(self._name("client_secret"))
        if self.provider.client_auth == "client_secret_post":
            if self.provider.refresh_params.get("client_secret") == "":
                return "" if secret is None else "a secret where a refresh has none"
            return (
                "" if (params.get(self._name("client_id")), secret) == (CLIENT_ID, CLIENT_SECRET) else "client in body"
            )
        return "" if secret is None else "a secret where none is declared"

    def _check_params(self, params: dict[str, str]) -> str:
        provider = self.provider
        values = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **dict.fromkeys(provider.variables, "acme")}
        extra = {"grant_type": "refresh_token", **({} if machine(provider) else provider.refresh_params)}
        own = {
            name: value for name, value in provider.token_params.items() if name != "grant_type" or machine(provider)
        }
        extra = {**own, **extra, **(own if machine(provider) else {})}
        for name, template in extra.items():
            assert isinstance(template, str), "no built-in definition repeats a parameter"
            if params.get(self._name(name), "") != fill(template, values):
                return f"parameter {name}"
        known = {*extra, "refresh_token", "client_id", "client_secret"}
        unknown = set(params) - {self._name(name) for name in known}
        if unknown:
            return f"unknown parameters {sorted(unknown)}"
        tokens = (None,) if machine(provider) else (ALIVE, DEAD)
        return "" if params.get(self._name("refresh_token")) in tokens else "refresh token"

    def _check_headers(self) -> str:
        values = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        for name, template in self.provider.headers.items():
            if self.headers.get(name) != fill(template, values):
                return f"header {name}"
        return "" if "application/json" in self.headers.get("accept", "") else "Accept"

    def log_message(self, *_: Any) -> None:
        pass


def machine(provider: Provider) -> bool:
    """Tell whether a definition is for clients that stand for themselves: it names a grant type of its own."""
    return bool(provider.token_params.get("grant_type"))


@contextmanager
def strict(provider: Provider) -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    handler = type("StrictProvider", (Strict,), {"provider": provider, "seen": seen})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def refresh(provider: Provider, origin: str, refresh_token: str) -> TokenOutcome:
    here = dataclasses.replace(
        provider,
        token_url=f"{origin}{urlsplit(provider.token_url).path}",
        refresh_url=f"{origin}{urlsplit(provider.refresh_url).path}",
    )
    transport = PooledTransport(5)
    endpoint = Exchange(transport, KeySigner(), time.time)
    try:
        client = Client(CLIENT_ID, Secret(CLIENT_SECRET), variables=dict.fromkeys(provider.variables, "acme"))
        grant = ClientCredentialsGrant(client) if machine(provider) else RefreshTokenGrant(Secret(refresh_token))
        return endpoint.refresh(build_token_request(here, grant, client))
    finally:
        transport.close()


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_built_in_provider_is_asked_exactly_as_it_wants(name: str) -> None:
    with strict(PROVIDERS[name]) as (origin, seen):
        alive, dead = refresh(PROVIDERS[name], origin, ALIVE), refresh(PROVIDERS[name], origin, DEAD)
    assert seen == []
    assert isinstance(alive, Refreshed)
    assert isinstance(dead, Refreshed if machine(PROVIDERS[name]) else GrantDead)


@pytest.mark.parametrize(
    ("name", "change", "breach"),
    [
        ("google", {"client_auth": "client_secret_basic"}, "Basic where it is not declared"),
        ("xero", {"client_auth": "client_secret_post"}, "Basic credentials"),
        ("notion", {"request_format": "form"}, "content type application/x-www-form-urlencoded"),
        ("google", {"request_format": "query"}, "content type None"),
        ("withings", {"token_params": {}}, "parameter action"),
        ("tiktok", {"param_names": {}}, "client in body"),
        ("notion", {"headers": {}}, "header Notion-Version"),
        ("meta", {"refresh_params": {}}, "parameter grant_type"),
        ("figma", {"refresh_url": "https://api.figma.com/v1/oauth/token"}, "path /v1/oauth/token"),
        ("google", {"token_params": {"audience": "x"}}, "unknown parameters ['audience']"),
        ("instagram", {"refresh_method": "POST"}, "method POST"),
        ("clover", {"refresh_params": {"grant_type": ""}}, "a secret where a refresh has none"),
        ("zoom-server", {"token_params": {"grant_type": "client_credentials"}}, "parameter grant_type"),
    ],
)
def test_the_endpoint_notices_a_request_that_is_not_as_declared(name: str, change: dict[str, Any], breach: str) -> None:
    with strict(PROVIDERS[name]) as (origin, seen):
        outcome = refresh(dataclasses.replace(PROVIDERS[name], **change), origin, ALIVE)
    assert seen == [breach]
    assert isinstance(outcome, ClientRejected)
