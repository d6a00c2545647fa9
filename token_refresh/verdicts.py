"""The second pass of a run: knowing what happened to all, say what it means for each.

How many grants of one client died at once decides whether owners are asked; one event speaks for all connections of a
refused client.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from token_refresh.core import breaker
from token_refresh.core.breaker import Hold, Tried
from token_refresh.core.connection import STATUS, Connection
from token_refresh.core.consent_end import crossed_warning
from token_refresh.core.events import CLIENT_REJECTED
from token_refresh.core.incident import announce, announce_client, join_client
from token_refresh.core.status import REJECTED, SUSPECT, Status, parse_status
from token_refresh.core.trigger import Trigger
from token_refresh.errors import StoreError
from token_refresh.incidents import Incidents
from token_refresh.lease import Busy
from token_refresh.settings import Settings
from token_refresh.work import Work, Worker

log = logging.getLogger("token_refresh")

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Turn a run's attempts into statuses and events."""

    worker: Worker
    incidents: Incidents
    settings: Settings
    clock: Callable[[], float]

    def conclude(self, works: Sequence[Work], listed: Sequence[Connection], pool: Executor) -> None:
        tried = [w for w in works if w.attempt]
        holds, tripped, lifted = self._weigh(works, listed)
        now = self.clock()
        for work in tried:
            _hold_back(work, holds, tripped, lifted, now + self.settings.breaker_hold)
        ending = _ending_client_incidents(tried, listed)
        self._tell_about_clients([w for w in tried if _concerns_client(w)], listed)
        list(
            pool.map(
                lambda w: self._guard(w, lambda: self._tell(w, ends_client=w.connection.secret_id in ending)), tried
            )
        )
        second = [w for w in tried if self._must_confirm_now(w)]
        list(pool.map(lambda w: self._guard(w, lambda: self._confirm(w)), second))
        if lifted:
            self._lift(lifted, listed, {w.connection.secret_id for w in tried}, now)

    def _weigh(self, works: Sequence[Work], listed: Sequence[Connection]) -> tuple[dict[str, Hold], set[str], set[str]]:
        now = self.clock()
        tried = [
            Tried(
                client=w.attempt.case.client,
                previous=w.attempt.case.previous,
                died=w.attempt.verdict.is_death,
                refreshed=w.outcome == "refreshed",
            )
            for w in works
            if w.attempt and w.attempt.tried
        ]
        rest = [
            Tried(client=w.connection.client_secret_id, previous=w.status, died=False)
            for w in works
            if not w.attempt and w.facts and w.facts.refreshed_at > now - HOUR
        ]
        holds = breaker.find_holds((parse_status(c.record.annotations.get(STATUS)) for c in listed), now)
        lifted = breaker.find_lifted(holds, tried, now)
        tripped = breaker.find_tripped([*tried, *rest], self.settings.breaker_min) - lifted
        return holds, tripped, lifted

    def _guard(self, work: Work, step: Callable[[], object]) -> None:
        """What could not be written is decided again by the next run."""
        try:
            step()
        except Busy:
            pass
        except StoreError as fault:
            log.error("could not record the state of %s: %s", work.connection.name, fault)

    def _tell(self, work: Work, *, ends_client: bool = False) -> None:
        attempt, verdict = work.made, work.made.verdict
        if verdict.status is None:
            if attempt.end:
                days = crossed_warning(attempt.end, attempt.looked_at, self.clock())
                if days:
                    self.incidents.warn_of_end(work.connection, work.facts, attempt.end.at, days)
            if work.status:
                self.incidents.recover(work.connection, work.status, work.facts, is_last_of_client=ends_client)
                work.status = None
            return
        if _concerns_client(work):
            return  # told already, together
        status = verdict.status
        if verdict.announce:
            status = announce(status, verdict.announce, work.connection.name)
        self._record(work, status)

    def _record(self, work: Work, status: Status) -> bool:
        """Write a status and publish what it owes; False when somebody else judged first."""
        written = self.incidents.write(work.connection, status)
        if written is None:
            log.info("the state of %s was written by another run", work.connection.name)
            return False
        description = work.made.verdict.detail.error_description
        work.connection, work.status = self.incidents.publish_owed(written, status, work.facts, description)
        return True

    def _tell_about_clients(self, works: Sequence[Work], listed: Sequence[Connection]) -> None:
        """Publish one event per client and incident, whatever the number of its connections."""
        known = {}
        for connection in listed:
            status = parse_status(connection.record.annotations.get(STATUS))
            if status and status.client_event_id and status.state in (REJECTED, SUSPECT):
                known[status.client, status.reason] = status.client_event_id
        groups: dict[tuple[str, str], list[tuple[Work, Status]]] = defaultdict(list)
        for work in works:
            status = work.made.verdict.status
            assert status is not None  # noqa: S101 - a rejection always has one
            groups[status.client, status.reason].append((work, status))
        for key, group in groups.items():
            joined = known.get(key, "")
            for work, status in group:
                if joined:
                    self._guard(work, partial(self._record, work, join_client(status, joined)))
                else:
                    joined = self._report_client(work, announce_client(status))

    def _report_client(self, work: Work, status: Status) -> str:
        """Let one connection speak for its client; returns the incident's id, or nothing when it could not."""
        spoken = False

        def speak() -> None:
            nonlocal spoken
            spoken = self._record(work, status)

        self._guard(work, speak)
        return status.client_event_id if spoken else ""

    def _must_confirm_now(self, work: Work) -> bool:
        status = work.status
        dead = work.made.verdict.is_death
        if not (dead and status and status.state == SUSPECT and not status.hold_until > self.clock()):
            return False
        return not (work.facts and work.facts.is_valid(self.clock()))

    def _confirm(self, work: Work) -> None:
        """Try a second time at once: without a valid access token there is nothing to lose by asking."""
        self.worker.attempt(work, Trigger(), confirm_now=True)
        if _concerns_client(work):
            self._tell_about_clients([work], [])
        else:
            self._tell(work)

    def _lift(self, clients: set[str], listed: Iterable[Connection], done: set[str], now: float) -> None:
        for connection in listed:
            status = parse_status(connection.record.annotations.get(STATUS))
            if status and status.client in clients and status.hold_until > now and connection.secret_id not in done:
                try:
                    self.incidents.write(connection, breaker.lift(status, now))
                except StoreError as fault:
                    log.warning("could not lift the hold of %s: %s", connection.name, fault)


def _concerns_client(work: Work) -> bool:
    """Tell whether the verdict starts, or joins, an incident of the client."""
    verdict = work.made.verdict
    if verdict.status is None:
        return False
    rejected = verdict.announce == CLIENT_REJECTED and verdict.status.state == REJECTED
    return rejected or verdict.reason == breaker.MASS


def _hold_back(work: Work, holds: dict[str, Hold], tripped: set[str], lifted: set[str], until: float) -> None:
    attempt = work.made
    client, verdict, case = attempt.case.client, attempt.verdict, attempt.case
    if not verdict.is_death or client in lifted or not breaker.may_hold(case.previous, case.now):
        return
    hold = holds.get(client) or (Hold(until) if client in tripped else None)
    if hold is None:
        return
    held = breaker.hold_back(case, verdict, hold)
    work.attempt = replace(attempt, verdict=held)
    work.outcome, work.reason = held.outcome, held.reason


def _ending_client_incidents(tried: Sequence[Work], listed: Sequence[Connection]) -> set[str]:
    """Choose the connections whose recovery ends an incident of their client.

    The incident is over when no connection waits for its end any more; one of those refreshed now says so.
    """
    refreshed = {w.connection.secret_id: w for w in tried if w.outcome == "refreshed"}
    waiting = set()
    for connection in listed:
        status = parse_status(connection.record.annotations.get(STATUS))
        if status and not connection.paused and connection.secret_id not in refreshed:
            waiting.add(status.client_event_id)
    ending: dict[str, str] = {}
    for secret_id, work in sorted(refreshed.items()):
        if work.status and work.status.client_event_id not in waiting:
            ending.setdefault(work.status.client_event_id, secret_id)
    return set(ending.values())
