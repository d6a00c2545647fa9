"""Definitions written from the metadata that a server publishes, asked for over real HTTP."""

from __future__ import annotations

import json
import threading
import tomllib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.worlds.providers_command import run_providers
from token_refresh.adapters.http import PooledTransport
from token_refresh.core.provider.table import parse_providers
from token_refresh.providers.discover import DiscoveryError, build_definition, discover, propose_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from token_refresh.core.provider.definition import Provider

pytestmark = pytest.mark.timeout(30)

TODAY = "2026-11-28"
OAUTH, OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
RESOURCE = "/.well-known/oauth-protected-resource"


@contextmanager
def serving(**documents: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Serve documents by path; `{origin}` in them is the server's own."""
    pages: dict[str, Any] = dict(documents)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            status = 302 if isinstance(page, str) else 404 if page is None else 200
            body = b"" if status != 200 else json.dumps(page).replace("{origin}", origin).encode()
            self.send_response(status)
            if isinstance(page, str):
                self.send_header("location", page)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield origin, pages
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def metadata(issuer: str = "{origin}", **more: Any) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/token",
        "authorization_endpoint": f"{issuer}/authorize",
        **more,
    }


def found(issuer: str, name: str = "acme") -> Provider:
    transport = PooledTransport(5)
    try:
        text = discover(issuer, transport, name=name, today=TODAY)
    finally:
        transport.close()
    return parse_providers(tomllib.loads(text))[name]


@pytest.mark.parametrize("place", [OAUTH, OPENID])
def test_metadata_are_found_where_either_standard_has_them(place: str) -> None:
    with serving() as (origin, pages):
        pages[place] = metadata()
        provider = found(origin)
        assert (provider.token_url, provider.authorization_url) == (f"{origin}/token", f"{origin}/authorize")
        assert provider.issuer == origin
        assert provider.client_auth == "client_secret_basic"  # RFC 8414, section 2


@pytest.mark.parametrize("place", [OAUTH + "/tenants/1", "/tenants/1" + OPENID, OPENID + "/tenants/1"])
def test_an_issuer_may_have_a_path(place: str) -> None:
    with serving() as (origin, pages):
        pages[place] = metadata("{origin}/tenants/1")
        assert found(f"{origin}/tenants/1").token_url == f"{origin}/tenants/1/token"


def test_what_the_metadata_tell_becomes_keys() -> None:
    told = metadata(
        revocation_endpoint="{origin}/revoke",
        userinfo_endpoint="{origin}/me",
        token_endpoint_auth_methods_supported=["private_key_jwt", "client_secret_post"],
        code_challenge_methods_supported=["plain"],
        authorization_response_iss_parameter_supported=True,
        scopes_supported=["openid", "offline_access"],
        dpop_signing_alg_values_supported=["ES256"],
        grant_types_supported=["authorization_code"],
    )
    with serving() as (origin, pages):
        pages[OPENID] = told
        provider = found(origin)
        assert provider.client_auth == "client_secret_post"
        assert (provider.pkce, provider.openid, provider.iss_required) == (False, True, True)
        assert provider.revocation_url == f"{origin}/revoke"
        assert provider.probe_url == f"{origin}/me"
        assert provider.subject is not None
        assert provider.subject.source == "id_token"
        assert provider.rotates


def test_without_openid_the_account_is_asked_for() -> None:
    with serving() as (origin, pages):
        pages[OAUTH] = metadata(
            userinfo_endpoint="{origin}/me",
            token_endpoint_auth_methods_supported=["none"],
            code_challenge_methods_supported=["S256"],
        )
        provider = found(origin)
        assert (provider.client_auth, provider.pkce, provider.openid) == ("none", True, False)
        assert provider.subject is not None
        assert (provider.subject.source, provider.subject.url) == ("userinfo", f"{origin}/me")


@pytest.mark.parametrize("place", [RESOURCE + "/mcp", RESOURCE])
def test_an_mcp_server_names_its_authorization_server_and_goes_with_every_request(place: str) -> None:
    with serving() as (origin, pages):
        own = origin + place.removeprefix(RESOURCE)
        pages[place] = {"resource": own, "authorization_servers": ["{origin}/as"]}
        pages[OAUTH + "/as"] = metadata("{origin}/as")
        provider = found(f"{origin}/mcp")
        assert provider.token_url == f"{origin}/as/token"
        assert provider.token_params == provider.authorization_params == {"resource": own}


@pytest.mark.parametrize(
    ("pages", "path", "message"),
    [
        pytest.param({}, "", "publishes no metadata", id="nothing"),
        pytest.param({OAUTH: "https://elsewhere.example/"}, "", "publishes no metadata", id="redirect"),
        pytest.param({OAUTH: metadata("https://evil.example")}, "", "of https://evil.example, not", id="another's"),
        pytest.param({OAUTH: {"token_endpoint": "{origin}/t"}}, "", "metadata of None, not of", id="no issuer"),
        pytest.param({OAUTH: {"issuer": "{origin}"}}, "", "has no token_endpoint", id="no endpoint"),
        pytest.param({OAUTH: metadata(token_endpoint="ftp://x/")}, "", "token_url: must be an https", id="ftp"),
        pytest.param({OAUTH: metadata(token_endpoint="https://x/{y}")}, "", "{y} is not declared", id="template"),
        pytest.param({RESOURCE: {"resource": "https://evil.example"}}, "", "is described as https://evil", id="rs"),
        pytest.param({RESOURCE: {"resource": "{origin}"}}, "", "names no authorization server", id="no server"),
        pytest.param(
            {RESOURCE: {"resource": "{origin}", "authorization_servers": ["{origin}/as"]}},
            "",
            "names {origin}/as, which publishes no metadata",
            id="silent server",
        ),
    ],
)
def test_what_makes_no_definition_is_refused(pages: dict[str, Any], path: str, message: str) -> None:
    with serving(**pages) as (origin, _), pytest.raises(DiscoveryError) as refused:
        found(origin + path)
    assert message.replace("{origin}", origin) in str(refused.value)


def test_nothing_is_asked_without_tls_and_nothing_answers_at_a_closed_port() -> None:
    with pytest.raises(DiscoveryError, match="must be an https"):
        found("http://issuer.example")
    with pytest.raises(DiscoveryError, match="cannot be reached"):
        found("http://127.0.0.1:1")


def test_no_word_of_the_metadata_can_leave_its_line() -> None:
    line = '\ntoken_url = "https://evil.example/token"\n[evil]\n'
    told = {
        "issuer": "https://a.example",
        "token_endpoint": "https://a.example/token",
        "grant_types_supported": [f"code{line}"],
        "token_endpoint_auth_methods_supported": [f"none{line}"],
    }
    text = build_definition("acme", told, source=f"https://a.example/{line}", today=TODAY)
    assert set(tomllib.loads(text)) == {"acme"}
    assert tomllib.loads(text)["acme"]["token_url"] == "https://a.example/token"


@pytest.mark.parametrize("key", ["issuer", "token_endpoint", "revocation_endpoint", "userinfo_endpoint"])
def test_an_address_that_is_more_than_an_address_is_refused(key: str) -> None:
    told = {"issuer": "https://a.example", "token_endpoint": "https://a.example/token"}
    told[key] = 'https://a.example"\ntoken_url = "https://evil.example/'
    with pytest.raises(DiscoveryError, match="must be an https:// URL"):
        build_definition("acme", told, source="s", today=TODAY)


@pytest.mark.parametrize(
    ("issuer", "name"),
    [
        ("https://auth.acme.example/", "acme"),
        ("https://login.Acme-Corp.com/tenants/1", "acme-corp"),
        ("https://localhost:8080", "local"),
        ("https://intranet", "intranet"),
        ("https://", "provider"),
    ],
)
def test_a_name_is_proposed(issuer: str, name: str) -> None:
    assert propose_name(issuer) == name


def test_a_name_must_be_fit_for_a_label() -> None:
    with pytest.raises(DiscoveryError, match="cannot be a provider's name"):
        build_definition("Acme", {"token_endpoint": "https://a.example/t"}, source="s", today=TODAY)


def test_the_command_prints_a_table_that_the_other_command_accepts(tmp_path: Any) -> None:
    file = tmp_path / "providers.toml"
    with serving() as (origin, pages):
        pages[OAUTH] = metadata()
        file.write_text(run_providers("discover", origin, "--name", "acme").stdout)
    assert "1 provider, nothing wrong." in run_providers("check", file).stdout
    unreachable = run_providers("discover", "http://127.0.0.1:1", code=3)
    assert "cannot be reached" in unreachable.stderr
    assert unreachable.stdout == ""


@pytest.mark.parametrize(
    "issuer", ["issuer.example", "http://issuer.example", "ftp://127.0.0.1", "https://", "https://["]
)
def test_what_is_not_an_address_is_wrong_use_and_nothing_is_asked(issuer: str) -> None:
    assert run_providers("discover", issuer, code=2).stderr == f"Error: {issuer} must be an https:// URL\n"
