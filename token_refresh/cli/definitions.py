"""`providers list`, `check` and `discover`: definitions of providers."""

from __future__ import annotations

from pathlib import Path

import click

from token_refresh.cli.session import NO, Session, Stop, command, with_schedule, write_table
from token_refresh.core.state.timing import find_margin
from token_refresh.core.units import MINUTE
from token_refresh.providers.__main__ import check_file, discover_issuer


@click.group("providers")
def providers() -> None:
    """Show, check and write definitions of providers."""


@providers.command("list")
@with_schedule
@command
def list_providers(session: Session) -> None:
    """Show the providers: the built-in ones and those of PROVIDERS_FILE.

    Whether a token can be kept fresh follows from the life that a definition expects of it, and from how often runs
    come; what a reply says of its token counts more, and so does the margin of a connection.
    """
    run_every = session.environment.run_every
    rows, document = [], []
    for name, p in sorted(session.known_providers.items()):
        margin = find_margin(
            p.refresh_before_expiry, session.environment.refresh_before_expiry, p.default_expires_in, run_every
        )
        takes = f"runs more often than every {margin:g} s" if margin > MINUTE else "no schedule is often enough"
        fresh = "yes" if margin > run_every else f"no: {takes}"
        rows.append((name, p.shown_name, p.client_auth, p.rotates_refresh_tokens, f"{p.default_expires_in} s", fresh))
        document.append(
            {
                "name": name,
                "title": p.shown_name,
                "token_url": p.token_url,
                "client_auth": p.client_auth,
                "rotates_refresh_tokens": p.rotates_refresh_tokens,
                "variables": list(p.variables),
                "default_expires_in": p.default_expires_in,
                "cannot_keep_fresh": margin <= run_every,
            }
        )
    head = (
        "PROVIDER",
        "TITLE",
        "CLIENT",
        "REFRESH TOKEN REPLACED",
        "TOKEN LIFE",
        f"FRESH BY RUNS EVERY {run_every:g} S",
    )
    session.show({"run_every": run_every, "providers": document}, write_table(head, rows))


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
    if code:  # standard output is for the definition: `discover ISSUER >> providers.toml`
        raise Stop("\n".join(lines), code)
    session.show({"ok": True, "toml": "\n".join(lines)}, lines)
