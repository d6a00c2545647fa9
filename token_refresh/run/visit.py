"""One connection's way through a run: look, attempt if it is time, and what the report shows of it.

visit = visitor.look(connection, trigger)       # situation and decision; reads as little as it can
visit = visitor.attempt(visit, until)           # exchange, save; the verdict is not written yet
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from token_refresh.connections.incidents import Incidents
from token_refresh.connections.memory import Memory
from token_refresh.connections.swap import swap
from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import LEASE, STATUS, SUFFIX, Connection, SecretRecord
from token_refresh.core.incident.events import NOT_SAVED
from token_refresh.core.state.policy import Decision, attempt, decide, needs_newest, wait
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import Verdict, judge_waiting
from token_refresh.core.status import Outcome, State, Status, lease_of, parse_lease, parse_status
from token_refresh.core.trigger import Trigger
from token_refresh.errors import Misconfigured, SecretMissing, StoreError, VersionMissing, VersionUnusable
from token_refresh.instance.unsaved import UnsavedReplies
from token_refresh.ports import SecretStore
from token_refresh.refresh.attempt import Attempt, Reply
from token_refresh.refresh.faults import is_of_store, judge_fault, log_fault
from token_refresh.refresh.preparation import Preparation
from token_refresh.refresh.refresher import Refresher
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection in one run: what was decided and why, and what the attempt brought if there was one."""

    connection: Connection
    situation: Situation
    decision: Decision
    attempt: Attempt | None = None
    message: str = ""
    failed_at_store: bool = False

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict on the attempt, if there was one."""
        return self.attempt.verdict if self.attempt else None

    @property
    def outcome(self) -> Outcome:
        """Return the outcome."""
        return (self.verdict or self.decision).outcome

    @property
    def reason(self) -> str:
        """Return the reason of the outcome."""
        return (self.verdict or self.decision).reason

    @property
    def facts(self) -> AccessTokenFacts | None:
        """Return what is known of the stored access token."""
        return self.attempt.facts if self.attempt else self.situation.facts

    @property
    def client(self) -> str:
        """Return the subject of events about the client."""
        return self.attempt.situation.client if self.attempt else self.situation.client

    def left(self, outcome: Outcome, reason: str, message: str | None = None) -> Visit:
        """Return the visit of a connection that is left alone, whatever was decided before."""
        said = self.message if message is None else message
        return replace(self, decision=wait(outcome, reason), attempt=None, message=said)

    def came_to(self, attempt: Attempt) -> Visit:
        """Return the visit with what an attempt has brought."""
        return replace(
            self,
            connection=attempt.connection,
            attempt=attempt,
            message=attempt.verdict.message,
            failed_at_store=self.failed_at_store or attempt.failed_at_store,
        )


@dataclass(frozen=True, slots=True)
class Visitor:
    """Visit one connection at a time; threads may share it."""

    store: SecretStore
    preparation: Preparation
    refresher: Refresher
    incidents: Incidents
    memory: Memory
    unsaved: UnsavedReplies[Reply]
    settings: Settings
    clock: Callable[[], float]

    def look(self, connection: Connection, trigger: Trigger) -> Visit:
        """Gather what there is to know of a connection, and decide; whatever fails concerns only this connection."""
        situation = None
        try:
            if not trigger.dry_run and not connection.paused:
                connection = self._mend(connection)
            situation = self._sight(connection, trigger)
            situation = self._with_newest(connection, situation)
            visit = Visit(connection, situation, self._decide(connection, situation))
            if trigger.dry_run and not connection.paused:
                return self._check(visit)
        except Exception as fault:  # noqa: BLE001 - a defect met by one connection must not stop the others
            return self._could_not_look(connection, situation or self._first_sight(connection, trigger), fault)
        if situation.status and situation.status.message and not visit.decision.attempt:
            return replace(visit, message=situation.status.message)
        return visit

    def postpone(self, connection: Connection, trigger: Trigger) -> Visit:
        """Leave a connection to the next run, unseen: there is no time to look at it."""
        left = wait(Outcome.PAUSED, "paused") if connection.paused else wait(Outcome.DEFERRED, "run_seconds")
        return Visit(connection, self._first_sight(connection, trigger), left)

    def attempt(self, visit: Visit, until: float) -> Visit:
        """Exchange, save, and judge; nothing is written of the verdict yet. Nothing is sent after `until`."""
        return visit.came_to(self.refresher.attempt(visit.connection, visit.situation, until))

    def wait(self, visit: Visit) -> Visit:
        """Judge a connection that is only waiting: its back-off may have become the world's business."""
        back_off = visit.situation.back_off
        if visit.outcome != Outcome.UNAVAILABLE or back_off is None:
            return visit
        if judge_waiting(visit.situation, back_off) is None:
            return visit
        connection = visit.connection
        situation = self.memory.look_again(connection, visit.situation) or visit.situation
        verdict = judge_waiting(situation, back_off)
        if verdict is None:
            self.memory.remember_failure(connection.secret_id, None)
            return replace(visit.left(Outcome.FRESH, "refreshed_elsewhere"), situation=situation)
        return visit.came_to(Attempt(connection, situation, verdict))

    def unreadable(self, name: str, fault: StoreError) -> Visit:
        """Say of a connection that it cannot even be read: it harms no other one that is named beside it."""
        connection = Connection(name=name, record=SecretRecord(name + SUFFIX, {}, {}, ""))
        situation = Situation(name=name, now=self.clock(), is_unread=True)
        return self._not_seen(connection, situation, judge_fault(situation, fault), fault)

    def _could_not_look(self, connection: Connection, situation: Situation, fault: Exception) -> Visit:
        """Judge a fault that was met while looking, as one met by an attempt is judged; back off from it likewise."""
        verdict = judge_fault(situation, fault)
        visit = self._not_seen(connection, situation, verdict, fault)
        if verdict.outcome == Outcome.UNAVAILABLE:
            known = situation.back_off or situation.status
            if known and known.reason == verdict.reason and situation.now < known.next_attempt_at:
                return visit
            self.memory.remember_failure(connection.secret_id, verdict.back_off)
        log_fault(connection, fault)
        return replace(visit.came_to(Attempt(connection, situation, verdict)), message=visit.message)

    @staticmethod
    def _not_seen(connection: Connection, situation: Situation, verdict: Verdict, fault: Exception) -> Visit:
        """Return a visit that a fault has ended before anything was decided; what a defect says is not shown."""
        said = str(fault) if verdict.message or is_of_store(fault) else ""
        decision = wait(verdict.outcome, verdict.reason)
        return Visit(connection, situation, decision, message=said, failed_at_store=is_of_store(fault))

    def _first_sight(self, connection: Connection, trigger: Trigger) -> Situation:
        """Return what can be known without any call."""
        return self._situation(connection, trigger, self.incidents.status_of(connection), None, is_unread=True)

    def _sight(self, connection: Connection, trigger: Trigger) -> Situation:
        """Return what is known, and what the stored access token tells."""
        status, facts = self.incidents.status_of(connection), None
        if not connection.paused or self.memory.is_known(connection):
            # A dry run is to find what has gone since: nothing else looks again at what a warm instance knows.
            facts = self.memory.reread_secret(connection) if trigger.dry_run else self.memory.facts(connection)
        # A lease that names a newer version means that a newer access token exists, or is coming; and a state that
        # only this instance remembers may be over.
        if facts and not connection.paused and lowest_version(connection, trigger) > facts.connection_version:
            facts = self.memory.reread(connection)
        if status and connection in self.incidents.unwritten:
            facts = self.memory.reread(connection)
            if facts and facts.refreshed_at > status.tried_at:
                self.incidents.unwritten.end(connection)
                status = self.incidents.status_of(connection)
        return self._situation(connection, trigger, status, facts)

    def _situation(
        self,
        connection: Connection,
        trigger: Trigger,
        status: Status | None,
        facts: AccessTokenFacts | None,
        *,
        is_unread: bool = False,
    ) -> Situation:
        client = status.client if status and status.client else connection.client_secret_id
        margins = self.memory.margins(connection, facts)
        return Situation(
            name=connection.name,
            now=self.clock(),
            is_unread=is_unread,
            facts=facts,
            status=status,
            back_off=self.memory.back_offs.get(connection.secret_id),
            confirm_after=self.settings.confirm_after,
            client=self.memory.clients.get(connection.secret_id) or client,
            margin=margins.margin,
            due_at=margins.due_at,
            lowest_version=lowest_version(connection, trigger),
            was_consenting=lease_of(connection.record).is_of_consent,
            version=(status.version if status else 0) or (facts.connection_version if facts else 0),
            force=trigger.force,
        )

    def _with_newest(self, connection: Connection, seen: Situation) -> Situation:
        """Add newer versions, of the client where it is at fault, too, where the state makes them worth a look."""
        status, client_version = seen.status, 0
        if status is None or not needs_newest(status) or connection.paused or connection.problem:
            return seen
        try:
            newest = self.store.access(connection.secret_id).number
        except (VersionMissing, SecretMissing):
            newest = 0
        except VersionUnusable:
            newest = status.version + 1  # a change: let the attempt find out which
        if status.state == State.REJECTED and status.client == connection.client_secret_id:
            try:
                client_version = self.memory.client(connection.client_secret_id, reread=True)[1]
            except Misconfigured:
                client_version = status.client_version + 1  # likewise
        return replace(seen, now=self.clock(), newest_version=newest, newest_client_version=client_version)

    def _decide(self, connection: Connection, situation: Situation) -> Decision:
        if connection.paused:
            return wait(Outcome.PAUSED, "paused")
        if connection.secret_id in self.unsaved:
            return wait(Outcome.UNAVAILABLE, NOT_SAVED)
        lease = lease_of(connection.record)
        if lease.unsaved and lease.is_held(situation.now):  # only its holder has what is to be stored
            return wait(Outcome.BUSY, "lease_held")
        if connection.problem:
            return attempt("misconfigured")
        return decide(situation)

    def _check(self, visit: Visit) -> Visit:
        """Find, for a dry run, what can be found wrong without sending anything."""
        problem = self.preparation.check(visit.connection, visit.situation)
        return visit if problem is None else visit.left(Outcome.MISCONFIGURED, "misconfigured", problem)

    def _mend(self, connection: Connection) -> Connection:
        """Remove what a person edited into nonsense; it has been treated as absent."""
        notes = connection.record.annotations
        if STATUS not in notes and LEASE not in notes:
            return connection
        broken = [
            k for k, parse in ((STATUS, parse_status), (LEASE, parse_lease)) if notes.get(k) and not parse(notes[k])
        ]
        if not broken:
            return connection
        log.warning("%s carried nonsense in %s: removed", connection.secret_id, " and ".join(broken))
        record = swap(self.store, connection.record, lambda _: dict.fromkeys(broken), lambda _: False)
        return replace(connection, record=record or self.store.get(connection.secret_id))


def lowest_version(connection: Connection, trigger: Trigger) -> int:
    """Return the version of the connection secret that exists at least: named by the trigger, or by the lease."""
    return max(trigger.versions.get(connection.name, 0), lease_of(connection.record).version)
