"""What is known of a client while the verdicts on its connections are told: whom or what each of them blames."""

from __future__ import annotations

from dataclasses import dataclass

from token_refresh.core.incident.client import ClientIncidents
from token_refresh.core.status import Outcome, State
from token_refresh.run.visit import Visit


@dataclass(frozen=True, slots=True)
class Weighing:
    """What is known of the client when its connections' verdicts are told."""

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
        verdict = attempt.verdict if attempt else None
        if attempt is None or verdict is None or not verdict.starts_client_fault or verdict.status is None:
            return False
        before = attempt.situation.status
        if before is None or before.state != State.REJECTED or before.client not in ("", visit.client):
            return True
        if verdict.status.client_event_id:
            return not self.incidents.is_over(verdict.status)
        return not self.has_refreshed and self.refreshed_at <= verdict.status.since

    def points_at_client(self, visit: Visit) -> bool:
        """Tell whether the connection is one of a burst that points at the client."""
        verdict = visit.attempt.verdict if visit.attempt else None
        return self.is_mass and verdict is not None and verdict.is_death and verdict.outcome == Outcome.SUSPECT
