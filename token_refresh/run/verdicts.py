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

from token_refresh.connections.incidents import Incidents
from token_refresh.connections.lease import Busy
from token_refresh.core.connection import Connection
from token_refresh.core.incident.events import CLIENT_REJECTED
from token_refresh.core.incident.incident import announce, announce_client, join_client, recover
from token_refresh.core.state.breaker import MASS
from token_refresh.core.state.grant_end import crossed_warning
from token_refresh.core.status import HEALTHY, REJECTED, SUSPECT, Status, status_of
from token_refresh.core.trigger import Trigger
from token_refresh.errors import SecretMissing, StoreError
from token_refresh.run.holds import Holds
from token_refresh.run.visit import Work, Worker, log_defect

log = logging.getLogger("token_refresh")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Turn a run's attempts into statuses and events."""

    worker: Worker
    incidents: Incidents
    holds: Holds
    clock: Callable[[], float]

    def conclude(self, works: Sequence[Work], listed: Sequence[Connection], pool: Executor) -> None:
        """Record what the attempts brought; a suspicion that leaves nothing to lose is confirmed at once."""
        tried = [w for w in works if w.attempt]
        lifted = self.holds.weigh(tried, _everyone(works, listed), pool)
        self._tell_all(tried, works, listed, pool)
        urgent = [w for w in tried if self._must_confirm_now(w)]
        confirmed = list(pool.map(self._confirm, urgent))
        self._tell_all([w for w, done in zip(urgent, confirmed, strict=True) if done], works, listed, pool)
        if lifted:
            self.holds.lift(lifted, _everyone(works, listed))

    def _tell_all(
        self, told: Sequence[Work], works: Sequence[Work], listed: Sequence[Connection], pool: Executor
    ) -> None:
        of_clients = [w for w in told if _concerns_client(w)]
        over = {w.connection.secret_id for w in works if w.outcome == "refreshed"}
        self._report_clients(of_clients, [c for c in _everyone(works, listed) if c.secret_id not in over])
        speakers = _speakers(told)
        rest = [w for w in told if w not in of_clients and w not in speakers]
        list(pool.map(lambda w: _guarded(w, lambda: self._tell(w)), rest))
        for work in speakers:
            _guarded(work, partial(self._end_client_incident, work, _everyone(works, listed)))

    def _tell(self, work: Work) -> None:
        verdict = work.made.verdict
        if work.outcome == "refreshed":
            if work.status:
                ended = recover(work.status, self.clock())
                work.connection, work.status = self.incidents.publish_owed(work.connection, ended, work.facts)
            self._warn_of_end(work)
        elif verdict.status:
            status = verdict.status
            if verdict.announce:
                status = announce(status, verdict.announce, work.connection.secret_id)
            self._record(work, status)

    def _warn_of_end(self, work: Work) -> None:
        attempt = work.made
        if attempt.end is None:
            return
        warnings = self.worker.settings.consent_warnings
        warning = crossed_warning(attempt.end, attempt.looked_at, self.clock(), warnings)
        if warning is not None:
            self.incidents.warn_of_end(work.connection, work.status, work.facts, attempt.end.at, warning)

    def _record(self, work: Work, status: Status) -> bool:
        """Write a status and publish what it owes; False when somebody else judged first."""
        written = self.incidents.write(work.connection, status)
        if written is None:
            log.info("the state of %s was written by another run", work.connection.name)
            return False
        work.connection, work.status = written, status
        if status.owed:
            description = work.made.verdict.detail.error_description
            work.connection, work.status = self.incidents.publish_owed(written, status, work.facts, description)
        if work.status:
            work.connection, work.status = self.incidents.remind(work.connection, work.status, work.facts)
        return True

    # -- incidents of clients: one event and one recovery, whatever the number of connections --------------------------

    def _report_clients(self, works: Sequence[Work], others: Iterable[Connection]) -> None:
        known = {}
        for connection in others:
            status = status_of(connection)
            if status and status.client_event_id and status.state in (REJECTED, SUSPECT):
                known[status.client, status.reason] = status.client_event_id
        groups: dict[tuple[str, str], list[tuple[Work, Status]]] = defaultdict(list)
        for work in works:
            status = work.made.verdict.status
            assert status is not None  # noqa: S101 - such a verdict always has one
            groups[status.client, status.reason].append((work, status))
        for key, group in groups.items():
            joined = known.get(key, "")
            for work, status in group:
                # Whoever takes part in an incident of the client stays in it, however the provider words it now.
                incident = status.client_event_id or joined
                reported = join_client(status, incident) if incident else announce_client(status)
                if _guarded(work, partial(self._record, work, reported)):
                    joined = reported.client_event_id

    def _end_client_incident(self, work: Work, everyone: Iterable[Connection]) -> None:
        """End it unless somebody still waits for its end, who will then be the one to say so.

        The intention is written before the others are looked at: of two instances that recover the last connections
        at the same moment, at least one sees that nobody is left.
        """
        assert work.status is not None  # noqa: S101 - speakers have one
        event_id, now = work.status.client_event_id, self.clock()
        last, one_of_many = recover(work.status, now, ends_client=True), recover(work.status, now)
        written = self.incidents.write(work.connection, last)
        if written is None:
            return
        others = [c for c in everyone if c.secret_id != work.connection.secret_id]
        ended = one_of_many if any(self._waits(c, event_id) for c in others) else last
        work.connection, work.status = self.incidents.publish_owed(written, ended, work.facts)
        self._warn_of_end(work)

    def _waits(self, connection: Connection, event_id: str) -> bool:
        if connection.paused or not _takes_part(connection, event_id):
            return False
        try:  # lists are eventually consistent
            record = self.worker.store.get(connection.secret_id)
        except SecretMissing:
            return False
        return _takes_part(replace(connection, record=record), event_id)

    # -- the second attempt --------------------------------------------------------------------------------------------

    def _must_confirm_now(self, work: Work) -> bool:
        """Without a valid access token there is nothing to lose by asking again."""
        status = work.status
        if not (work.made.verdict.is_death and status and status.state == SUSPECT):
            return False
        now = self.clock()
        return not status.hold_until > now and not (work.facts and work.facts.is_valid(now))

    def _confirm(self, work: Work) -> bool:
        def attempt() -> bool:
            self.worker.attempt(work, Trigger(), confirm_now=True)
            return True

        return _guarded(work, attempt)


def _everyone(works: Sequence[Work], listed: Sequence[Connection]) -> list[Connection]:
    """Return all connections as far as known by now."""
    return list({c.secret_id: c for c in (*listed, *(w.connection for w in works))}.values())


def _speakers(works: Iterable[Work]) -> list[Work]:
    """Choose for each incident of a client that was left in this run the one that may say that it is over."""
    chosen: dict[str, Work] = {}
    for work in works:
        if work.outcome == "refreshed" and work.status and work.status.client_event_id:
            chosen.setdefault(work.status.client_event_id, work)
    return list(chosen.values())


def _takes_part(connection: Connection, event_id: str) -> bool:
    status = status_of(connection)
    return status is not None and status.state != HEALTHY and status.client_event_id == event_id


def _concerns_client(work: Work) -> bool:
    """Tell whether the verdict starts, or joins, an incident of the client."""
    verdict = work.made.verdict
    if verdict.status is None:
        return False
    rejected = verdict.announce == CLIENT_REJECTED and verdict.status.state == REJECTED
    return rejected or verdict.reason == MASS


def _guarded(work: Work, step: Callable[[], bool | None]) -> bool:
    """Take a step for one connection; what could not be written is decided again by the next run."""
    try:
        return bool(step())
    except Busy:
        return False
    except StoreError as fault:
        log.error("could not record the state of %s: %s", work.connection.name, fault)  # noqa: TRY400 - no traceback
        return False
    except Exception as fault:  # noqa: BLE001 - a defect met by one connection must not stop the others
        log_defect(work.connection, fault)
        return False
