"""`providers list`, `check` and `discover`: definitions of providers."""

from __future__ import annotations

from pathlib import Path

import click

from token_refresh.cli.session import NO, Session, command, write_table
from token_refresh.providers.__main__ import check_file, discover_issuer


@click.group("providers")
def providers() -> None:
    """Show, check and write definitions of providers."""


@providers.command("list")
@command
def list_providers(session: Session) -> None:
    """Show the providers: the built-in ones and those of PROVIDERS_FILE."""
    known = sorted(session.known_providers.items())
    rows = [(name, p.shown_name, p.client_auth, p.rotates_refresh_tokens) for name, p in known]
    document = [
        {
            "name": name,
            "title": p.shown_name,
            "token_url": p.token_url,
            "client_auth": p.client_auth,
            "rotates_refresh_tokens": p.rotates_refresh_tokens,
            "variables": list(p.variables),
        }
        for name, p in known
    ]
    session.show({"providers": document}, write_table(("PROVIDER", "TITLE", "CLIENT", "REFRESH TOKEN REPLACED"), rows))


@providers.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@command
def check_providers(session: Session, file: Path) -> None:
    """Say what is wrong with a PROVIDERS_FILE, and show what would be sent."""
    code, lines = check_file(file)
    session.show({"ok": code == 0, "says": lines}, lines)
    if code:
        raise click.exceptions.Exit(NO)


@providers.command("discover")
@click.argument("issuer")
@click.option("--name", help="Of the provider; otherwise taken from the host.")
@command
def discover_provider(session: Session, issuer: str, name: str | None) -> None:
    """Write a definition from the metadata that a server publishes (RFC 8414, OpenID)."""
    code, lines = discover_issuer(issuer, name)
    session.show({"ok": code == 0, "toml" if code == 0 else "says": "\n".join(lines)}, lines)
    if code:
        raise click.exceptions.Exit(code)
