"""A new link for an owner whose old one has run out: told to the owner the connection names, and to no caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from token_refresh.connections.incidents import Incidents
from token_refresh.core.connection import Connection
from token_refresh.core.incident.events import REVOKED_BY_OPERATOR, EventType, build_event_id
from token_refresh.core.incident.incident import owe
from token_refresh.core.status import State, status_of
from token_refresh.core.units import HOUR


@dataclass(frozen=True, slots=True)
class NewLink:
    """Publish `consent_overdue`, which brings a fresh link, because the owner asks for it. Threads may share it."""

    incidents: Incidents
    clock: Callable[[], float]

    def send(self, connection: Connection) -> str:
        """Have a link sent if the connection waits for its owner, at most once an hour; return what to say.

        The hour is kept in the status, so that all instances agree on it. Raises `StoreError`.
        """
        status = status_of(connection)
        if status is None or status.state != State.NEEDS_CONSENT or status.reason == REVOKED_BY_OPERATOR:
            return "link_not_needed"
        now = self.clock()
        if now < status.asked_at + HOUR:
            return "link_sent_lately"
        event_id = build_event_id(EventType.CONSENT_OVERDUE, connection.name, status.event_id, "asked", int(now))
        asked = replace(owe(status, event_id), asked_at=now)
        written = self.incidents.write(connection, asked)
        if written is None:  # another writer was faster: a run that judged, or an owner who pressed twice
            return "link_sent_lately"
        self.incidents.publish_owed(written, asked)
        return "link_sent"
