"""`python -m token_refresh.providers check FILE`, `discover ISSUER` and `list`: for people who write a definition."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from token_refresh.adapters.http import RequestsTransport
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import ProviderTableError, parse_providers
from token_refresh.core.provider.url import is_plaintext
from token_refresh.errors import BadEnvironment
from token_refresh.providers import BUILT_IN, load_providers, read_tables
from token_refresh.providers.discover import DiscoveryError, UnreachableError, discover
from token_refresh.providers.preview import preview_code, preview_refresh
from token_refresh.providers.schema import render_schema

_TIMEOUT: Final = 10.0  # s


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 when a definition is wrong, 3 when a server cannot be reached."""
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
        lines += [f"{name}: a refresh sends", "", *_indented(preview_refresh(provider)), ""]
        if provider.authorization_url:
            lines += [f"{name}: a new consent sends", "", *_indented(preview_code(provider)), ""]
    return 0, [*lines, f"{len(tables)} provider{'s' if len(tables) != 1 else ''}, nothing wrong."]


def discover_issuer(issuer: str, name: str | None) -> tuple[int, list[str]]:
    """Write a definition from an issuer's metadata; the number is the exit code."""
    transport = RequestsTransport(_TIMEOUT)
    try:
        text = discover(issuer, transport, name=name, today=dt.datetime.now(dt.UTC).date().isoformat())
    except DiscoveryError as fault:
        return 3 if isinstance(fault, UnreachableError) else 1, [str(fault)]
    finally:
        transport.close()
    return 0, text.splitlines()


def _unusable(providers: Mapping[str, Provider], names: Iterable[str]) -> Iterator[str]:
    """Say what concerns one provider's connections only, and so does not stop the others at run time."""
    for name in names:
        provider = providers[name]
        for key in ("token_url", "refresh_url", "authorization_url", "revocation_url"):
            if is_plaintext(getattr(provider, key) or ""):
                yield f"{name}.{key}: must be https:// (http:// is for loopback only)"
        if provider.authorization_params.get("response_mode", "query") != "query":
            # An answer that another site posts comes without the session's cookie, which is SameSite=Lax.
            yield f'{name}.authorization_params.response_mode: only "query" works: the callback takes no POST'


def _indented(text: str) -> Iterator[str]:
    return (f"    {line}".rstrip() for line in text.splitlines())


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
