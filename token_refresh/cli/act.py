"""`refresh`, `revoke` and `link`: what the deployed functions do on request."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import click

from token_refresh.cli.service import call
from token_refresh.cli.session import UNREACHABLE, Session, Stop, command, no_connection, write_moment, write_table
from token_refresh.connections.directory import Directory
from token_refresh.core.overview.row import Row, Standing
from token_refresh.core.status import Outcome
from token_refresh.errors import StoreDenied

_WAIT_SECONDS: Final = 90
_LOOK_EVERY: Final = 2.0
_WELL: Final = (Outcome.REFRESHED, Outcome.FRESH, Outcome.PLANNED, Outcome.BUSY, Outcome.DEFERRED, Outcome.REVOKED)
_LATER: Final = (Outcome.UNAVAILABLE, Outcome.BUSY, Outcome.DEFERRED)
_REFRESH_URL: Final = "TOKEN_REFRESH_URL"
_STATUS_URL: Final = "TOKEN_REFRESH_STATUS_URL"


@click.command("refresh")
@click.argument("names", nargs=-1, required=True)
@click.option("--url", envvar=_REFRESH_URL, help=f"URL of refresh_http ({_REFRESH_URL}); without it, by the topic.")
@click.option("--wait/--no-wait", default=None, help="Wait until the topic's run is over; on a terminal it does.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@command
def refresh_connections(
    session: Session,
    names: Sequence[str],
    url: str | None,
    wait: bool | None,  # noqa: FBT001
    dry_run: bool,  # noqa: FBT001
) -> None:
    """Refresh connections now, due or not."""
    body: dict[str, object] = {"connections": list(names), "force": True}
    if url:
        _run_by_http(session, url, {**body, **({"dry_run": True} if dry_run else {})})
        return
    for name in names:
        _require(session, name)
    topic = session.settings.refresh_topic
    if dry_run:
        session.show({"planned": list(names), "topic": topic}, [f"would ask on the topic {topic}: {', '.join(names)}"])
        return
    waits = sys.stdout.isatty() if wait is None else wait
    before = {name: session.parts.overview.look_at(name) for name in names} if waits else {}
    session.parts.publisher.request_refresh(body)
    document: dict[str, object] = {"requested": list(names), "topic": topic}
    if not before:
        session.show(document, [f"requested: {', '.join(names)}. Look: token-refresh explain {names[0]}"])
        return
    session.progress(f"requested on the topic {topic}; waiting for the run")
    rows = _wait_for(session, before)
    ill = [name for name, row in rows.items() if row is None or row.state not in (Standing.HEALTHY, Standing.PAUSED)]
    lines = write_table(
        ("NAME", "STATE", "REASON", "ACCESS TOKEN UNTIL"),
        [(n, r.state, r.reason or "", write_moment(r.expires_at)) if r else (n, "?", "", "") for n, r in rows.items()],
    )
    session.show({**document, "connections": [row.as_json(None) for row in rows.values() if row]}, lines)
    if ill:
        raise Stop(f"look why: token-refresh explain {ill[0]}")


@click.command("revoke")
@click.argument("name")
@click.option("--url", envvar=_REFRESH_URL, required=True, help=f"URL of refresh_http ({_REFRESH_URL}).")
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal nobody is asked anyway.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@command
def revoke_connection(session: Session, name: str, url: str, yes: bool, dry_run: bool) -> None:  # noqa: FBT001
    """Revoke a connection's grant at the provider and destroy its access tokens; its owner must consent anew."""
    if sys.stdin.isatty() and not (yes or dry_run):
        click.confirm(f"Revoke the grant of {name}? Jobs that use it fail at once.", abort=True, err=True)
    _run_by_http(session, url, {"revoke": [name], **({"dry_run": True} if dry_run else {})})


@click.command("link")
@click.argument("name")
@click.option("--url", envvar=_STATUS_URL, required=True, help=f"URL of status ({_STATUS_URL}).")
@command
def link_connection(session: Session, name: str, url: str) -> None:
    """Print a fresh consent link for a connection's owner."""
    status, document = call(f"{url}?{urlencode({'connection': name})}")
    rows = document.get("connections")
    row = next((r for r in rows if r.get("name") == name), None) if isinstance(rows, list) else None
    if status != HTTPStatus.OK or row is None:
        raise no_connection(name)
    if not row.get("consent_url"):
        raise Stop("consent is not deployed: set CONSENT_URL and CONSENT_SIGNING_KEY (docs/consent.md)")
    document = {"connection": name, "owner": row.get("owner"), "consent_url": row["consent_url"]}
    session.show(document, [str(row["consent_url"])])


def _run_by_http(session: Session, url: str, body: dict[str, object]) -> None:
    session.progress("running")
    status, document = call(url, body=body)
    if status != HTTPStatus.OK:
        said = str(document.get("message") or document.get("error") or status)
        raise Stop(f"{said}: token-refresh list" if status == HTTPStatus.NOT_FOUND else said)
    connections: list[dict[str, Any]] = document.get("connections") or []
    rows = [
        (str(c.get("name")), str(c.get("outcome")), str(c.get("reason") or ""), write_moment(_time_of(c)))
        for c in connections
    ]
    session.show(document, write_table(("NAME", "OUTCOME", "REASON", "ACCESS TOKEN UNTIL"), rows))
    later = [c["name"] for c in connections if c.get("outcome") in _LATER]
    if later and "revoke" in body:
        raise Stop(f"{later[0]}: not confirmed, nothing was changed. Try again", UNREACHABLE)
    ill = [c["name"] for c in connections if c.get("outcome") not in _WELL]
    if ill:
        raise Stop(f"look why: token-refresh explain {ill[0]}")


def _time_of(connection: dict[str, Any]) -> float | None:
    moment = connection.get("access_token_expires_at")
    return float(moment) if isinstance(moment, int | float) else None


def _require(session: Session, name: str) -> None:
    """Make sure that there is a connection of that name, as far as one may look."""
    with suppress(StoreDenied):
        if Directory(session.parts.store).find(name) is None:
            raise no_connection(name)


def _wait_for(session: Session, before: dict[str, Row | None]) -> dict[str, Row | None]:
    """Look until every connection shows a new attempt, for at most a minute and a half."""
    end = time.monotonic() + _WAIT_SECONDS
    rows = dict(before)
    waiting = list(before)
    while waiting and time.monotonic() < end:
        time.sleep(_LOOK_EVERY)
        for name in waiting:
            rows[name] = session.parts.overview.look_at(name)
        waiting = [n for n in waiting if (row := rows[n]) and (old := before[n]) and row.mark == old.mark]
    if waiting:
        raise Stop(
            f"no run has looked at {waiting[0]} in {_WAIT_SECONDS} s: is the refresher deployed, and is it its topic?",
            UNREACHABLE,
        )
    return rows
