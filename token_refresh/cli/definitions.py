"""`providers list`, `check` and `discover`: definitions of providers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import click

from token_refresh.adapters.http import PooledTransport
from token_refresh.cli.session import NO, UNREACHABLE, WRONG_USE, Session, Stop, command, with_schedule, write_table
from token_refresh.core.state.timing import find_margin
from token_refresh.core.units import MINUTE
from token_refresh.providers.discover import ArgumentError, DiscoveryError, UnreachableError, discover
from token_refresh.providers.preview import check_file

_TIMEOUT: Final = 10.0  # s
_CODES: Final[Mapping[type[DiscoveryError], int]] = {ArgumentError: WRONG_USE, UnreachableError: UNREACHABLE}


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
    ok, lines = check_file(file)
    session.show({"ok": ok, "says": lines}, lines)
    if not ok:
        raise click.exceptions.Exit(NO)


@providers.command("discover")
@click.argument("issuer")
@click.option("--name", help="Of the provider; otherwise taken from the host.")
@command
def discover_provider(session: Session, issuer: str, name: str | None) -> None:
    """Write a definition from the metadata that a server publishes (RFC 8414, OpenID)."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    with closing(PooledTransport(_TIMEOUT)) as transport:
        try:
            toml = discover(issuer, transport, name=name, today=today).rstrip("\n")
        except DiscoveryError as fault:  # standard output is for the definition: `discover ISSUER >> providers.toml`
            raise Stop(str(fault), _CODES.get(type(fault), NO)) from None
    session.show({"ok": True, "toml": toml}, [toml])
