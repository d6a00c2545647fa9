"""A connection as it is shown: everything that can be said of it, from what was read a moment ago.

`state` is the contract's; `standing` is what people see, in which troubles that no annotation tells of have names:

standing           means
overdue            healthy by its annotation, but past due by more than two runs: nobody refreshes it
unreadable         healthy by its annotation, but its access token cannot be read
cannot_keep_fresh  healthy by its annotation, but runs come too rarely: its token may run out between two of them
new                no run has looked at it yet
(state)            anything else
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection
from token_refresh.core.incident.events import NEVER_CONSENTED, REMEDIES, EventType, remedy_for, words_for
from token_refresh.core.provider.definition import Provider
from token_refresh.core.state.timing import margins
from token_refresh.core.status import State, Status, lease_of, status_of


class Standing(StrEnum):
    """How a connection stands: what needs a person's hand comes first."""

    NEEDS_CONSENT = State.NEEDS_CONSENT
    REJECTED = State.REJECTED
    MISCONFIGURED = State.MISCONFIGURED
    OVERDUE = "overdue"
    UNREADABLE = "unreadable"
    CANNOT_KEEP_FRESH = "cannot_keep_fresh"
    UNAVAILABLE = State.UNAVAILABLE
    SUSPECT = State.SUSPECT
    NEW = "new"
    HEALTHY = State.HEALTHY
    PAUSED = "paused"


QUIET: Final = (Standing.NEW, Standing.HEALTHY, Standing.PAUSED)
# A run may begin late, and takes its time: past due by two of them is nobody's luck.
_RUNS_LATE: Final = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading the access token told. Nothing at all: there is none yet."""

    facts: AccessTokenFacts | None = None
    problem: str | None = None  # why it cannot be read
    pending: bool = False  # not looked at yet


@dataclass(frozen=True, slots=True)
class Rules:
    """What the environment says about time, in seconds."""

    refresh_before_expiry: float
    run_every: float


@dataclass(frozen=True, slots=True)
class Row:
    """One connection as it is shown. Times in epoch seconds; None = does not apply or is not known."""

    connection: Connection = field(repr=False)
    state: Standing  # the contract's: a `State`, or paused
    standing: Standing
    reason: str | None
    message: str | None
    status: Status | None
    reading: Reading
    version: int | None
    due_at: float | None
    margin: float | None  # s, how long before its end the access token is refreshed
    grant_ends_at: float | None
    cannot_keep_fresh: bool

    @property
    def name(self) -> str:
        """Return the connection's name."""
        return self.connection.name

    @property
    def overdue(self) -> bool:
        """Tell whether it should have been refreshed by more than two runs ago."""
        return self.standing == Standing.OVERDUE

    @property
    def since(self) -> float | None:
        """Return when the state began; None for a healthy connection."""
        return self.status.since if self.status and self.state != Standing.HEALTHY else None

    @property
    def expires_at(self) -> float | None:
        """Return when the access token runs out."""
        return self.reading.facts.expires_at if self.reading.facts else None

    @property
    def next_attempt_at(self) -> float | None:
        """Return when it is refreshed, or tried again; None where no time is set."""
        if self.state == Standing.HEALTHY:
            return self.due_at
        return (self.status.next_attempt_at or None) if self.status else None

    @property
    def remedy(self) -> str | None:
        """Return the remedy, one of the contract's words; None while nothing is wrong."""
        return remedy_for(self.cause) if self.cause and self.state not in (Standing.HEALTHY, Standing.PAUSED) else None

    @property
    def cause(self) -> str | None:
        """Return the reason for which there are words and a remedy: a provider's silence has many names."""
        return _cause(self.state, self.reason)

    @property
    def incident(self) -> str | None:
        """Return the id of the client's incident that this connection shares with others."""
        return (self.status.client_event_id or None) if self.status and self.state != Standing.HEALTHY else None

    @property
    def last_run_at(self) -> float:
        """Return the last moment at which a run has done something with it; 0 = not known."""
        refreshed = self.reading.facts.refreshed_at if self.reading.facts else 0.0
        return max(refreshed, self.status.tried_at if self.status else 0.0)

    @property
    def mark(self) -> str:
        """Return a text that changes with every attempt: so a page learns that the one it asked for has been made."""
        status, facts = self.status, self.reading.facts
        tried = (status.state, status.reason, status.attempts, int(status.tried_at)) if status else ()
        return ".".join(map(str, (*tried, int(facts.refreshed_at) if facts else 0, self.version or 0, self.state)))

    def as_json(self, consent_url: str | None) -> dict[str, object]:
        """Return the fields that the contract names."""
        return {
            "name": self.name,
            "provider": self.connection.provider,
            "owner": self.connection.owner,
            "state": self.state,
            "reason": self.reason,
            "since": self.since,
            "version": self.version or 0,
            "access_token_expires_at": self.expires_at,
            "next_attempt_at": self.next_attempt_at,
            "overdue": self.overdue,
            "cannot_keep_fresh": self.cannot_keep_fresh,
            "consent_url": consent_url,
        }


def build_row(
    connection: Connection,
    reading: Reading,
    *,
    providers: Mapping[str, Provider],
    rules: Rules,
    now: float,
) -> Row:
    """Build the row of one connection."""
    provider = providers.get(connection.provider)
    annotated = status_of(connection)
    version = _version(connection, annotated, reading.facts)
    state, reason, message = _state(connection, annotated)
    due_at, margin, too_short = None, None, False
    if reading.facts:
        due = margins(connection, provider, rules.refresh_before_expiry, reading.facts, rules.run_every)
        due_at, margin, too_short = due.due_at, due.margin, due.cannot_keep_fresh
    status = annotated if annotated and annotated.state.value == state else None
    late_from = due_at if due_at is not None else (connection.record.created_at or None)
    is_late = late_from is not None and now > late_from + _RUNS_LATE * rules.run_every
    return Row(
        connection=connection,
        state=state,
        standing=_standing(state, reading, status, is_late=is_late, too_short=too_short),
        reason=reason,
        message=message,
        status=status,
        reading=reading,
        version=version,
        due_at=due_at,
        margin=margin,
        grant_ends_at=_grant_end(provider, reading.facts),
        cannot_keep_fresh=too_short,
    )


def _standing(state: Standing, reading: Reading, status: Status | None, *, is_late: bool, too_short: bool) -> Standing:
    if state != Standing.HEALTHY or reading.pending:
        return state
    if reading.problem:
        return Standing.UNREADABLE
    if is_late:
        return Standing.OVERDUE
    if too_short:
        return Standing.CANNOT_KEEP_FRESH
    return Standing.NEW if reading.facts is None and status is None else Standing.HEALTHY


def _version(connection: Connection, status: Status | None, facts: AccessTokenFacts | None) -> int | None:
    """Return the newest version of the connection secret as far as its metadata tell; None when they do not."""
    judged, refreshed = status.version if status else 0, facts.connection_version if facts else 0
    known = max(lease_of(connection.record).version, judged, refreshed)
    never = status is not None and status.reason == NEVER_CONSENTED
    return known if known or never else None


def _grant_end(provider: Provider | None, facts: AccessTokenFacts | None) -> float | None:
    """Return the end of a refresh token that every refresh replaces by one with the same life."""
    life = provider.refresh_token_lifetime if provider else None
    if not (provider and life and facts) or provider.rotates_refresh_tokens != "always" or provider.counts_from_consent:
        return None
    return facts.refreshed_at + life


def _state(connection: Connection, status: Status | None) -> tuple[Standing, str | None, str | None]:
    """Return state, reason and a sentence for people."""
    if connection.problem:
        return Standing.MISCONFIGURED, Standing.MISCONFIGURED, connection.problem
    if connection.paused:
        return Standing.PAUSED, Standing.PAUSED, "Its label says so: it is listed, and never refreshed."
    if status is None or status.state == State.HEALTHY:
        return Standing.HEALTHY, None, None
    state = Standing(status.state)
    return state, status.reason, status.message or words_for(_cause(state, status.reason) or "")


def _cause(state: Standing, reason: str | None) -> str | None:
    return EventType.REFRESH_FAILING if state == Standing.UNAVAILABLE and reason not in REMEDIES else reason
