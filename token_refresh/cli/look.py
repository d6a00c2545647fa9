"""`list` and `explain`: how connections stand. They write nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Final

import click

from token_refresh.cli.session import (
    CANNOT,
    UNREACHABLE,
    Session,
    Stop,
    command,
    no_connection,
    say_fault,
    with_schedule,
    write_moment,
    write_table,
)
from token_refresh.core.overview.explain import Explanation, Sentence, explain, say
from token_refresh.core.overview.listing import STANDINGS, Query, select
from token_refresh.core.overview.row import Row
from token_refresh.words import load_words

_HEAD: Final = ("NAME", "PROVIDER", "OWNER", "STATE", "REASON", "ACCESS TOKEN UNTIL")
_NONE: Final = "There is no connection yet: token-refresh import FILE --name NAME"


@click.command("list")
@with_schedule
@partial(command, takes_several=True)
def list_connections(session: Session) -> None:
    """Show every connection and its state; what needs attention comes first."""
    if len(session.projects) > 1:
        _list_projects(session)
        return
    rows = select(session.parts.overview.look().rows, Query())
    _say_schedule(session, rows)
    lines = write_table(_HEAD, [_cells(row) for row in rows]) if rows else [_NONE]
    document = {"run_every": session.environment.run_every, "connections": [row.as_json(None) for row in rows]}
    session.show(document, lines)


def _list_projects(session: Session) -> None:
    """Show the connections of several projects as one list; one that cannot be listed hides none of the others."""
    found: list[tuple[str, Row]] = []
    faults: dict[str, str] = {}
    for project, one in session.each_project():
        try:
            found += [(project, row) for row in select(one.parts.overview.look().rows, Query())]
        except CANNOT as fault:
            faults[project] = say_fault(fault)
    found.sort(key=lambda pair: STANDINGS.index(pair[1].standing))
    _say_schedule(session, [row for _, row in found])
    document = {
        "run_every": session.environment.run_every,
        "connections": [{"project": project, **row.as_json(None)} for project, row in found],
        "unreachable": [{"project": project, "error": said} for project, said in faults.items()],
    }
    lines = write_table(("PROJECT", *_HEAD), [(project, *_cells(row)) for project, row in found]) if found else [_NONE]
    if found or session.as_json or not faults:
        session.show(document, lines)
    if faults:
        raise Stop("; ".join(f"{project}: {said}" for project, said in faults.items()), UNREACHABLE)


def _cells(row: Row) -> tuple[str, ...]:
    c = row.connection
    return row.name, c.provider, c.owner or "", row.standing, row.reason or "", _expiry(row)


@click.command("explain")
@click.argument("name")
@with_schedule
@command
def explain_connection(session: Session, name: str) -> None:
    """Say why a connection is in its state, who was told, what happens next, and what would fix it."""
    row = find_row(session, name)
    now = time.time()
    s = session.settings
    found = explain(row, load_words(), project=s.project, run_every=s.run_every, now=now)
    _say_schedule(session, [row])
    session.show({**_explanation_json(row, found), "run_every": s.run_every}, _explanation_lines(row, found, now))


def find_row(session: Session, name: str) -> Row:
    """Look at one connection; raises `Stop` where there is none."""
    row = session.parts.overview.look_at(name)
    if row is None:
        raise no_connection(name)
    return row


def _say_schedule(session: Session, rows: Iterable[Row]) -> None:
    """Say which schedule was assumed, where what is shown depends on it."""
    if any(row.overdue or row.cannot_keep_fresh for row in rows):
        session.progress(f"Runs are taken to come every {session.environment.run_every:g} s: --run-every, or RUN_EVERY")


def _expiry(row: Row) -> str:
    return write_moment(row.expires_at) if row.expires_at is not None else (row.reading.problem or "")


def _explanation_lines(row: Row, found: Explanation, now: float) -> list[str]:
    def write(sentence: Sentence) -> str:
        return say(sentence, lambda moment: write_moment(moment, now))

    state = f"{row.name}: {row.standing}" + (f", {row.reason}" if row.reason and row.reason != row.standing else "")
    lines = [state, f"  why    {write(found.why)}"]
    if row.since:
        lines.append(f"  since  {write_moment(row.since, now)}")
    lines += [f"  told   {t.who}: {t.what} {write_moment(t.at, now) or 'about to leave'}" for t in found.told]
    lines.append(f"  next   {write(found.next)}")
    if found.fix:
        where = f" ({found.fix.where})" if found.fix.where else ""
        lines.append(f"  fix    {found.fix.do}{where}")
        if found.fix.section:
            lines.append(f"         docs/runbook.md#{found.fix.anchor}")
    return lines


def _explanation_json(row: Row, found: Explanation) -> dict[str, object]:
    def write(sentence: Sentence) -> str:
        return say(sentence, write_moment)

    fix = found.fix
    return {
        **row.as_json(None),
        "standing": row.standing,
        "why": write(found.why),
        "next": write(found.next),
        "told": [{"who": t.who, "what": t.what, "at": t.at} for t in found.told],
        "fix": {"do": fix.do, "where": fix.where, "section": fix.section} if fix else None,
    }
