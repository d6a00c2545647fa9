"""One connection's way through a run: look, decide, attempt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from token_refresh.connections.incidents import Incidents
from token_refresh.connections.lease import Busy, lease_of
from token_refresh.connections.memory import Memory
from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import LEASE, STATUS, Connection
from token_refresh.core.state.policy import Decision, Look, decide, needs_newest
from token_refresh.core.state.verdict import Case, judge_waiting
from token_refresh.core.status import REJECTED, UNAVAILABLE, Status, parse_lease, parse_status, status_of
from token_refresh.core.trigger import Trigger
from token_refresh.errors import (
    EtagConflict,
    Misconfigured,
    SecretMissing,
    StoreError,
    VersionMissing,
    VersionUnusable,
)
from token_refresh.ports import SecretStore
from token_refresh.refresh.attempt import Attempt
from token_refresh.refresh.refresher import Refresher
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")


@dataclass(slots=True)
class Work:
    """One connection's way through a run."""

    connection: Connection
    outcome: str = ""
    reason: str = ""
    message: str = ""
    status: Status | None = None
    facts: AccessTokenFacts | None = None
    attempt: Attempt | None = None
    written: int | None = None

    @property
    def made(self) -> Attempt:
        """Return the attempt of a work that has one."""
        assert self.attempt is not None  # noqa: S101 - only such works are asked
        return self.attempt

    def take(self, attempt: Attempt) -> None:
        """Take an attempt's verdict as this work's outcome."""
        verdict = attempt.verdict
        self.attempt = attempt
        self.connection, self.status = attempt.connection, status_of(attempt.connection)
        self.outcome, self.reason, self.message = verdict.outcome, verdict.reason, verdict.message
        self.facts = attempt.facts
        self.written = attempt.written

    def result(self) -> dict[str, object]:
        """Return what the report says of it (contract 4)."""
        status = self.status
        entry: dict[str, object] = {
            "name": self.connection.name,
            "outcome": self.outcome,
            "reason": self.reason,
            "access_token_expires_at": int(self.facts.expires_at) if self.facts else None,
            "version": self.written,
        }
        if self.message:
            entry["message"] = self.message
        if status and status.next_attempt_at and self.outcome != "refreshed":
            entry["next_attempt_at"] = int(status.next_attempt_at)
        return entry


@dataclass(frozen=True, slots=True)
class Worker:
    """Work on one connection at a time; threads may share it."""

    store: SecretStore
    refresher: Refresher
    incidents: Incidents
    known: Memory
    settings: Settings
    clock: Callable[[], float]

    def work(self, connection: Connection, trigger: Trigger) -> Work:
        """Do for one connection what is to be done now; whatever happens, only this connection is concerned."""
        work = Work(connection)
        try:
            self._work_on(work, trigger)
        except Busy:
            work.outcome, work.reason = "busy", "lease_held"
        except StoreError as fault:
            work.outcome, work.reason, work.message = UNAVAILABLE, "secret_manager", str(fault)
        except Exception as fault:  # noqa: BLE001 - a defect met by one connection must not stop the others
            work.outcome, work.reason = UNAVAILABLE, "internal_error"
            log_defect(connection, fault)
        return work

    def _work_on(self, work: Work, trigger: Trigger) -> None:
        if not trigger.dry_run and not work.connection.paused:
            work.connection = self._mend(work.connection)
        connection = work.connection
        work.status = status_of(connection)
        decision = self._decide(work, trigger)
        work.outcome, work.reason = decision.outcome, decision.reason
        if work.status and not decision.attempt:
            work.message = work.status.message
        if trigger.dry_run or connection.paused:
            return
        if work.status and work.status.owed:
            work.connection, work.status = self.incidents.publish_owed(work.connection, work.status, work.facts)
        if decision.attempt:
            self.attempt(work, trigger)
        else:
            self._wait(work)

    def _wait(self, work: Work) -> None:
        """Say what must be said although nothing is tried: somebody has waited for too long."""
        connection, back_off = work.connection, self.known.back_offs.get(work.connection.name)
        if work.status:
            work.connection, work.status = self.incidents.remind(connection, work.status, work.facts)
        elif back_off and work.outcome == UNAVAILABLE:
            case = Case(
                name=connection.name,
                now=self.clock(),
                version=work.facts.connection_version if work.facts else 0,
                facts=work.facts,
                margin=self.known.margins(connection).margin,
                client=connection.client_secret_id,
            )
            verdict = judge_waiting(case, back_off)
            if verdict:
                work.take(Attempt(connection, verdict, case, facts=work.facts, tried=False))

    def _mend(self, connection: Connection) -> Connection:
        """Remove what someone edited into nonsense; it has been treated as absent."""
        notes = connection.record.annotations
        broken = [
            k for k, parse in ((STATUS, parse_status), (LEASE, parse_lease)) if notes.get(k) and not parse(notes[k])
        ]
        if not broken:
            return connection
        log.warning("%s carried nonsense in %s: removed", connection.secret_id, " and ".join(broken))
        try:
            record = self.store.annotate(connection.record, dict.fromkeys(broken))
        except EtagConflict:
            record = self.store.get(connection.secret_id)
        return replace(connection, record=record)

    def _decide(self, work: Work, trigger: Trigger) -> Decision:
        connection, status = work.connection, work.status
        if connection.paused:
            return Decision(attempt=False, outcome="paused", reason="paused")
        lowest = trigger.versions.get(connection.name, 0)
        facts = self.known.facts(connection)
        # Whoever holds or held the lease of a newer version has written a newer access token, or will.
        if facts and max(lowest, lease_of(connection).version) > facts.connection_version:
            facts = self.known.facts(connection, reread=True)
        work.facts = facts
        if connection.name in self.known.unsaved:
            return Decision(attempt=True, outcome="planned", reason="rotated_token_not_saved")
        if connection.problem:
            return Decision(attempt=True, outcome="planned", reason="misconfigured")
        newest, client_version = self._look_for_newer(connection, status) if needs_newest(status) else (0, 0)
        return decide(
            Look(
                name=connection.name,
                now=self.clock(),
                status=status,
                facts=facts,
                due_at=self.known.margins(connection).due_at,
                force=trigger.force,
                lowest_version=lowest,
                newest_version=newest,
                client_version=client_version,
                back_off=self.known.back_offs.get(connection.name),
                confirm_after=self.settings.confirm_after,
            )
        )

    def _look_for_newer(self, connection: Connection, status: Status | None) -> tuple[int, int]:
        """Return the newest visible version of the connection secret, and of the client where that is at fault."""
        try:
            newest = self.store.access(connection.secret_id).number
        except (VersionMissing, SecretMissing):
            newest = 0
        except VersionUnusable:
            newest = status.version + 1 if status else 0  # a change: let the attempt find out which
        client = 0
        if status and status.state == REJECTED and status.client == connection.client_secret_id:
            try:
                client = self.known.client(connection.client_secret_id, reread=True)[1]
            except Misconfigured:
                client = status.client_version + 1  # likewise
        return newest, client

    def attempt(self, work: Work, trigger: Trigger, *, confirm_now: bool = False) -> None:
        """Exchange now; raises `Busy`, `StoreError`."""
        lowest = trigger.versions.get(work.connection.name, 0)
        used = self.known.client_version(work.connection.client_secret_id)
        attempt = self.refresher.attempt(work.connection, lowest_version=lowest, confirm_now=confirm_now)
        if attempt.verdict.outcome == REJECTED and used and self._has_newer_client(attempt, used):
            attempt = self.refresher.attempt(attempt.connection, lowest_version=lowest, confirm_now=confirm_now)
        work.take(attempt)

    def _has_newer_client(self, attempt: Attempt, used: int) -> bool:
        """Never blame a client whose secret was replaced while this instance was warm."""
        if attempt.case.client != attempt.connection.client_secret_id:
            return False
        try:
            return self.known.client(attempt.connection.client_secret_id, reread=True)[1] > used
        except (Misconfigured, StoreError):
            return False


def log_defect(connection: Connection, fault: BaseException) -> None:
    """Log what nobody foresaw: neither its text nor a traceback, for it may hold anything."""
    trace = fault.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "unknown"
    log.error("defect while working on %s: %s at %s", connection.name, type(fault).__name__, where)
