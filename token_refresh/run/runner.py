"""One run: find the connections, decide for each what to do now, do it, and tell the world what changed.

Its steps and their rules stand in this room's README.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice

from token_refresh.connections.directory import Directory
from token_refresh.core.connection import Connection
from token_refresh.core.incident.events import NOT_SAVED
from token_refresh.core.incident.incident import is_mass
from token_refresh.core.status import Outcome, State
from token_refresh.core.trigger import Trigger
from token_refresh.errors import StoreError, StoreUnavailable
from token_refresh.instance.lanes import Task
from token_refresh.instance.pool import Pool
from token_refresh.instance.quota import Priority
from token_refresh.instance.unsaved import UnsavedReplies
from token_refresh.refresh.attempt import Attempt, Reply
from token_refresh.refresh.save import Saver
from token_refresh.run.choice import Chooser
from token_refresh.run.clean import Janitor
from token_refresh.run.report import Report
from token_refresh.run.revoke import Revocations
from token_refresh.run.run import Claims, OpenAttempts, Run, build_task, is_outage, urgency
from token_refresh.run.verdicts import Verdicts
from token_refresh.run.visit import Visit, Visitor
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")


@dataclass(frozen=True, slots=True)
class Runner:
    """Carry out runs. One for the instance's life; safe for threads."""

    directory: Directory
    chooser: Chooser
    visitor: Visitor
    verdicts: Verdicts
    saver: Saver
    unsaved: UnsavedReplies[Reply]
    pool: Pool
    claims: Claims
    janitor: Janitor
    revocations: Revocations
    settings: Settings
    clock: Callable[[], float]

    def run(self, trigger: Trigger) -> Report:
        """Carry out a run.

        Raises `UnknownConnection` (nothing was run) and `StoreUnavailable` (the secrets cannot be listed, or at least
        two connections and all of them failed at Secret Manager: the caller should try again).
        """
        run = Run(trigger, self.clock(), self.settings.run_seconds, self.claims)
        try:
            with self.pool.within(run.ends):
                return self._run(run)
        finally:
            run.free_all()

    def _run(self, run: Run) -> Report:
        trigger = run.trigger
        saved = {} if trigger.dry_run else self._save_first()
        chosen = self.chooser.choose(run)
        if trigger.revoke:  # one after the other: an operator waits for the answer
            visits = [self._revoke(connection, run) for connection in chosen]
        else:
            visits = self._refresh(chosen, saved, run)
        incidents, memory = self.visitor.incidents, self.visitor.memory
        report = Report(run, [*visits, *run.unread], incidents.status_of, memory.margins, self.settings)
        if trigger.clean and not trigger.dry_run:
            report.destroyed = self.janitor.clean([v.connection for v in visits], run.ends)
        report.log(self.clock())
        if is_outage(report.visits):
            raise StoreUnavailable("every connection failed at Secret Manager: try again")
        return report

    def _refresh(self, chosen: Sequence[Connection], saved: Mapping[str, Attempt], run: Run) -> list[Visit]:
        if run.trigger.force or run.trigger.dry_run:
            self.visitor.memory.forget_clients({c.client_secret_id for c in chosen})
        looks = self._look(chosen, run)
        visits = [v.came_to(saved[v.connection.secret_id]) if v.connection.secret_id in saved else v for v in looks]
        if not run.trigger.dry_run:
            refused = self.visitor.incidents.unwritten.ids()
            self._carry_out(visits, run)
            self.verdicts.write_unwritten(run.done, refused, run.until)
            visits = [run.done[v.connection.secret_id] for v in visits]
            outlived = self.janitor.destructions(v.connection for v in visits)
            # Who named a connection waits for the answer.
            priority = Priority.DESTROY if run.priority == Priority.DUE else run.priority
            for _ in self.pool.run(outlived, priority, run.until):
                pass
        return visits

    def _revoke(self, connection: Connection, run: Run) -> Visit:
        if self.clock() >= run.until:
            outcome, reason = Outcome.DEFERRED, "run_seconds"
        elif not run.claim(connection):
            outcome, reason = Outcome.BUSY, "in_progress"
        else:
            try:
                return self.revocations.revoke(connection, run.trigger)
            finally:
                run.free(connection)
        return self.visitor.look(connection, run.trigger).left(outcome, reason)

    # -- before anything else ------------------------------------------------------------------------------------------

    def _save_first(self) -> dict[str, Attempt]:
        """Store the new refresh tokens that could not be stored before, whatever is asked for."""
        self.unsaved.begin_run()
        late = self.pool.map_within(self.saver.save_late, self.unsaved.failing(), self.settings.http_timeout)
        saved = {reply.secret_id: attempt for reply, attempt in late if attempt is not None}
        for secret_id, attempt in saved.items():
            self.visitor.memory.remember_failure(secret_id, attempt.verdict.back_off)
        return saved

    def _look(self, chosen: Sequence[Connection], run: Run) -> list[Visit]:
        """Look at all, as long as there is time; what a warm instance knows needs no thread."""
        trigger, memory = run.trigger, self.visitor.memory
        unread = [c for c in chosen if trigger.dry_run or not memory.is_known(c) or self.visitor.incidents.status_of(c)]

        def look(connection: Connection) -> Visit:
            is_late = self.clock() >= run.until
            return (self.visitor.postpone if is_late else self.visitor.look)(connection, trigger)

        read = dict(zip(map(id, unread), self.pool.map(look, unread, run.priority, run.until), strict=True))
        return [read.get(id(c)) or self.visitor.look(c, trigger) for c in chosen]

    # -- the attempts --------------------------------------------------------------------------------------------------

    def _carry_out(self, visits: Sequence[Visit], run: Run) -> None:
        """Attempt what is to be attempted, and record client by client what that came to."""
        run.done = {v.connection.secret_id: v for v in visits}
        due = [v for v in visits if v.decision.attempt and v.attempt is None]
        attempts = OpenAttempts(due)
        for visit in self._ended(visits, due, run):
            run.done[visit.connection.secret_id] = visit
            self._record(attempts.end(visit, self.clock()), run)
            if visit.outcome == Outcome.REFRESHED and not self.visitor.incidents.status_of(visit.connection):
                run.free(visit.connection)  # whoever names it now need not wait for the others of its client
        # Where all fail at Secret Manager, that is its outage and no connection's trouble: the run answers 503.
        if not is_outage([*run.done.values(), *run.unread]):
            self._record(attempts.failed, run)

    def _ended(self, visits: Sequence[Visit], due: Sequence[Visit], run: Run) -> Iterator[Visit]:
        """Yield the attempts as they end, and between them those that only wait and have something to tell.

        After a mass incident these are thousands, and to tell is to write: the due do not wait for all of them.
        """
        incidents, attempted = self.visitor.incidents, {v.connection.secret_id: v for v in due}
        waiting = [v for v in visits if v.connection.secret_id not in attempted]
        telling = (v for v in waiting if v.attempt or v.situation.back_off or incidents.status_of(v.connection))
        settled = (self.verdicts.settle(v if v.attempt else self.visitor.wait(v), run.until) for v in telling)
        # While the due wait for a host's pace, what has no use is destroyed: else it would pile up behind them.
        beside = self.janitor.destructions(v.connection for v in waiting if not v.decision.attempt)
        for task, result in self.pool.run(self._tasks(due, run), run.priority, run.until, beside):
            yield result or attempted[task.key].left(Outcome.DEFERRED, self._why_not_begun())
            yield from islice(settled, 1)
        yield from settled

    def _why_not_begun(self) -> str:
        return NOT_SAVED if self.unsaved.may_spend() is None else "run_seconds"

    def _tasks(self, due: Iterable[Visit], run: Run) -> list[Task]:
        providers = self.visitor.memory.providers
        in_order = sorted(due, key=lambda v: urgency(v, run))
        return [build_task(v, providers.get(v.connection.provider), partial(self._attempt, v, run)) for v in in_order]

    def _attempt(self, visit: Visit, run: Run) -> Visit:
        """Attempt one connection, unless another run is at it, or was faster."""
        if not run.claim(visit.connection):
            return visit.left(Outcome.BUSY, "in_progress")
        memory, seen = self.visitor.memory, visit.situation
        known = memory.facts(visit.connection) if memory.is_known(visit.connection) else None
        if known != seen.facts or memory.back_offs.get(visit.connection.secret_id) != seen.back_off:
            visit = self.visitor.look(self._as_it_is(visit), run.trigger)
            if not visit.decision.attempt:
                return visit
        attempted = self.visitor.attempt(visit, run.until)
        self.janitor.destroy_aside(visit.connection)
        return attempted

    def _as_it_is(self, visit: Visit) -> Connection:
        """Return a connection that another run has worked on since: the status that it was seen with may be over."""
        with suppress(StoreError):
            found = self.directory.find(visit.connection.name) if visit.situation.status else None
            return found or visit.connection
        return visit.connection

    # -- the verdicts --------------------------------------------------------------------------------------------------

    def _record(self, visits: Sequence[Visit], run: Run) -> None:
        """Record what the attempts of one client came to; their connections are free for other runs afterwards."""
        by_client = defaultdict[str, list[Visit]](list)
        for visit in visits:
            by_client[visit.client].append(visit)
        for client, own in by_client.items():
            neighbours = self._neighbours(client, own, run)
            own = self.verdicts.leave_former_clients(own, run.as_it_is)  # noqa: PLW2901
            was_in_doubt = any(
                s and is_mass(s.client_event_id)
                for s in map(self.visitor.incidents.status_of, (*(v.connection for v in own), *neighbours))
            )
            told, neighbours = self.verdicts.record(own, neighbours, run.until)
            for visit in told:
                run.done[visit.connection.secret_id] = visit
                run.note(visit.connection, self.visitor.incidents.status_of(visit.connection))
            if was_in_doubt and any(v.outcome == Outcome.REFRESHED for v in told):
                self._try_suspects(neighbours, told, run)
        run.free(*(v.connection for v in visits))

    def _neighbours(self, client: str, own: Sequence[Visit], run: Run) -> list[Connection]:
        """Return the client's other connections, where the verdicts depend on them; else those that are in trouble."""
        if self.verdicts.needs_neighbours(own):
            try:
                run.listing(self.directory)
            except StoreError as fault:
                log.warning("the connections cannot be listed, so verdicts are judged by what is known: %s", fault)
                return []
            listed = run.as_it_is() or []
        else:  # all is well: whoever has no status has no part in an incident that may be over
            listed = run.troubled(self.visitor.incidents.status_of)
        names = {v.connection.secret_id for v in own}
        return [c for c in listed if c.secret_id not in names and self._client_of(c) == client]

    def _client_of(self, connection: Connection) -> str:
        status = self.visitor.incidents.status_of(connection)
        known = self.visitor.memory.clients.get(connection.secret_id)
        return (status.client if status and status.client else known) or connection.client_secret_id

    def _try_suspects(self, neighbours: Sequence[Connection], told: Sequence[Visit], run: Run) -> None:
        """Try the suspects of a client that was in doubt and works again, due or not."""
        status_of = self.visitor.incidents.status_of
        suspects = [c for c in neighbours if (s := status_of(c)) and s.state == State.SUSPECT and not c.paused]
        due = [v for c in suspects if (v := self.visitor.look(c, Trigger(force=True))).decision.attempt]
        tried = [r for _, r in self.pool.run(self._tasks(due, run), Priority.VERDICT, run.until) if r is not None]
        ids = {v.connection.secret_id for v in tried}
        others = [c for c in (*neighbours, *(v.connection for v in told)) if c.secret_id not in ids]
        for visit in self.verdicts.record(tried, others, run.until)[0]:
            if visit.connection.secret_id in run.done:
                run.done[visit.connection.secret_id] = visit
            run.free(visit.connection)
