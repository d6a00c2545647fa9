"""`check`: use the stored access token once. That a refresh succeeds does not prove that the token works."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import click

from token_refresh.cli.look import find_row
from token_refresh.cli.service import send
from token_refresh.cli.session import UNREACHABLE, Session, Stop, command
from token_refresh.connections.memory import find_provider, read_client
from token_refresh.core import boundaries
from token_refresh.core.connection import Connection
from token_refresh.core.grant import parse_grant
from token_refresh.core.http import HttpReply
from token_refresh.core.json_object import read_object, text_of
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.url import is_secure, variables_of
from token_refresh.core.secrecy import Secret, shown
from token_refresh.core.token_endpoint.request import build_resource_request
from token_refresh.core.token_exchange import HandedOut, build_answer
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import SecretMissing, StoreError, VersionMissing, VersionUnusable

_SECONDS: Final = 30.0
_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@click.command("check")
@click.argument("name")
@command
def check_connection(session: Session, name: str) -> None:
    """Use the stored access token once, at the provider's userinfo endpoint or `probe_url`: say whether it works."""
    connection = find_row(session, name).connection
    provider = find_provider(session.parts.providers, connection.provider)
    token, scope = _read_token(session, connection)
    url, needs_openid = _find_probe(session, connection, provider)
    reply = _send(url, provider, token)
    works = reply.status in range(200, 300)
    if works:
        document = {"connection": name, "url": url, "status": reply.status, "works": True}
        session.show(document, [f"{name}: the access token works ({reply.status} from {url})"])
        return
    if reply.status in _REFUSED and not (needs_openid and "openid" not in scope.split()):
        says = shown(reply.body.decode(errors="replace"), (token,), 200)
        raise Stop(
            f"{name}: the access token does not work: {reply.status} from {url}: {says}. "
            f"Refresh it (token-refresh refresh {name}), then look why (token-refresh explain {name})"
        )
    hint = " (the connection has no scope openid: set probe_url in PROVIDERS_FILE)" if reply.status in _REFUSED else ""
    raise Stop(f"{name}: cannot tell: {reply.status} from {url}{hint}", UNREACHABLE)


def _find_probe(session: Session, connection: Connection, provider: Provider) -> tuple[str, bool]:
    """Return where to use the token, and whether the place serves only tokens with the scope `openid`."""
    template = provider.probe_url
    if not template and provider.subject and provider.subject.source == "userinfo":
        template = provider.subject.url
    if template:
        return _fill(session, connection, provider, template), False
    if provider.openid and provider.issuer:
        issuer = _fill(session, connection, provider, provider.issuer)
        return _userinfo_of(issuer, provider), True
    raise Stop(
        f"provider {provider.name} has neither probe_url nor a userinfo endpoint: add "
        f'`probe_url = "https://..."` to its table in PROVIDERS_FILE (`extends = "{provider.name}"`)'
    )


def _userinfo_of(issuer: str, provider: Provider) -> str:
    """Ask the issuer for its userinfo endpoint (OpenID Connect Discovery 1.0, section 4)."""
    reply = _send(f"{issuer.rstrip('/')}/.well-known/openid-configuration", provider, None)
    url = text_of(read_object(reply.body) or {}, "userinfo_endpoint")
    if url is None or not is_secure(url):
        raise Stop(f"{issuer} names no userinfo endpoint: set probe_url in PROVIDERS_FILE")
    return url


def _fill(session: Session, connection: Connection, provider: Provider, template: str) -> str:
    if not any(variables_of(template)):
        return template
    # What decides where the token may go stands in the payload or the registration.
    store = session.parts.store
    request = TokenRequest(connection, provider, parse_grant(store.access(connection.secret_id).payload))
    if not request.has_own_client:
        with suppress(StoreError):
            request = replace(request, registration=read_client(store, connection.client_secret_id)[0])
    return boundaries.resolve(template, request)[0]


def _read_token(session: Session, connection: Connection) -> tuple[Secret, str]:
    """Return the stored access token and its scope."""
    name, secret_id = connection.name, connection.access_token_secret_id
    try:
        payload = session.parts.store.access(secret_id).payload
    except (SecretMissing, VersionMissing, VersionUnusable) as fault:
        raise Stop(f"{fault}: token-refresh refresh {name}") from None
    if connection.is_text:
        return Secret(payload.decode(errors="replace").strip()), " ".join(connection.scopes)
    answer = build_answer(payload, name, time.time())
    if isinstance(answer, HandedOut):
        return answer.access_token, answer.scope
    if answer.retry_after:
        raise Stop(f"{name}: the stored access token has run out: token-refresh explain {name}")
    raise Stop(f"{secret_id} does not hold the document of {name}: token-refresh refresh {name}")


def _send(url: str, provider: Provider, token: Secret | None) -> HttpReply:
    return send(build_resource_request(provider, url, token), _SECONDS, "try again later")
