"""Why a connection stands as it does, since when, who was told, what happens next and when, and what would mend it.

The status page and `token-refresh explain` say the same. A sentence is a row of texts and moments (epoch seconds): a
page writes a moment in its reader's own zone, a terminal in its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from token_refresh.core.connection import ANYBODY
from token_refresh.core.incident.address import parse_address
from token_refresh.core.incident.events import ASKS_OWNER, NEVER_CONSENTED, REVOKED_BY_OPERATOR, EventType
from token_refresh.core.incident.incident import REMINDERS, event_type_of
from token_refresh.core.incident.words import Fix, Words
from token_refresh.core.overview.row import Row, Standing
from token_refresh.core.state.timing import LONGEST_MARGIN
from token_refresh.core.status import Status
from token_refresh.core.units import HOUR, MINUTE

Sentence: TypeAlias = tuple[str | float, ...]

OWNER: Final = "Its owner"
OPERATORS: Final = "The operators"
# Headings of docs/runbook.md.
NO_RUN: Final = "Runs have stopped"
_RUNS_OUT: Final = "An access token is about to run out"
_SUSPECTED: Final = (
    "Tried again in each run. Only a second refusal, some time after the first, makes it certain; until then its owner "
    "is not asked."
)
_MOST_OFTEN: Final = MINUTE  # Cloud Scheduler's schedules are crontab's
_HOW: Final = "in Terraform by the variable schedule, else by the Scheduler job and RUN_EVERY of every function"
_NO_SCHEDULE: Final = "No schedule is often enough: Cloud Scheduler runs once a minute at most."
_MARGIN: Final = "token-refresh.refresh-before-expiry above RUN_EVERY"
_LONGER: Final = "Have its provider make tokens that live longer."


@dataclass(frozen=True, slots=True)
class Told:
    """Who was told of what, and when; `at` None = the message is still to leave."""

    who: str
    what: str
    at: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that a person wants to know of a connection that does not do what it should, or of one that does."""

    why: Sentence
    next: Sentence
    told: tuple[Told, ...] = ()
    fix: Fix | None = None
    warning: str | None = None  # what will stand in the way of a consent or a message


def explain(row: Row, words: Words, *, project: str, run_every: float, now: float) -> Explanation:
    """Explain one connection; `run_every` in seconds, `now` in epoch seconds."""
    told = tuple(_told(row))
    fix = _fix(row, words, project, run_every)
    return Explanation(_why(row, run_every), _next(row, told, now), told, fix, _warning(row))


def say(sentence: Sentence, write: Callable[[float], str]) -> str:
    """Write a sentence as text; `write` writes a moment."""
    return "".join(part if isinstance(part, str) else write(part) for part in sentence)


def find_reminder_after(hours: int) -> int | None:
    """Return the hour into an incident at which an owner is reminded next, after the reminder at `hours`."""
    return next((reminder for reminder in REMINDERS if reminder > hours), None)


def _why(row: Row, run_every: float) -> Sentence:
    if row.standing == Standing.OVERDUE:
        if row.due_at is None:
            return ("It has no access token, and no run has looked at it since it was declared.",)
        return ("It has been due since ", row.due_at, ", and no run has refreshed it.")
    if row.standing == Standing.UNREADABLE:
        return (f"Its access token cannot be read: {row.reading.problem}. So this page does not know how it stands.",)
    if row.standing == Standing.CANNOT_KEEP_FRESH:
        margin = row.margin or 0
        runs = f"Runs come every {_span(run_every)} (RUN_EVERY)"
        until = "until the schedule runs more often, " if margin > _MOST_OFTEN else ""
        found = f"{until}readers may find one that has run out."
        return (f"{runs}, and it is refreshed only {_span(margin)} before its token runs out: {found}",)
    if row.standing == Standing.NEW:
        return ("It has no access token yet: the next run fetches the first.",)
    if row.standing == Standing.HEALTHY:
        return ("It is refreshed in time.",) if row.reading.facts else ("Nothing is wrong with it.",)
    return (row.message or "",)


def _fix(row: Row, words: Words, project: str, run_every: float) -> Fix | None:
    if row.standing == Standing.OVERDUE:
        return Fix("See whether the Scheduler job is on, and what the last runs have logged.", section=NO_RUN)
    if row.standing == Standing.UNREADABLE:
        return Fix("See whether the secret exists, and whether this page's service account may read it.")
    if row.standing == Standing.PAUSED:
        return Fix("Set its label back to enabled.")
    if row.state == Standing.HEALTHY or row.cause is None:
        return _more_runs(row, run_every) if row.cannot_keep_fresh else None
    c = row.connection
    return words.fix(row.cause, project=project, provider=c.provider, connection=c.name, secret=c.secret_id)


def _more_runs(row: Row, run_every: float) -> Fix:
    """Say which schedule would keep it fresh, or what else would."""
    margin, life = row.margin or 0, row.reading.facts.life if row.reading.facts else 0
    longest = life * LONGEST_MARGIN
    ways = [f"Let runs come more often than every {_span(margin)}: {_HOW}." if margin > _MOST_OFTEN else _NO_SCHEDULE]
    if margin < longest > _MOST_OFTEN:
        also = f", with runs more often than every {_span(longest)}" if longest <= run_every else ""
        ways.append(f"A larger margin helps, if its provider allows it: {_MARGIN}{also}.")
    elif margin <= _MOST_OFTEN:
        ways.append(_LONGER)
    return Fix(" ".join(ways), section=_RUNS_OUT)


def _span(seconds: float) -> str:
    return f"{seconds / MINUTE:.3g} min" if seconds >= MINUTE else f"{seconds:.3g} s"


def _warning(row: Row) -> str | None:
    c = row.connection
    if row.state == Standing.NEEDS_CONSENT and not c.owner and not c.subject:
        return "It names no owner, so no consent is accepted: set its annotation token-refresh.owner first."
    if c.owner and c.owner != ANYBODY and not parse_address(c.owner):
        return "Its owner cannot be written to (not exactly one address): messages go to the operators."
    return None


def _next(row: Row, told: tuple[Told, ...], now: float) -> Sentence:
    status = row.status
    if row.standing == Standing.OVERDUE:
        return ("Refreshed by the next run that comes.",)
    if row.standing == Standing.PAUSED:
        return ("Nothing, until its label says enabled.",)
    if row.state == Standing.HEALTHY or status is None:
        if row.due_at is None or row.due_at <= now:
            return ("Refreshed with the next run.",)
        return ("Next refresh: ", row.due_at, ".")
    if row.state == Standing.NEEDS_CONSENT:
        return _waits(row, status, told, now)
    if row.state == Standing.SUSPECT:
        return (_SUSPECTED,)
    if row.state == Standing.MISCONFIGURED:
        return ("Looked at again in every run: it works as soon as it is mended.",)
    if row.state == Standing.REJECTED:
        return (*_tried(status, now), "; at once when the client registration or the connection gets a new version.")
    return (*_tried(status, now), ".")


def _tried(status: Status, now: float) -> Sentence:
    if status.next_attempt_at > now:
        return ("Next try: ", status.next_attempt_at)
    return ("Next try: with the next run",)


def _waits(row: Row, status: Status, told: tuple[Told, ...], now: float) -> Sentence:
    """Say who is waited for: "Waits for its owner; told 18:05, reminder tomorrow 18:05."."""
    if row.reason == REVOKED_BY_OPERATOR:
        return ("Nothing: an operator has revoked it, and no one is asked.",)
    parts: list[str | float] = ["Waits for an administrator" if row.remedy == "ask_admin" else "Waits for its owner"]
    first = told[0] if told else None
    if first and first.at is None:
        parts.append("; the message to tell of it has not left yet, and goes with the next run")
    elif first and first.at is not None:
        whom = "told" if first.who == OWNER else "the operators were told"
        parts += [f"; {whom} ", first.at]
        hours = find_reminder_after(status.reminded)
        if hours is not None:
            reminder = status.since + hours * HOUR
            parts += [", reminder ", reminder] if reminder > now else [", reminder with the next run"]
    if row.reason != NEVER_CONSENTED and status.next_attempt_at > now:
        parts += [". Next try of the old grant: ", status.next_attempt_at]
    return (*parts, ".")


def _told(row: Row) -> Iterator[Told]:
    """Tell who was told, from the events that the status remembers; what is still owed has not left."""
    status = row.status
    if status is None or row.reason == REVOKED_BY_OPERATOR:
        return
    asked = OWNER if parse_address(row.connection.owner or "") else OPERATORS
    for event_id in dict.fromkeys(filter(None, (status.event_id, status.client_event_id))):
        kind = event_type_of(event_id)
        who = asked if kind in ASKS_OWNER else OPERATORS
        yield Told(
            who, _WHAT.get(kind, "that it has stopped working"), None if event_id in status.owed else status.since
        )
    hours = 0
    while (hours := find_reminder_after(hours) or 0) and hours <= status.reminded:
        yield Told(asked, "a reminder", status.since + hours * HOUR)


_WHAT: Final[Mapping[str, str]] = {
    EventType.INVALID_GRANT: "that consent is needed",
    EventType.REFRESH_FAILING: "that refreshing fails",
    EventType.CLIENT_REJECTED: "that the client or the configuration is refused",
    EventType.CONSENT_EXPIRING: "that the consent ends soon",
}
