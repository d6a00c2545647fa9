"""Every built-in definition that says how a grant is revoked, against an endpoint that looks at what arrives."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.fakes.token_requests import build_token_request
from token_refresh.adapters.http import PooledTransport
from token_refresh.adapters.signing import KeySigner
from token_refresh.core.grant import Client, RefreshTokenGrant
from token_refresh.core.provider.url import fill
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.request import basic_credentials
from token_refresh.core.token_endpoint.revocation import Revoked
from token_refresh.providers import load_providers
from token_refresh.token_endpoint.revocation import Revoker

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)

PROVIDERS = {name: provider for name, provider in load_providers().items() if provider.revocation_url}
REFRESH, ACCESS, SECRET = "refresh-token-1234", "access-token-1234", "client-secret-1234"


@dataclasses.dataclass
class Seen:
    method: str
    path: str
    fields: dict[str, str]
    headers: dict[str, str]


@contextmanager
def endpoint() -> Iterator[tuple[str, list[Seen]]]:
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            parts = urlsplit(self.path)
            kind = self.headers.get("content-type") or ""
            fields = json.loads(body) if "json" in kind else dict(parse_qsl(body or parts.query))
            seen.append(Seen(self.command, parts.path, fields, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_DELETE = do_GET = do_POST  # noqa: N815 - the server's names

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_built_in_provider_is_asked_to_revoke_as_it_wants(name: str) -> None:
    provider = PROVIDERS[name]
    way, path = provider.revocation, urlsplit(provider.revocation_url or "").path
    client = Client("client-1", Secret(SECRET), variables=dict.fromkeys(provider.variables, "acme"))
    transport = PooledTransport(5)
    with endpoint() as (origin, seen):
        here = dataclasses.replace(provider, revocation_url=f"{origin}{path}")
        request = build_token_request(here, RefreshTokenGrant(Secret(REFRESH)), client)
        outcome = Revoker(transport, KeySigner(), time.time).revoke(request, access_token=Secret(ACCESS))
    transport.close()
    sent = {"both": [REFRESH, ACCESS], "refresh_token": [REFRESH], "access_token": [ACCESS]}[way.tokens]
    assert outcome == Revoked()
    assert [one.method for one in seen] == [way.method] * len(sent)
    values = {"client_id": "client-1", **dict.fromkeys(provider.variables, "acme")}
    assert {one.path for one in seen} == {fill(path, values)}
    for one, token in zip(seen, sent, strict=True):
        authorization = one.headers.get("authorization", "")
        places = [*one.fields.values(), authorization.removeprefix("Bearer ")]
        assert token in places
        auth = way.client_auth or provider.client_auth
        if auth == "client_secret_basic":
            assert authorization == f"Basic {basic_credentials(client).reveal()}"
        by_template = "{client_secret}" in str(way) or "{client_secret}" in str(provider.headers)
        told = SECRET in one.fields.values() or SECRET in authorization
        assert told == (auth == "client_secret_post" or by_template)


def test_the_most_used_providers_that_can_be_asked_are() -> None:
    most_used = {"google", "salesforce", "hubspot", "xero", "quickbooks", "zoom", "dropbox", "box", "github", "gitlab"}
    assert most_used <= set(PROVIDERS)
