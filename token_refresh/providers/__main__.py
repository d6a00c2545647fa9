"""`python -m token_refresh.providers check FILE`, `discover ISSUER` and `list`: for people who write a definition."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from token_refresh.adapters.http import PooledTransport
from token_refresh.core.grant import Client, RefreshTokenGrant
from token_refresh.core.http import HttpRequest
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import ProviderTableError, parse_providers
from token_refresh.core.provider.url import fill, is_secure
from token_refresh.core.secrecy import Secret, redact
from token_refresh.core.token_endpoint.request import (
    basic_credentials,
    build_code_params,
    build_refresh_params,
    build_token_request,
    forms_of,
)
from token_refresh.errors import BadEnvironment
from token_refresh.providers import BUILT_IN, load_providers, read_tables
from token_refresh.providers.discover import ArgumentError, DiscoveryError, UnreachableError, discover
from token_refresh.providers.schema import render_schema

_TIMEOUT: Final = 10.0  # s
_CODES: Final[Mapping[type[DiscoveryError], int]] = {ArgumentError: 2, UnreachableError: 3}
# Stand-ins that occur nowhere else, so that masking them masks nothing else.
_CLIENT = Client("CLIENT_ID", Secret("client-secret-stand-in"))
_ASSERTION = Secret("client-assertion-stand-in")
_REFRESH_TOKEN = Secret("refresh-token-stand-in")
_CODE = Secret("authorization-code-stand-in")
_VERIFIER = Secret("code-verifier-stand-in")
_SECRETS = forms_of([_CLIENT.client_secret, basic_credentials(_CLIENT), _ASSERTION, _REFRESH_TOKEN, _CODE, _VERIFIER])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 when a definition is wrong, 2 wrong use, 3 when a server cannot be reached."""
    parser = argparse.ArgumentParser("python -m token_refresh.providers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say what is wrong with a PROVIDERS_FILE, and show what would be sent")
    check.add_argument("file", type=Path)
    find = commands.add_parser("discover", help="write a definition from the metadata that a server publishes")
    find.add_argument("issuer", help="the issuer's URL, or that of a resource which it protects (an MCP server)")
    find.add_argument("--name", help="of the provider; otherwise taken from the host")
    commands.add_parser("schema", help="print the JSON Schema of such a file, for editors")
    commands.add_parser("list", help="print the built-in providers as a Markdown table")
    arguments = parser.parse_args(argv)
    match arguments.command:
        case "check":
            code, lines = check_file(arguments.file)
        case "discover":
            code, lines = discover_issuer(arguments.issuer, arguments.name)
        case "schema":
            code, lines = 0, render_schema().splitlines()
        case _:
            code, lines = 0, list(write_table())
    sys.stdout.write("\n".join(lines) + "\n")
    return code


def check_file(file: Path) -> tuple[int, list[str]]:
    """Say what is wrong with a file of definitions, or what they would send; the number is the exit code."""
    try:
        tables = read_tables(file)
        providers = parse_providers(tables, read_tables(BUILT_IN))
    except BadEnvironment as exc:
        return 1, [str(exc)]
    except ProviderTableError as exc:
        return 1, [f"{len(exc.problems)} problem{'s' if len(exc.problems) > 1 else ''}:", *exc.problems]
    unusable = list(_unusable(providers, tables))
    if unusable:
        return 1, unusable
    lines: list[str] = []
    for name in tables:
        provider = providers[name]
        lines += [f"{name}: a refresh sends", "", *_indented(_preview_refresh(provider)), ""]
        if provider.authorization_url:
            lines += [f"{name}: a new consent sends", "", *_indented(_preview_code(provider)), ""]
    return 0, [*lines, f"{len(tables)} provider{'s' if len(tables) != 1 else ''}, nothing wrong."]


def discover_issuer(issuer: str, name: str | None) -> tuple[int, list[str]]:
    """Write a definition from an issuer's metadata; the number is the exit code."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    with closing(PooledTransport(_TIMEOUT)) as transport:
        try:
            return 0, discover(issuer, transport, name=name, today=today).splitlines()
        except DiscoveryError as fault:
            return _CODES.get(type(fault), 1), [str(fault)]


def _unusable(providers: Mapping[str, Provider], names: Iterable[str]) -> Iterator[str]:
    """Say what concerns one provider's connections only, and so does not stop the others at run time."""
    for name in names:
        provider = providers[name]
        for key in ("token_url", "refresh_url", "authorization_url", "revocation_url"):
            url = getattr(provider, key)
            if url and not is_secure(url):
                yield f"{name}.{key}: must be https:// (http:// is for loopback only)"
        if provider.authorization_params.get("response_mode", "query") != "query":
            # An answer that another site posts comes without the session's cookie, which is SameSite=Lax.
            yield f'{name}.authorization_params.response_mode: only "query" works: the callback takes no POST'


def _indented(text: str) -> Iterator[str]:
    return (f"    {line}".rstrip() for line in text.splitlines())


def _preview_refresh(provider: Provider) -> str:
    """Show the request of a refresh."""
    return _preview(provider, provider.refresh_url, build_refresh_params(RefreshTokenGrant(_REFRESH_TOKEN)))


def _preview_code(provider: Provider) -> str:
    """Show the request that redeems an authorization code."""
    verifier = _VERIFIER if provider.pkce else None
    return _preview(
        provider, provider.token_url, build_code_params(_CODE, verifier, "https://consent.example/callback")
    )


def _preview(provider: Provider, url: str, params: dict[str, str]) -> str:
    values = {name: default or name.upper() for name, default in provider.variables.items()}
    request = build_token_request(
        provider,
        fill(url, values),
        params,
        _CLIENT,
        values=values,
        scopes=("SCOPES",),
        client_assertion=_ASSERTION,
    )
    return redact(_request_text(request), _SECRETS)


def _request_text(request: HttpRequest) -> str:
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\n".join([*lines, "", request.body.decode()]).rstrip()


def write_table() -> Iterator[str]:
    """Write the built-in providers as a Markdown table."""
    yield "| provider | client | request | refresh token | access token | refresh token lives | account | variables |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, provider in sorted(load_providers().items()):
        cells = (
            f"`{name}`",
            provider.client_auth.removeprefix("client_secret_"),
            provider.request_format,
            {"never": "stays", "always": "is replaced", "maybe": "may be replaced"}[provider.rotates_refresh_tokens],
            _span(provider.default_expires_in),
            _lives(provider),
            provider.subject.source if provider.subject else "",
            ", ".join(f"`{name}`" for name in provider.variables),
        )
        yield f"| {' | '.join(cells)} |"


def _lives(provider: Provider) -> str:
    lives = [_span(provider.refresh_token_lifetime)] if provider.refresh_token_lifetime else []
    if provider.refresh_token_idle_lifetime:
        lives.append(f"{_span(provider.refresh_token_idle_lifetime)} unused")
    return ", ".join(lives)


def _span(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


if __name__ == "__main__":
    sys.exit(main())
