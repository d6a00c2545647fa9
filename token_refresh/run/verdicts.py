"""What the visits of one client mean, weighed together, and what is written and told of them.

    visits, neighbours = verdicts.record(visits, neighbours, until)

Who owns which id: a status carries the id of the connection's own incident (`event_id`), and the id of the client's
incident in which it takes part (`client_event_id`); what is decided and not yet published is `owed`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from token_refresh.connections.incidents import Beside, Incidents
from token_refresh.connections.memory import Memory
from token_refresh.core.connection import Connection
from token_refresh.core.incident.client import ClientIncidents
from token_refresh.core.incident.events import MASS, EventType
from token_refresh.core.incident.incident import announce, end_client_incident, leave_client
from token_refresh.core.state.breaker import is_suspicion
from token_refresh.core.state.grant_end import GrantEnd, crossed_warning
from token_refresh.core.status import Outcome, State
from token_refresh.errors import StoreError
from token_refresh.instance.paced_store import PacedStore
from token_refresh.refresh.attempt import Attempt
from token_refresh.refresh.faults import log_defect
from token_refresh.run.visit import Visit
from token_refresh.run.weighing import Weighing, is_moved, weigh
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Turn the attempts at one client's connections into statuses and events; threads may share it."""

    store: PacedStore
    incidents: Incidents
    memory: Memory
    settings: Settings
    clock: Callable[[], float]
    # Clients that this instance knows to have an open incident: the first refresh of any connection ends it.
    in_incident: set[str] = field(default_factory=set)
    told_over: set[str] = field(default_factory=set)  # ids of incidents that this instance has ended

    def needs_neighbours(self, visits: Sequence[Visit]) -> bool:
        """Tell whether what these visits mean depends on the client's other connections."""
        return any(v.client in self.in_incident or self._concerns_client(v) for v in visits)

    def leave_former_clients(
        self, visits: Sequence[Visit], listed: Callable[[], Sequence[Connection] | None]
    ) -> list[Visit]:
        """Let connections leave the incidents of clients that they have no more; return those of which all is known.

        `listed` are all connections as they are now, None where that is not known. Of the others the next run tells.
        """
        known = {v.connection.secret_id: v for v in visits}
        for key, visit in tuple(known.items()):
            if is_moved(visit, self.incidents.status_of(visit.connection)):
                del known[key]
                others = [known[c.secret_id].connection if c.secret_id in known else c for c in listed() or ()]
                with suppress(StoreError):  # said already
                    if left := self._leave_former_client(visit, others):
                        known[key] = left
        return list(known.values())

    def record(
        self, visits: Sequence[Visit], neighbours: Sequence[Connection], until: float
    ) -> tuple[list[Visit], list[Connection]]:
        """Weigh the attempts, write the statuses, publish what they owe; returns both as they then are.

        What is not written until `until` (epoch seconds) is decided again by the next run.
        """
        known = weigh(
            visits,
            [self.incidents.status_of(v.connection) for v in visits],
            [self.incidents.status_of(c) for c in neighbours],
            refreshed_at=self._refreshed_at(visits, neighbours),
            told_over=self.told_over,
            now=self.clock(),
            settings=self.settings,
        )
        weighed = known.visits
        affected = [v.connection.name for v in weighed if known.blames_client(v) or known.points_at_client(v)]
        # A refreshed connection speaks before one that is still ill.
        order = sorted(range(len(weighed)), key=lambda i: weighed[i].outcome != Outcome.REFRESHED)
        told = {i: self._guarded(weighed[i], known, affected, until) for i in order}
        left = [self._let_leave(neighbour, known.incidents, until) for neighbour in neighbours]
        self.told_over.update(known.incidents.told)
        for client in {v.client for v in visits}:
            (self.in_incident.add if known.incidents.is_open else self.in_incident.discard)(client)
        return [told[i] for i in range(len(weighed))], left

    def settle(self, visit: Visit, until: float) -> Visit:
        """Publish what a connection owes, or what is due although nothing was attempted; not later than `until`."""
        connection, status = visit.connection, self.incidents.status_of(visit.connection)
        if status is None or (not status.owed and self.incidents.reminder(connection, status) is None):
            return visit
        if not self.store.reserve(until):
            return visit
        try:
            if status.owed:
                connection = self.incidents.publish_owed(connection, status, Beside(visit.facts))
                status = self.incidents.status_of(connection)
            if status:
                connection = self.incidents.remind(connection, status, visit.facts)
        except StoreError as fault:
            _say(connection, fault)
        return visit if connection is visit.connection else replace(visit, connection=connection)

    def write_unwritten(self, done: dict[str, Visit], refused: Sequence[str], until: float) -> None:
        """Write the statuses that this instance alone knows, and would take with it.

        They are those of the secrets that were `refused` in former runs; another refusal leaves the others to the next.
        """
        unwritten = self.incidents.unwritten
        for key in [key for key in refused if key in done]:
            connection = done[key].connection
            try:
                if connection in unwritten and self.clock() < until:
                    written = self.incidents.write(connection, unwritten.status_of(connection))
                    done[key] = replace(done[key], connection=written or connection)
            except StoreError as fault:
                _say(connection, fault)
                unwritten.postpone(connection)
                break

    # -- weighing ------------------------------------------------------------------------------------------------------

    def _concerns_client(self, visit: Visit) -> bool:
        if visit.verdict and (visit.verdict.is_death or visit.verdict.is_client_fault):
            return True
        status = self.incidents.status_of(visit.connection)  # lists may be old; what an attempt has written is not
        is_over = visit.outcome == Outcome.REFRESHED and status is not None and bool(status.client_event_id)
        return is_over or is_moved(visit, status)

    def _refreshed_at(self, visits: Sequence[Visit], neighbours: Sequence[Connection]) -> float:
        """Return when any connection of the client was last refreshed; neighbours are read only for a burst."""
        times = [v.facts.refreshed_at for v in visits if v.facts]
        suspects = sum(v.verdict is not None and v.verdict.is_death for v in visits)
        suspects += sum(is_suspicion(self.incidents.status_of(c)) for c in neighbours)
        for neighbour in neighbours:
            if suspects >= self.settings.breaker_min or self.memory.is_known(neighbour):
                try:
                    facts = self.memory.facts(neighbour)
                except StoreError:
                    continue
                times += [facts.refreshed_at] if facts else []
        return max(times, default=0)

    # -- telling -------------------------------------------------------------------------------------------------------

    def _guarded(self, visit: Visit, known: Weighing, affected: Sequence[str], until: float) -> Visit:
        """Tell of one connection; what could not be written is decided again by the next run."""
        try:
            if visit.outcome == Outcome.REFRESHED:
                return self._tell_refreshed(visit, known, until)
            return self._tell(visit, known, affected, until)
        except StoreError as fault:
            _say(visit.connection, fault)
        except Exception as fault:  # noqa: BLE001 - a defect met by one connection must not stop the others
            log_defect(visit.connection, fault)
        return visit

    def _tell(self, visit: Visit, known: Weighing, affected: Sequence[str], until: float) -> Visit:
        attempt = visit.attempt
        status = attempt.verdict.status if attempt else None
        if attempt is None or status is None:
            return visit
        if self.incidents.status_of(visit.connection) != attempt.situation.status:
            log.info("the state of %s was written by another run: the next one judges it", visit.connection.name)
            return visit
        verdict, incidents = attempt.verdict, known.incidents
        before, status = status, incidents.leave(status)
        reason = MASS if known.points_at_client(visit) else status.reason
        if reason == MASS or known.blames_client(visit):
            status = incidents.take_part(status, reason)
        elif verdict.announce:
            status = announce(status, verdict.announce, visit.connection.secret_id)
        elif verdict.is_client_fault and status.state == State.REJECTED and not status.event_id:
            # The client works for others: from here on it is this connection's own trouble.
            status = announce(status, EventType.CLIENT_REJECTED, visit.connection.secret_id)
        if status == attempt.situation.status and not status.owed:
            return visit
        connection = None
        if self.store.reserve(until):
            beside = Beside(visit.facts, verdict.detail.error_description, affected)
            connection = self.incidents.record(visit.connection, status, beside)
        if connection is None:
            incidents.unsay(before)
            return visit
        written = self.incidents.status_of(connection)
        incidents.note(written, reason)
        if written:
            connection = self.incidents.remind(connection, written, visit.facts)
        return replace(visit, connection=connection)

    def _tell_refreshed(self, visit: Visit, known: Weighing, until: float) -> Visit:
        attempt, connection = visit.attempt, visit.connection
        assert attempt  # noqa: S101 - it was refreshed
        status = self.incidents.status_of(connection)
        if status and self.store.reserve(until):
            left = known.incidents.leave(status)
            version = visit.facts.connection_version if visit.facts else 0
            has_consented = visit.situation.was_consenting and version > status.version
            connection = self.incidents.end(connection, left, visit.facts, has_consented=has_consented)
        if attempt.end:
            self._warn_of_end(connection, attempt, attempt.end)
        return replace(visit, connection=connection)

    def _warn_of_end(self, connection: Connection, attempt: Attempt, end: GrantEnd) -> None:
        """Warn of an end that comes near, or that would come before the next refresh."""
        warnings = connection.consent_warnings or self.settings.consent_warnings
        next_look = self.memory.margins(connection, attempt.facts).due_at
        until = self.clock() if next_look < end.at else max(self.clock(), next_look)
        warning = crossed_warning(end, attempt.looked_at, until, warnings)
        if warning is not None:
            status = self.incidents.status_of(connection)
            self.incidents.warn_of_end(connection, status, attempt.facts, end.at, warning)

    def _leave_former_client(self, visit: Visit, listed: Sequence[Connection]) -> Visit | None:
        """Leave the former client's incident before anything is told of the present one; raises `StoreError`.

        It ends with the last connection that leaves: nothing depends on that client any more. Returns the visit as it
        then is; None when another writer judged the connection first, or when it is not known who else takes part.
        """
        attempt, status = visit.attempt, self.incidents.status_of(visit.connection)
        if attempt is None or status is None or not listed:
            return None
        incident, own = status.client_event_id, visit.connection.secret_id
        others = [self.incidents.status_of(c) for c in listed if c.secret_id != own]
        is_last = incident not in self.told_over and all(s is None or s.client_event_id != incident for s in others)
        left = end_client_incident(status, incident) if is_last else leave_client(status)
        written = self.incidents.record(visit.connection, left, Beside(visit.facts))
        if written is None:
            return None
        if is_last:
            self.told_over.add(incident)
        after = leave_client(attempt.verdict.status) if attempt.verdict.status else None
        situation = replace(attempt.situation, status=self.incidents.status_of(written))
        verdict = replace(attempt.verdict, status=after)
        return visit.came_to(replace(attempt, connection=written, situation=situation, verdict=verdict))

    def _let_leave(self, neighbour: Connection, incidents: ClientIncidents, until: float) -> Connection:
        """Take a connection that was not attempted out of an incident that is over."""
        status = self.incidents.status_of(neighbour)
        if status is None or not incidents.is_over(status):
            return neighbour
        written = None
        left = incidents.leave(status)
        try:
            if self.store.reserve(until):
                written = self.incidents.record(neighbour, left)
        except StoreError as fault:
            _say(neighbour, fault)
        if written is None:
            incidents.unsay(status)
        return written or neighbour


def _say(connection: Connection, fault: StoreError) -> None:
    log.error("could not record the state of %s: %s", connection.name, fault)
