"""Writes a provider's definition from what its authorization server publishes (RFC 8414, OpenID Connect Discovery).

For people who write a definition, never at run time: a metadata host that could change a token URL later could send the
client secret and every refresh token wherever it likes. A protected resource, such as an MCP server, names its
authorization server (RFC 9728); its `resource` then goes with every request (RFC 8707).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from token_refresh.core.http import HttpRequest
from token_refresh.core.json_object import text_of
from token_refresh.core.provider.keys import NAME
from token_refresh.core.provider.table import ProviderTableError, parse_providers
from token_refresh.core.provider.url import is_loopback
from token_refresh.core.token_endpoint.reply import parse_body
from token_refresh.core.token_endpoint.request import OUR_HEADERS
from token_refresh.errors import TransportError
from token_refresh.ports import HttpTransport

# RFC 8414, section 2: what a server means that does not say.
_DEFAULT_AUTH: Final = ("client_secret_basic",)
_AUTH_BY_PREFERENCE: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
_ENDPOINTS: Final = ("token_endpoint", "authorization_endpoint", "revocation_endpoint", "userinfo_endpoint")
_NO_WORD = re.compile(r"[^\x21-\x7e]")


class DiscoveryError(ValueError):
    """No definition can be written; the message says what was found instead."""


class UnreachableError(DiscoveryError):
    """The server did not answer."""


class ArgumentError(DiscoveryError):
    """What was asked for is not an issuer's address, or cannot be a provider's name."""


def discover(issuer: str, transport: HttpTransport, *, name: str | None = None, today: str) -> str:
    """Return the TOML table of the provider at `issuer`, or of the one that protects that resource.

    `today` (ISO 8601) goes above the table. Raises `DiscoveryError`.
    """
    if not _is_address(issuer):
        raise ArgumentError(f"{_word(issuer)} must be an https:// URL")
    issuer, resource = issuer.rstrip("/") if urlsplit(issuer).path == "/" else issuer, None
    source, metadata = _fetch_server(issuer, transport)
    if metadata is None:
        named = _fetch_resource(issuer, transport)
        if named is None:
            raise DiscoveryError(f"{issuer} publishes no metadata (tried {', '.join(_places(issuer))})")
        server, resource = named
        source, metadata = _fetch_server(server, transport)
        if metadata is None:
            raise DiscoveryError(f"{issuer} names {server}, which publishes no metadata")
    return build_definition(name or propose_name(issuer), metadata, source=source, today=today, resource=resource)


def build_definition(
    name: str, metadata: Mapping[str, object], *, source: str, today: str, resource: str | None = None
) -> str:
    """Write the table that `metadata` stands for; raises `DiscoveryError` for metadata that make no definition."""
    if not NAME.fullmatch(name):
        raise ArgumentError(f"{name!r} cannot be a provider's name: lower-case letters, digits, _ and -")
    urls = {key: text_of(metadata, key) for key in _ENDPOINTS}
    if urls["token_endpoint"] is None:
        raise DiscoveryError(f"{source} has no token_endpoint")
    lines = [
        f"# {_word(source)} ({today})",
        *(f"# {remark}" for remark in _remarks(metadata)),
        f"[{name}]",
        *_keys(metadata, urls),
    ]
    if resource is not None:
        lines += [f"{key} = {{ resource = {_text(resource)} }}" for key in ("token_params", "authorization_params")]
    text = "\n".join(lines) + "\n"
    try:
        parse_providers(tomllib.loads(text))
    except ProviderTableError as fault:
        raise DiscoveryError(f"{source} makes no definition: {fault}") from fault
    return text


def propose_name(issuer: str) -> str:
    """Return a name for the provider at `issuer`: the label in front of the public suffix, as far as one can tell."""
    host = urlsplit(issuer).hostname or ""
    labels = host.split(".")
    label = "local" if is_loopback(host) else labels[-2] if len(labels) > 1 else labels[0]
    return re.sub(r"[^a-z0-9_-]", "-", label.lower()).strip("-_") or "provider"


def _keys(metadata: Mapping[str, object], urls: Mapping[str, str | None]) -> Iterator[str]:
    for key, endpoint in (
        ("token_url", "token_endpoint"),
        ("authorization_url", "authorization_endpoint"),
        ("revocation_url", "revocation_endpoint"),
    ):
        if urls[endpoint] is not None:
            yield f"{key} = {_text(urls[endpoint])}"
    yield f"issuer = {_text(metadata.get('issuer'))}"
    methods = _words(metadata, "token_endpoint_auth_methods_supported") or _DEFAULT_AUTH
    yield f"client_auth = {_text(next((m for m in _AUTH_BY_PREFERENCE if m in methods), 'client_secret_basic'))}"
    challenges = _words(metadata, "code_challenge_methods_supported")
    if challenges and "S256" not in challenges:
        yield "pkce = false"
    if metadata.get("authorization_response_iss_parameter_supported") is True:
        yield "iss_required = true"
    if "openid" in _words(metadata, "scopes_supported"):
        yield "openid = true"
        yield 'subject = { from = "id_token", path = "sub" }'
    elif urls["userinfo_endpoint"] is not None:
        yield f'subject = {{ from = "userinfo", url = {_text(urls["userinfo_endpoint"])}, path = "sub" }}'
    if urls["userinfo_endpoint"] is not None:
        yield f"probe_url = {_text(urls['userinfo_endpoint'])}"
    yield 'rotates_refresh_tokens = "maybe" # metadata do not tell; "never" saves two writes a refresh'


def _remarks(metadata: Mapping[str, object]) -> Iterator[str]:
    if "offline_access" in _words(metadata, "scopes_supported"):
        yield "Scope offline_access brings a refresh token."
    grants = _words(metadata, "grant_types_supported")
    if grants and "refresh_token" not in grants:
        yield f"This server names no refresh tokens among its grant types: {' '.join(grants)}"
    if not _words(metadata, "code_challenge_methods_supported"):
        yield "The metadata do not mention PKCE; it is sent all the same. A server that refuses it: pkce = false"
    methods = _words(metadata, "token_endpoint_auth_methods_supported")
    if methods:
        yield f"Client authentication that it takes: {' '.join(methods)}"
    if metadata.get("dpop_signing_alg_values_supported"):
        yield 'It can bind refresh tokens to a key: "dpop_private_key" in the client registration.'


def _fetch_server(issuer: str, transport: HttpTransport) -> tuple[str, Mapping[str, object] | None]:
    for place in _places(issuer):
        metadata = _fetch(place, transport)
        if metadata is None:
            continue
        found = metadata.get("issuer")
        # RFC 8414, section 3.3; OpenID Connect Discovery, section 4.3: else anybody could speak for anybody.
        if not isinstance(found, str) or found.rstrip("/") != issuer.rstrip("/"):
            raise DiscoveryError(f"{place} is the metadata of {_word(str(found))}, not of {issuer}")
        return place, metadata
    return "", None


def _fetch_resource(resource: str, transport: HttpTransport) -> tuple[str, str] | None:
    """Return the authorization server that a protected resource names, and the resource as it calls itself."""
    parts = urlsplit(resource)
    path = parts.path.rstrip("/")
    for tail in dict.fromkeys((path, "")):
        metadata = _fetch(f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{tail}", transport)
        if metadata is None:
            continue
        named = metadata.get("resource")
        own = f"{parts.scheme}://{parts.netloc}{tail}"
        if not isinstance(named, str) or named.rstrip("/") != own:
            raise DiscoveryError(f"{own} is described as {_word(str(named))}")  # RFC 9728, section 3.3
        servers = _words(metadata, "authorization_servers")
        if not servers:
            raise DiscoveryError(f"{own} names no authorization server")
        return servers[0], named
    return None


def _places(issuer: str) -> list[str]:
    """Return where metadata may be: RFC 8414, section 3, then OpenID Connect Discovery, section 4."""
    if not _is_address(issuer):
        raise DiscoveryError(f"{_word(issuer)} must be an https:// URL")
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    places = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/openid-configuration{path}",
    )
    return list(dict.fromkeys(places))


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def _fetch(url: str, transport: HttpTransport) -> Mapping[str, object] | None:
    try:
        reply = transport.send(HttpRequest("GET", url, OUR_HEADERS))
    except TransportError as fault:
        raise UnreachableError(f"{url} cannot be reached") from fault
    return parse_body(reply) if reply.status == HTTPStatus.OK else None


def _words(metadata: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = metadata.get(key)
    return tuple(_word(item) for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _word(text: str) -> str:
    """Return `text` so that it cannot leave its line, nor a comment."""
    return _NO_WORD.sub("", text)[:200]


def _text(value: object) -> str:
    return json.dumps(str(value))  # a JSON string is a TOML string
