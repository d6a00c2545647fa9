"""What the attempts at one client's connections come to, weighed together: whom or what each of them blames."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from token_refresh.core.incident.client import ClientIncidents
from token_refresh.core.state import breaker
from token_refresh.core.state.breaker import Death
from token_refresh.core.status import Outcome, State, Status
from token_refresh.run.visit import Visit
from token_refresh.settings import Settings


@dataclass(frozen=True, slots=True)
class Weighing:
    """What is known of the client when the verdicts on its connections, as they were weighed, are told."""

    visits: Sequence[Visit]
    incidents: ClientIncidents
    has_refreshed: bool
    is_mass: bool
    refreshed_at: float

    def blames_client(self, visit: Visit) -> bool:
        """Tell whether a verdict blames the client: no connection of it was refreshed since this one was refused.

        What was refused only now blames it in any case: once per client and incident (contract 5), and a client that
        still works for others ends that with its next refresh.
        """
        attempt = visit.attempt
        if attempt is None or not attempt.verdict.starts_client_fault or attempt.verdict.status is None:
            return False
        before, status = attempt.situation.status, attempt.verdict.status
        if before is None or before.state != State.REJECTED or before.client not in ("", visit.client):
            return True
        if status.client_event_id:
            return not self.incidents.is_over(status)
        return not self.has_refreshed and self.refreshed_at <= status.since

    def points_at_client(self, visit: Visit) -> bool:
        """Tell whether the connection is one of a burst that points at the client."""
        verdict = visit.verdict
        return self.is_mass and verdict is not None and verdict.is_death and verdict.outcome == Outcome.SUSPECT


def is_moved(visit: Visit, status: Status | None) -> bool:
    """Tell whether the provider has answered another client than the one in whose incident the status takes part."""
    if visit.verdict is None or status is None or not status.client_event_id:
        return False
    has_answered = visit.verdict.is_death or visit.outcome in (Outcome.REFRESHED, Outcome.REJECTED)
    return has_answered and status.client not in ("", visit.client)


def weigh(  # noqa: PLR0913 - the client's connections, and what is known beside them
    visits: Sequence[Visit],
    statuses: Sequence[Status | None],
    neighbours: Sequence[Status | None],
    *,
    refreshed_at: float,
    told_over: Collection[str],
    now: float,
    settings: Settings,
) -> Weighing:
    """Weigh visits, whose connections have these statuses by now, together with those of their client's others.

    `refreshed_at`: the last refresh of any of them; `told_over`: incidents that were ended before.
    """
    dying = {v.connection.secret_id: v.attempt for v in visits if v.attempt and v.attempt.verdict.is_death}
    others = [
        v.situation.status for v in visits if v.connection.secret_id not in dying and v.outcome != Outcome.REFRESHED
    ]
    weighed = breaker.weigh(
        [Death(attempt.situation, attempt.verdict) for attempt in dying.values()],
        [s for s in (*others, *neighbours) if s],
        refreshed_at=refreshed_at,
        now=now,
        breaker_min=settings.breaker_min,
        breaker_hold=settings.breaker_hold,
    )
    held = {
        key: replace(attempt, verdict=verdict)
        for (key, attempt), verdict in zip(dying.items(), weighed.verdicts, strict=True)
    }
    has_refreshed = any(v.outcome == Outcome.REFRESHED for v in visits)
    return Weighing(
        [v.came_to(held[v.connection.secret_id]) if v.connection.secret_id in held else v for v in visits],
        ClientIncidents((*statuses, *neighbours), has_refreshed=has_refreshed, told_before=told_over),
        has_refreshed,
        is_mass=weighed.is_mass and not has_refreshed,
        refreshed_at=refreshed_at,
    )
