"""The breaker at work: weigh the deaths of a run together, hold them back, and let go of them again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial

from token_refresh.connections.incidents import Incidents
from token_refresh.connections.memory import Memory
from token_refresh.core.connection import Connection
from token_refresh.core.state import breaker
from token_refresh.core.state.breaker import Hold, Tried
from token_refresh.core.status import status_of
from token_refresh.core.units import HOUR
from token_refresh.errors import StoreError
from token_refresh.run.visit import Work
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")


@dataclass(frozen=True, slots=True)
class Holds:
    """Decide which deaths point at the client. One for the instance's life."""

    known: Memory
    incidents: Incidents
    settings: Settings
    clock: Callable[[], float]
    # Client of each connection that was tried, where the payload names its own.
    _clients: dict[str, str] = field(default_factory=dict)

    def weigh(self, tried: Sequence[Work], everyone: Sequence[Connection], pool: Executor) -> set[str]:
        """Hold back the deaths that point at their client; return the clients whose hold ends with this run."""
        now = self.clock()
        self._clients.update({w.connection.secret_id: w.made.case.client for w in tried})
        asked = [_tried(w) for w in tried if w.made.tried]
        holds = breaker.find_holds((status_of(c) for c in everyone), now)
        lifted = breaker.find_lifted(holds, asked, now)
        tripped = breaker.find_tripped(asked, self.settings.breaker_min)
        if tripped:
            others = {c.secret_id: c for c in everyone}
            for work in tried:
                others.pop(work.connection.secret_id, None)
            rest = pool.map(partial(self._refreshed_lately, now), others.values())
            tripped = breaker.find_tripped([*asked, *filter(None, rest)], self.settings.breaker_min)
        for work in tried:
            client = work.made.case.client
            hold = holds.get(client) or (Hold(now + self.settings.breaker_hold) if client in tripped else None)
            if hold and client not in lifted:
                _hold_back(work, hold)
        return lifted

    def lift(self, clients: set[str], everyone: Iterable[Connection]) -> None:
        """Let the connections of these clients be judged singly from now on."""
        now = self.clock()
        for connection in everyone:
            status = status_of(connection)
            if status and status.client in clients and status.hold_until > now:
                try:
                    self.incidents.write(connection, breaker.lift(status, now))
                except StoreError as fault:
                    log.warning("could not lift the hold of %s: %s", connection.name, fault)

    def _refreshed_lately(self, now: float, connection: Connection) -> Tried | None:
        try:
            facts = self.known.facts(connection)
        except StoreError:
            return None
        if facts is None or facts.refreshed_at <= now - HOUR:
            return None
        client = self._clients.get(connection.secret_id, connection.client_secret_id)
        return Tried(client, status_of(connection), died=False)


def _tried(work: Work) -> Tried:
    case = work.made.case
    return Tried(case.client, case.previous, died=work.made.verdict.is_death, refreshed=work.outcome == "refreshed")


def _hold_back(work: Work, hold: Hold) -> None:
    attempt = work.made
    if attempt.verdict.is_death and breaker.may_hold(attempt.case):
        work.take(replace(attempt, verdict=breaker.hold_back(attempt.case, attempt.verdict, hold)))
