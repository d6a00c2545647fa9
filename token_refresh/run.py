"""One run: list the connections, decide for each what to do now, do it, and tell the world what changed.

Two passes, because a verdict may depend on its neighbours: first every exchange, then, knowing how many grants of one
client died at once, the verdicts.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from token_refresh.core import breaker
from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.breaker import Hold, Tried
from token_refresh.core.connection import LEASE, STATUS, SUFFIX, Connection, parse_connection
from token_refresh.core.consent_end import crossed_warning
from token_refresh.core.events import CLIENT_REJECTED
from token_refresh.core.incident import announce, announce_client
from token_refresh.core.policy import Decision, Look, Verdict, decide, needs_newest
from token_refresh.core.status import (
    MISCONFIGURED,
    NEEDS_CONSENT,
    REJECTED,
    SUSPECT,
    UNAVAILABLE,
    Status,
    parse_lease,
    parse_status,
)
from token_refresh.core.trigger import Trigger
from token_refresh.errors import (
    EtagConflict,
    Misconfigured,
    SecretMissing,
    StoreError,
    StoreUnavailable,
    UnknownConnection,
    VersionMissing,
    VersionUnusable,
)
from token_refresh.incidents import Incidents
from token_refresh.known import Known
from token_refresh.ports import SecretStore
from token_refresh.refresh import Attempt, Busy, Refresher
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")

HOUR = 3600


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


@dataclass(slots=True)
class Report:
    """What a run did."""

    run_id: str
    works: list[Work] = field(default_factory=list)
    destroyed: int | None = None

    def document(self) -> dict[str, object]:
        """Return the answer of `refresh_http` (contract 4)."""
        document: dict[str, object] = {
            "run_id": self.run_id,
            "counts": dict(Counter(w.outcome for w in self.works)),
            "connections": [w.result() for w in self.works],
        }
        if self.destroyed is not None:
            document["destroyed"] = self.destroyed
        return document


class Runner:
    """Carry out runs. One for the instance's life; safe for threads."""

    def __init__(  # noqa: PLR0913 - the parts of a run
        self,
        store: SecretStore,
        refresher: Refresher,
        incidents: Incidents,
        known: Known,
        settings: Settings,
        clock: Callable[[], float],
        clean: Callable[[Sequence[Connection]], int],
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._incidents = incidents
        self._known = known
        self._settings = settings
        self._clock = clock
        self._clean = clean

    def run(self, trigger: Trigger) -> Report:
        """Carry out a run.

        Raises `UnknownConnection` (nothing was run) and `StoreUnavailable` (the secrets cannot be listed, or every
        connection failed at Secret Manager: the caller should try again).
        """
        report = Report(uuid.uuid4().hex)
        began = self._clock()
        listed = self._list()
        chosen = self._choose(listed, trigger)
        with ThreadPoolExecutor(max_workers=max(1, int(self._settings.refresh_workers))) as pool:
            report.works = list(pool.map(lambda c: self._work(c, trigger), chosen))
            if not trigger.dry_run:
                self._conclude(report.works, listed, pool)
        if trigger.clean and not trigger.dry_run:
            report.destroyed = self._clean(chosen)
        self._log(report, began)
        if report.works and all(w.reason == "secret_manager" for w in report.works):
            raise StoreUnavailable("every connection failed at Secret Manager: try again")
        return report

    # -- which connections -------------------------------------------------------------------------------------------

    def _list(self) -> list[Connection]:
        connections = [c for r in self._store.list_connections() if (c := parse_connection(r))]
        return _mark_twins(connections)

    def _choose(self, listed: Sequence[Connection], trigger: Trigger) -> list[Connection]:
        if trigger.connections is None:
            return sorted(listed, key=lambda c: c.name)
        by_name: dict[str, list[Connection]] = defaultdict(list)
        for connection in listed:
            by_name[connection.name].append(connection)
        unknown = []
        for name in trigger.connections:
            if name not in by_name:
                found = self._find(name)
                if found:
                    by_name[name].append(found)
                else:
                    unknown.append(name)
        if unknown and not trigger.only_known:
            raise UnknownConnection("no such connection: " + ", ".join(n[:255] for n in unknown))
        for name in unknown:
            log.info("ignored: %s is no connection", name[:255])
        return [c for name in trigger.connections for c in by_name[name]]

    def _find(self, name: str) -> Connection | None:
        """Look at the secret itself: lists are eventually consistent, and a new connection may not be on them."""
        for secret_id in (name + SUFFIX, name):
            try:
                connection = parse_connection(self._store.get(secret_id))
            except SecretMissing:
                continue
            if connection and connection.name == name:
                return connection
        return None

    # -- first pass: one connection ----------------------------------------------------------------------------------

    def _work(self, connection: Connection, trigger: Trigger) -> Work:
        work = Work(connection)
        try:
            self._work_on(work, trigger)
        except Busy:
            work.outcome, work.reason = "busy", "lease_held"
        except StoreError as fault:
            work.outcome, work.reason, work.message = UNAVAILABLE, "secret_manager", str(fault)
        except Exception as fault:  # noqa: BLE001 - a defect met by one connection must not stop the others
            # Neither text nor traceback of what nobody foresaw: it may hold anything.
            work.outcome, work.reason = UNAVAILABLE, "internal_error"
            log.error("defect while working on %s: %s at %s", connection.name, type(fault).__name__, _place(fault))
        return work

    def _work_on(self, work: Work, trigger: Trigger) -> None:
        if not trigger.dry_run and not work.connection.paused:
            work.connection = self._mend(work.connection)
        connection = work.connection
        work.status = parse_status(connection.record.annotations.get(STATUS))
        decision = self._decide(work, trigger)
        work.outcome, work.reason = decision.outcome, decision.reason
        if work.status and not decision.attempt:
            work.message = work.status.message
        if trigger.dry_run or connection.paused:
            return
        if work.status and work.status.owed:
            # Only an event about an incident that goes on: what a success ends is published with the recovery.
            work.connection, work.status = self._incidents.publish_owed(work.connection, work.status, work.facts)
        if not decision.attempt:
            if work.status:
                work.connection, work.status = self._incidents.remind(work.connection, work.status, work.facts)
            return
        self._attempt(work, trigger)

    def _mend(self, connection: Connection) -> Connection:
        """Remove what someone edited into nonsense; it has been treated as absent."""
        notes = connection.record.annotations
        broken = [k for k, parse in ((STATUS, parse_status), (LEASE, parse_lease)) if notes.get(k) and not parse(notes[k])]
        if not broken:
            return connection
        log.warning("%s carried nonsense in %s: removed", connection.secret_id, " and ".join(broken))
        try:
            record = self._store.annotate(connection.record, dict.fromkeys(broken))
        except EtagConflict:
            record = self._store.get(connection.secret_id)
        return replace(connection, record=record)

    def _decide(self, work: Work, trigger: Trigger) -> Decision:
        connection, status = work.connection, work.status
        if connection.paused:
            return Decision(attempt=False, outcome="paused", reason="paused")
        lowest = trigger.versions.get(connection.name, 0)
        facts = self._known.facts(connection)
        if facts and lowest > facts.connection_version:
            facts = self._known.facts(connection, reread=True)
        work.facts = facts
        if connection.name in self._known.unsaved:
            return Decision(attempt=True, outcome="planned", reason="rotated_token_not_saved")
        if connection.problem:
            return Decision(attempt=True, outcome="planned", reason="misconfigured")
        newest, client_version = self._look_for_newer(connection, status) if needs_newest(status) else (0, 0)
        return decide(
            Look(
                name=connection.name,
                now=self._clock(),
                status=status,
                facts=facts,
                due_at=self._known.margins(connection).due_at,
                force=trigger.force,
                lowest_version=lowest,
                newest_version=newest,
                client_version=client_version,
                back_off=self._known.back_offs.get(connection.name),
                confirm_after=self._settings.confirm_after,
            )
        )

    def _look_for_newer(self, connection: Connection, status: Status | None) -> tuple[int, int]:
        """Return the newest visible version of the connection secret, and of the client where the client is at fault."""
        try:
            newest = self._store.access(connection.secret_id).number
        except (VersionMissing, SecretMissing):
            newest = 0
        except VersionUnusable:
            newest = status.version + 1 if status else 0  # a change: let the attempt find out which
        client = 0
        if status and status.state == REJECTED and status.client == connection.client_secret_id:
            try:
                client = self._known.client(connection.client_secret_id, reread=True)[1]
            except Misconfigured:
                client = status.client_version + 1  # likewise
        return newest, client

    def _attempt(self, work: Work, trigger: Trigger, *, confirm_now: bool = False) -> None:
        lowest = trigger.versions.get(work.connection.name, 0)
        used = self._known.client_version(work.connection.client_secret_id)
        attempt = self._refresher.attempt(
            work.connection, lowest_version=lowest, reread_client=trigger.force, confirm_now=confirm_now
        )
        if attempt.verdict.outcome == REJECTED and used and self._has_newer_client(attempt, used):
            attempt = self._refresher.attempt(attempt.connection, lowest_version=lowest, confirm_now=confirm_now)
        _take(work, attempt)

    def _has_newer_client(self, attempt: Attempt, used: int) -> bool:
        """Never blame a client whose secret was replaced while this instance was warm."""
        if attempt.case.client != attempt.connection.client_secret_id:
            return False
        try:
            return self._known.client(attempt.connection.client_secret_id, reread=True)[1] > used
        except (Misconfigured, StoreError):
            return False

    # -- second pass: the verdicts -----------------------------------------------------------------------------------

    def _conclude(self, works: Sequence[Work], listed: Sequence[Connection], pool: ThreadPoolExecutor) -> None:
        tried = [w for w in works if w.attempt]
        holds, tripped, lifted = self._weigh(works, listed)
        now = self._clock()
        for work in tried:
            _hold_back(work, holds, tripped, lifted, now + self._settings.breaker_hold)
        ending = _ending_client_incidents(tried, listed)
        self._tell_about_clients([w for w in tried if _concerns_client(w)], listed)
        list(pool.map(lambda w: self._guard(w, lambda: self._tell(w, ends_client=w.connection.secret_id in ending)), tried))
        second = [w for w in tried if self._must_confirm_now(w)]
        list(pool.map(lambda w: self._guard(w, lambda: self._confirm(w)), second))
        if lifted:
            self._lift(lifted, listed, {w.connection.secret_id for w in tried}, now)

    def _weigh(
        self, works: Sequence[Work], listed: Sequence[Connection]
    ) -> tuple[dict[str, Hold], set[str], set[str]]:
        now = self._clock()
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
        tripped = breaker.find_tripped([*tried, *rest], self._settings.breaker_min) - lifted
        return holds, tripped, lifted

    def _guard(self, work: Work, step: Callable[[], None]) -> None:
        """What could not be written is decided again by the next run."""
        try:
            step()
        except Busy:
            pass
        except StoreError as fault:
            log.error("could not record the state of %s: %s", work.connection.name, fault)

    def _tell(self, work: Work, *, ends_client: bool = False) -> None:
        attempt, verdict = _attempt_of(work), _attempt_of(work).verdict
        if verdict.status is None:
            if attempt.end:
                days = crossed_warning(attempt.end, attempt.looked_at, self._clock())
                if days:
                    self._incidents.warn_of_end(work.connection, work.facts, attempt.end.at, days)
            if work.status:
                self._incidents.recover(work.connection, work.status, work.facts, is_last_of_client=ends_client)
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
        written = self._incidents.write(work.connection, status)
        if written is None:
            log.info("the state of %s was written by another run", work.connection.name)
            return False
        description = _attempt_of(work).verdict.detail.error_description
        work.connection, work.status = self._incidents.publish_owed(written, status, work.facts, description)
        return True

    def _tell_about_clients(self, works: Sequence[Work], listed: Sequence[Connection]) -> None:
        """Publish one event per client and incident, whatever the number of its connections."""
        known = {}
        for connection in listed:
            status = parse_status(connection.record.annotations.get(STATUS))
            if status and status.client_event_id and status.state in (REJECTED, SUSPECT):
                known[status.client, status.reason] = status.client_event_id
        for work in works:
            status = _attempt_of(work).verdict.status
            assert status is not None  # noqa: S101 - a rejection always has one
            key = (status.client, status.reason)
            joined = known.get(key) or (status.client_event_id if status.reason == breaker.MASS else "")
            status = replace(status, client_event_id=joined) if joined else announce_client(status)

            def tell(work: Work = work, status: Status = status) -> None:
                if self._record(work, status):
                    known[status.client, status.reason] = status.client_event_id

            self._guard(work, tell)

    def _must_confirm_now(self, work: Work) -> bool:
        status = work.status
        dead = _attempt_of(work).verdict.is_death
        if not (dead and status and status.state == SUSPECT and not status.hold_until > self._clock()):
            return False
        return not (work.facts and work.facts.is_valid(self._clock()))

    def _confirm(self, work: Work) -> None:
        """Try a second time at once: without a valid access token there is nothing to lose by asking."""
        self._attempt(work, Trigger(), confirm_now=True)
        if _concerns_client(work):
            self._tell_about_clients([work], [])
        else:
            self._tell(work)

    def _lift(self, clients: set[str], listed: Iterable[Connection], done: set[str], now: float) -> None:
        for connection in listed:
            status = parse_status(connection.record.annotations.get(STATUS))
            if status and status.client in clients and status.hold_until > now and connection.secret_id not in done:
                try:
                    self._incidents.write(connection, breaker.lift(status, now))
                except StoreError as fault:
                    log.warning("could not lift the hold of %s: %s", connection.name, fault)

    # -- the report --------------------------------------------------------------------------------------------------

    def _log(self, report: Report, began: float) -> None:
        now = self._clock()
        for work in report.works:
            fields: dict[str, object] = {
                "event": "connection",
                "run_id": report.run_id,
                "connection": work.connection.name,
                "provider": work.connection.provider,
                "outcome": work.outcome,
                "reason": work.reason,
            }
            if work.facts:
                fields["access_token_seconds_left"] = int(work.facts.expires_at - now)
            known = logging.DEBUG if work.outcome in ("fresh", "paused") else logging.INFO
            level = _LEVELS.get(work.outcome, logging.INFO) if work.attempt else known
            detail = f": {work.message}" if work.message else ""
            log.log(
                level, "%s %s (%s)%s", work.connection.name, work.outcome, work.reason, detail, extra={"json_fields": fields}
            )
        left = [w.facts.expires_at - now for w in report.works if w.facts and not w.connection.paused]
        document = report.document()
        states = Counter(w.status.state if w.status else "healthy" for w in report.works if not w.connection.paused)
        fields = {
            "event": "run",
            "run_id": report.run_id,
            "counts": document["counts"],
            "states": dict(states),
            "duration_seconds": round(now - began, 3),
        }
        if left:
            fields["least_seconds_left"] = int(min(left))
        log.info("run %s: %s", report.run_id, document["counts"], extra={"json_fields": fields})


_LEVELS = {
    SUSPECT: logging.WARNING,
    UNAVAILABLE: logging.WARNING,
    NEEDS_CONSENT: logging.ERROR,
    REJECTED: logging.ERROR,
    MISCONFIGURED: logging.ERROR,
}


def _mark_twins(connections: list[Connection]) -> list[Connection]:
    """Two secrets that yield one name: neither is the connection."""
    names = Counter(c.name for c in connections)
    secrets = {n: sorted(c.secret_id for c in connections if c.name == n) for n, k in names.items() if k > 1}
    return [
        replace(c, problem=f"secrets {' and '.join(secrets[c.name])} both declare this connection: rename one")
        if c.name in secrets
        else c
        for c in connections
    ]


def _take(work: Work, attempt: Attempt) -> None:
    verdict = attempt.verdict
    work.attempt = attempt
    work.connection = attempt.connection
    work.outcome, work.reason, work.message = verdict.outcome, verdict.reason, verdict.message
    work.facts = attempt.facts
    work.written = attempt.written


def _attempt_of(work: Work) -> Attempt:
    assert work.attempt is not None  # noqa: S101 - only works with an attempt come here
    return work.attempt


def _concerns_client(work: Work) -> bool:
    """Tell whether the verdict starts, or joins, an incident of the client."""
    verdict = _attempt_of(work).verdict
    if verdict.status is None:
        return False
    rejected = verdict.announce == CLIENT_REJECTED and verdict.status.state == REJECTED
    return rejected or verdict.reason == breaker.MASS


def _hold_back(work: Work, holds: dict[str, Hold], tripped: set[str], lifted: set[str], until: float) -> None:
    attempt = _attempt_of(work)
    client, verdict, case = attempt.case.client, attempt.verdict, attempt.case
    if not verdict.is_death or client in lifted or not breaker.may_hold(case.previous, case.now):
        return
    hold = holds.get(client) or (Hold(until) if client in tripped else None)
    if hold is None:
        return
    held: Verdict = breaker.hold_back(case, verdict, hold)
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


def _place(fault: BaseException) -> str:
    trace = fault.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "unknown"
