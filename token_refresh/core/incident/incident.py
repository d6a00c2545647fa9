"""Incidents: when one begins, what is said about it, and how it ends (contract 8).

A status carries the id of its incident and the ids that are still owed to the topic. It is written before an event is
published and again after, so that a crash in between repeats an event with the same id and never loses one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection
from token_refresh.core.incident.events import (
    CLIENT_REJECTED,
    CONSENT_EXPIRING,
    CONSENT_OVERDUE,
    INVALID_GRANT,
    RECOVERED,
    REFRESH_FAILING,
    Event,
    build_event_id,
    present,
    remedy_for,
    words_for,
)
from token_refresh.core.status import HEALTHY, MISCONFIGURED, NEEDS_CONSENT, UNAVAILABLE, Status
from token_refresh.core.units import HOUR

REMINDERS: Final = (24, 72)  # hours into an incident
_CLIENT: Final = ".client"  # marks the ids whose subject is the client


def announce(status: Status, event_type: str, secret_id: str) -> Status:
    """Begin an incident of the connection: its id is fixed by its secret, the version and the beginning."""
    event_id = build_event_id(event_type, secret_id, status.version, status.since)
    return replace(status, event_id=event_id, owed=_with(status.owed, event_id))


def announce_client(status: Status) -> Status:
    """Begin an incident of the client, with this connection as the one that reports it.

    Instances that work on other connections of the client find out at the same time: the minute is precise enough.
    """
    minute = int(status.since // 60)
    event_id = build_event_id(CLIENT_REJECTED, status.client, status.reason, status.client_version, minute) + _CLIENT
    return join_client(replace(status, owed=_with(status.owed, event_id)), event_id)


def join_client(status: Status, event_id: str) -> Status:
    """Take part in an incident of the client that another connection has reported.

    An incident of the connection's own that is still open keeps its place.
    """
    own = status.event_id if status.event_id and not is_of_client(status.event_id) else event_id
    return replace(status, event_id=own, client_event_id=event_id)


def owe(status: Status, event_id: str) -> Status:
    """Note an event that is still to be published."""
    return replace(status, owed=_with(status.owed, event_id))


def settle(status: Status, event_id: str) -> Status:
    """Strike an event off what is owed."""
    return replace(status, owed=tuple(i for i in status.owed if i != event_id))


def recover(status: Status, now: float, *, ends_client: bool = False) -> Status:
    """End the incidents of a connection: it is healthy, and owes the news of that.

    A client's incident ends with the last of its connections, which then owes that news, too.
    """
    owed = status.owed
    if status.event_id and not is_of_client(status.event_id):
        owed = _with(owed, build_event_id(RECOVERED, status.event_id))
    if status.client_event_id and ends_client:
        owed = _with(owed, build_event_id(RECOVERED, status.client_event_id) + _CLIENT)
    over = replace(status, event_id="", client_event_id="", attempts=0, next_attempt_at=0, hold_until=0)
    return replace(over, state=HEALTHY, since=now, owed=owed)


def reminder_due(status: Status, now: float) -> int | None:
    """Return the reminder (hours into the incident) that is due for an owner who has not acted, if any."""
    if status.state != NEEDS_CONSENT:
        return None
    due = [h for h in REMINDERS if now >= status.since + h * HOUR]
    return due[-1] if due and due[-1] > status.reminded else None


def remind(status: Status, name: str, hours: int) -> Status:
    """Note a reminder and owe its event."""
    event_id = build_event_id(CONSENT_OVERDUE, name, status.event_id, hours)
    return owe(replace(status, reminded=hours), event_id)


def event_type_of(event_id: str) -> str:
    """Return the type that an id was made for."""
    return event_id.split(".", 1)[0]


def is_of_client(event_id: str) -> bool:
    """Tell whether the subject of the event is the client and not the connection."""
    return event_id.endswith(_CLIENT)


def build_event(  # noqa: PLR0913 - an event's data has many sources
    event_id: str,
    connection: Connection,
    status: Status,
    *,
    now: float,
    facts: AccessTokenFacts | None,
    consent_url: str | None,
    error_description: str | None = None,
) -> Event:
    """Build the event that an id stands for; fields that do not apply are absent."""
    event_type, of_client = event_type_of(event_id), is_of_client(event_id)
    reason = _reason(event_type, status)
    asks_owner = event_type in (INVALID_GRANT, CONSENT_EXPIRING, CONSENT_OVERDUE)
    has_failed = event_type not in (RECOVERED, CONSENT_EXPIRING)
    data = present(
        {
            "connection": None if of_client else connection.name,
            "provider": connection.provider,
            "reason": reason,
            "remedy": None if event_type == RECOVERED else remedy_for(reason),
            "message": _message(event_type, reason, connection, status, of_client=of_client),
            "consent_url": consent_url if asks_owner else None,
            "connection_secret": None if of_client else connection.secret_id,
            "version": None if of_client else _version(event_type, status, facts),
            "access_token_expires_at": int(facts.expires_at) if facts and not of_client else None,
            "first_failed_at": int(status.first_failed_at) or None if event_type != CONSENT_EXPIRING else None,
            "error": status.error if has_failed else None,
            "error_description": error_description if has_failed else None,
            "error_subtype": status.error_subtype if has_failed else None,
        }
    )
    subject = status.client if of_client else connection.name
    return Event(event_id, event_type, subject, now, data)


def _version(event_type: str, status: Status, facts: AccessTokenFacts | None) -> int:
    return facts.connection_version if event_type == RECOVERED and facts else status.version


def _reason(event_type: str, status: Status) -> str:
    if event_type == REFRESH_FAILING:
        return REFRESH_FAILING
    if event_type == CONSENT_EXPIRING:
        return CONSENT_EXPIRING
    return status.reason


def _message(event_type: str, reason: str, connection: Connection, status: Status, *, of_client: bool) -> str:
    who = f"client {status.client}" if of_client else f"connection {connection.name}"
    if event_type == RECOVERED:
        return f"{who} is healthy again"
    if event_type == CONSENT_EXPIRING:
        return f"{who}: {status.message if status.state == HEALTHY else words_for(reason)}"
    if status.state == MISCONFIGURED:
        return f"{who}: {status.message}"
    if event_type == CONSENT_OVERDUE:
        return f"{who} has waited {status.reminded} hours for its owner. {words_for(reason)}"
    if status.state == UNAVAILABLE:
        return f"{who}: {words_for(reason)} ({status.reason})"
    return f"{who}: {words_for(reason)}"


def _with(owed: tuple[str, ...], event_id: str) -> tuple[str, ...]:
    return owed if event_id in owed else (*owed, event_id)
