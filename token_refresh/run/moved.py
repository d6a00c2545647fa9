"""A connection that was given another client while the former one had an incident: it has no part in that any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from token_refresh.connections.incidents import Incidents
from token_refresh.core.connection import Connection
from token_refresh.core.incident.incident import end_client_incident, leave_client
from token_refresh.core.status import Outcome, Status
from token_refresh.run.visit import Visit


def is_moved(visit: Visit, status: Status | None) -> bool:
    """Tell whether the provider has answered another client than the one in whose incident the status takes part."""
    if visit.attempt is None or status is None or not status.client_event_id:
        return False
    verdict = visit.attempt.verdict
    has_answered = verdict.is_death or verdict.outcome in (Outcome.REFRESHED, Outcome.REJECTED)
    return has_answered and status.client not in ("", visit.client)


def leave_former_client(
    visit: Visit, listed: Sequence[Connection], told_over: set[str], incidents: Incidents
) -> list[Visit]:
    """Leave the former client's incident before anything is told of the present one; raises `StoreError`.

    It ends with the last connection that leaves: nothing depends on that client any more. Returns the visit as it then
    is; nothing when another writer judged the connection first, or when it is not known who else takes part.
    """
    attempt, status = visit.attempt, incidents.status_of(visit.connection)
    if attempt is None or status is None or not listed:
        return []
    incident, own = status.client_event_id, visit.connection.secret_id
    others = [incidents.status_of(c) for c in listed if c.secret_id != own]
    is_last = incident not in told_over and all(s is None or s.client_event_id != incident for s in others)
    left = end_client_incident(status, incident) if is_last else leave_client(status)
    written = incidents.record(visit.connection, left, visit.facts)
    if written is None:
        return []
    if is_last:
        told_over.add(incident)
    verdict = attempt.verdict
    after = leave_client(verdict.status) if verdict.status else None
    situation = replace(attempt.situation, status=incidents.status_of(written))
    attempt = replace(attempt, connection=written, situation=situation, verdict=replace(verdict, status=after))
    return [visit.came_to(attempt)]
