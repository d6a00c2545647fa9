"""The incidents of one client in one run: opened by one of its connections, joined by the others, ended by a refresh.

The first refresh of any connection of the client ends them: the client works. One connection that takes part says so,
the others just leave.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from token_refresh.core.incident.events import MASS
from token_refresh.core.incident.incident import (
    announce_client,
    end_client_incident,
    is_mass,
    join_client,
    leave_client,
)
from token_refresh.core.status import State, Status


class ClientIncidents:
    """What is open at a client, and what this run makes of it. Statuses go in and come out; nothing is written here."""

    def __init__(
        self,
        statuses: Iterable[Status | None],
        *,
        has_refreshed: bool,
        told_before: Collection[str] = (),
    ) -> None:
        taking_part = [s for s in statuses if s and s.client_event_id and s.state != State.HEALTHY]
        # Lists are eventually consistent: a status may still tell of what this instance has ended before.
        over = {s.client_event_id for s in taking_part if has_refreshed or s.client_event_id in told_before}
        kinds = {_kind(s.client_event_id, s.reason): s.client_event_id for s in taking_part}
        self._open = {kind: incident for kind, incident in kinds.items() if incident not in over}
        self._ended = over
        self._untold = over.difference(told_before)
        self._over = {*told_before, *over}

    @property
    def is_open(self) -> bool:
        """Tell whether an incident is open."""
        return bool(self._open)

    @property
    def told(self) -> set[str]:
        """Return the incidents of which a connection has said, or owes to say, that they are over."""
        return self._ended - self._untold

    def is_over(self, status: Status | None) -> bool:
        """Tell whether the status takes part in an incident that has ended."""
        return status is not None and status.client_event_id in self._ended

    def leave(self, status: Status) -> Status:
        """Take part in an incident that has ended no longer; the first to leave it owes the news."""
        if not self.is_over(status):
            return status
        incident = status.client_event_id
        if incident in self._untold:
            self._untold.discard(incident)
            return end_client_incident(status, incident)
        return leave_client(status)

    def take_part(self, status: Status, reason: str) -> Status:
        """Join the incident that is open for this reason, or open one."""
        if status.client_event_id:
            return status
        incident = self._open.get(_kind("", reason))
        return join_client(status, incident) if incident else announce_client(status, reason, self._over)

    def note(self, status: Status | None, reason: str) -> None:
        """Note what was written: the next connections join it."""
        if status and status.client_event_id:
            self._open.setdefault(_kind(status.client_event_id, reason), status.client_event_id)

    def unsay(self, status: Status) -> None:
        """Note that what was to be written was not: another connection must say that the incident is over."""
        if status.client_event_id in self._ended:
            self._untold.add(status.client_event_id)


def _kind(incident: str, reason: str) -> str:
    return MASS if is_mass(incident) else reason
