"""Which incidents are open after a number of events: each is opened by its own event and ended by one `recovered`."""

from __future__ import annotations

from collections.abc import Iterable

from token_refresh.core.incident.events import Event, EventType


def open_incidents(events: Iterable[Event], subject: str) -> tuple[set[str], list[str]]:
    """Return the ids of the subject's open incidents, and what was told that cannot be. Repeats are skipped."""
    is_open, faults, heard = set[str](), list[str](), set[str]()
    for event in events:
        if event.subject != subject or event.id in heard or event.type == EventType.CONSENT_EXPIRING:
            continue
        heard.add(event.id)
        incident = str(event.data.get("incident"))
        if event.type == EventType.RECOVERED and incident in is_open:
            is_open.remove(incident)
        elif event.type in (EventType.RECOVERED, EventType.CONSENT_OVERDUE):
            if incident not in is_open:
                faults.append(f"{subject}: {event.type} of no open incident ({incident})")
        else:
            is_open.add(event.id)
    return is_open, faults
