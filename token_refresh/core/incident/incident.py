"""Incidents: when one begins, what is said about it, and how it ends (contract 8).

A status carries the id of its incident and the ids that are still owed to the topic. It is written before an event is
published and again after, so that a crash in between repeats an event with the same id and never loses one.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection
from token_refresh.core.incident.events import (
    ASKS_OWNER,
    MASS,
    NOT_SAVED,
    REVOKED_BY_OPERATOR,
    Event,
    EventType,
    build_event_id,
    present,
    remedy_for,
    words_for,
)
from token_refresh.core.status import State, Status
from token_refresh.core.units import DAY, HOUR

# Hours into an incident: after one day and three, then every week for 90 days (contract 8).
REMINDERS: Final = (24, 72, *range(72 + 168, 90 * 24 + 1, 168))
MOST_NAMES: Final = 20
_OPERATORS_REMEDIES: Final = ("fix_client", "fix_configuration", "ask_admin")
_MASS: Final = ".mass"  # marks, before the next mark, the ids of a burst of deaths
_CLIENT: Final = ".client"  # marks the ids whose subject is the client
_MOST_OPEN: Final = 20  # incidents of one unhealthy time; an annotation has its limits


def announce(status: Status, event_type: EventType, secret_id: str) -> Status:
    """Begin an incident of the connection: its id is fixed by its secret, the version and the beginning.

    One that is open already ends with it: each has been told, so each has an end of its own.
    """
    event_id = build_event_id(event_type, secret_id, status.version, status.since)
    told = {**open_incidents(status), event_id: _reason(event_type, status)}
    incidents = tuple(f"{each} {reason}" for each, reason in told.items())[-_MOST_OPEN:]
    return owe(replace(status, event_id=event_id, incidents=incidents), event_id)


def announce_client(status: Status, reason: str, over: Collection[str] = ()) -> Status:
    """Begin an incident of the client, with this connection as the one that reports it.

    Instances that work on other connections of the client find out at the same time: the minute is precise enough. But
    what is `over` is not begun again: an incident that follows within its minute has another id.
    """
    for minute in itertools.count(int(status.tried_at // 60)):
        event_id = build_event_id(EventType.CLIENT_REJECTED, status.client, reason, status.client_version, minute)
        event_id += (_MASS if reason == MASS else "") + _CLIENT
        if event_id not in over:
            return join_client(owe(status, event_id), event_id)
    raise AssertionError  # pragma: no cover - there is always another minute


def announce_unwritten(status: Status, event_id: str, secret_id: str, moment: float) -> str:
    """Return the id of an event whose state cannot be written: made of version, state and UTC day.

    The `moment` is one that all instances know, so that whoever tells the same incident gives it the same id.
    """
    event_type, mark = event_type_of(event_id), (_MASS if is_mass(event_id) else "")
    subject = status.client if is_of_client(event_id) else secret_id
    fixed = build_event_id(event_type, subject, status.version, status.state, int(moment // DAY))
    return fixed + mark + (_CLIENT if is_of_client(event_id) else "")


def join_client(status: Status, event_id: str) -> Status:
    """Take part in an incident of the client that another connection has reported.

    An incident of the connection's own that is still open keeps its place.
    """
    own = status.event_id if status.event_id and not is_of_client(status.event_id) else event_id
    return replace(status, event_id=own, client_event_id=event_id)


def owe(status: Status, event_id: str) -> Status:
    """Note an event that is still to be published."""
    return status if event_id in status.owed else replace(status, owed=(*status.owed, event_id))


def settle(status: Status, event_id: str) -> Status:
    """Strike an event off what is owed."""
    return replace(status, owed=tuple(i for i in status.owed if i != event_id))


def open_incidents(status: Status) -> Mapping[str, str]:
    """Return the connection's own incidents that are open, and the reason that each was told with."""
    told = dict(entry.split(" ", 1) for entry in status.incidents if " " in entry)
    if status.event_id and not is_of_client(status.event_id):
        told.setdefault(status.event_id, status.reason)
    return told


def forget(status: Status, event_ids: Collection[str]) -> Status:
    """Forget incidents, and whatever else is owed, that nobody has heard of."""
    left = tuple(entry for entry in status.incidents if entry.split(" ", 1)[0] not in event_ids)
    own = "" if status.event_id in event_ids else status.event_id
    return replace(status, event_id=own, incidents=left, owed=tuple(i for i in status.owed if i not in event_ids))


def rename(status: Status, event_id: str, told: str) -> Status:
    """Note that an event was published with another id, by which its incident is known from now on."""
    return replace(
        settle(status, event_id),
        event_id=told if status.event_id == event_id else status.event_id,
        client_event_id=told if status.client_event_id == event_id else status.client_event_id,
        incidents=tuple(told + i.removeprefix(event_id) if i.startswith(event_id) else i for i in status.incidents),
    )


def told_beside(status: Status, *written: Status | None) -> Status:
    """Return the status with only what no written one knows of its incidents; what is owed may have been told."""
    known = {i for w in written if w for i in (w.client_event_id, *open_incidents(w))}
    told = {status.client_event_id: status.reason, **open_incidents(status)}
    if status.state == State.HEALTHY:  # some of its ends may have been told
        told = {i: reason for i, reason in told.items() if recovered_id(i) in status.owed}
    told = {i: reason for i, reason in told.items() if i and i not in known}
    incidents, owed = tuple(f"{i} {reason}" for i, reason in told.items()), tuple(i for i in status.owed if i in told)
    return replace(status, event_id="", client_event_id="", incidents=incidents, owed=owed)


def carry(status: Status, told: Status) -> Status:
    """Let a status end what was told beside it: with its own incidents, or at once if it is healthy."""
    if status.version != told.version:  # its grant was replaced: what is owed is not told any more
        told = forget(told, told.owed)
    owed = (recover(told, told.since) if status.state == State.HEALTHY else told).owed
    incidents = (*told.incidents, *status.incidents)[-_MOST_OPEN:]
    return replace(status, incidents=incidents, owed=tuple(dict.fromkeys((*status.owed, *owed))))


def recover(status: Status, now: float) -> Status:
    """End the connection's own incidents: it is healthy, and owes the news of each."""
    over = replace(status, event_id="", client_event_id="", attempts=0, next_attempt_at=0, refused_at=0)
    for incident in open_incidents(status):
        over = owe(over, recovered_id(incident))
    return replace(over, state=State.HEALTHY, since=now)


def end_client_incident(status: Status, incident: str) -> Status:
    """Owe the news that a client's incident is over; the connection takes part in it no longer."""
    return owe(leave_client(status), recovered_id(incident))


def leave_client(status: Status) -> Status:
    """Take part in a client's incident no longer: it is over."""
    own = "" if is_of_client(status.event_id) else status.event_id
    return replace(status, event_id=own, client_event_id="")


def recovered_id(incident: str) -> str:
    """Return the id of the event that ends an incident; it carries the id of the one that opened it."""
    return f"{EventType.RECOVERED}.{incident}"


def incident_of(event_id: str, status: Status) -> str | None:
    """Return the id of the event that opened the incident to which an event belongs; None without an incident."""
    match event_type_of(event_id):
        case EventType.RECOVERED:
            return event_id.removeprefix(f"{EventType.RECOVERED}.")
        case EventType.CONSENT_OVERDUE:
            return status.event_id or next(reversed([*open_incidents(status)]), None)  # told late, it may be over
        case EventType.CONSENT_EXPIRING:
            return None
        case _:
            return event_id


def reminder_due(status: Status, now: float) -> int | None:
    """Return the reminder (hours into the incident) that is due for an owner who has not acted, if any."""
    if status.state != State.NEEDS_CONSENT or status.reason == REVOKED_BY_OPERATOR:
        return None
    due = [h for h in REMINDERS if now >= status.since + h * HOUR]
    return due[-1] if due and due[-1] > status.reminded else None


def remind(status: Status, name: str, hours: int) -> Status:
    """Note a reminder and owe its event."""
    event_id = build_event_id(EventType.CONSENT_OVERDUE, name, status.event_id, hours)
    return owe(replace(status, reminded=hours), event_id)


def event_type_of(event_id: str) -> str:
    """Return the type that an id was made for: an `EventType`, unless another edition or a person has written it."""
    return event_id.split(".", 1)[0]


def is_of_client(event_id: str) -> bool:
    """Tell whether the subject of the event is the client and not the connection."""
    return event_id.endswith(_CLIENT)


def is_mass(event_id: str) -> bool:
    """Tell whether the event is about many grants of one client that died at once."""
    return event_id.endswith(_MASS + _CLIENT)


def build_event(  # noqa: PLR0913 - an event's data has many sources
    event_id: str,
    connection: Connection,
    status: Status,
    *,
    now: float,
    facts: AccessTokenFacts | None,
    consent_url: str | None,
    error_description: str | None = None,
    affected: Sequence[str] = (),
) -> Event:
    """Build the event that an id stands for; fields that do not apply are absent.

    `affected` names the connections that a client's event is about.
    """
    event_type, of_client = event_type_of(event_id), is_of_client(event_id)
    incident = incident_of(event_id, status)
    reason = MASS if is_mass(event_id) else _reason(event_type, status, incident or "")
    is_over, is_warning = event_type == EventType.RECOVERED, event_type == EventType.CONSENT_EXPIRING
    opens_client, has_failed = of_client and not is_over, not is_over and not is_warning
    data = present(
        {
            "connection": None if of_client else connection.name,
            "provider": connection.provider,
            "reason": reason,
            "remedy": None if is_over else remedy_for(reason),
            "incident": incident,
            "severity": severity_of(event_type, reason, facts, now),
            "message": _message(event_type, reason, connection, status, of_client=of_client),
            "consent_url": consent_url if event_type in ASKS_OWNER else None,
            "connection_secret": None if of_client else connection.secret_id,
            "access_token_secret": None if of_client else connection.access_token_secret_id,
            "account": "unverified" if is_over and status.has_unknown_account else None,
            "connections": len(affected) or None if opens_client else None,
            "connection_names": sorted(affected)[:MOST_NAMES] or None if opens_client else None,
            "version": None if of_client else facts.connection_version if is_over and facts else status.version,
            "access_token_expires_at": int(facts.expires_at) if facts and not of_client else None,
            "first_failed_at": None if is_warning else int(status.first_failed_at) or None,
            "error": status.error if has_failed else None,
            "error_description": error_description if has_failed else None,
            "error_subtype": status.error_subtype if has_failed else None,
        }
    )
    subject = status.client if of_client else connection.name
    return Event(event_id, event_type, subject, now, data)


def severity_of(event_type: str, reason: str, facts: AccessTokenFacts | None, now: float) -> str:
    """Return the first that holds: `info` over, `critical` no valid token now, `error` operators', `warning`."""
    if event_type == EventType.RECOVERED:
        return "info"
    if event_type != EventType.CONSENT_EXPIRING and (facts is None or not facts.is_valid(now)):
        return "critical"
    return "error" if remedy_for(reason) in _OPERATORS_REMEDIES else "warning"


def _reason(event_type: str, status: Status, incident: str = "") -> str:
    if event_type == EventType.REFRESH_FAILING:
        return status.reason if status.reason == NOT_SAVED else EventType.REFRESH_FAILING
    if event_type == EventType.CONSENT_EXPIRING:
        return EventType.CONSENT_EXPIRING
    return open_incidents(status).get(incident, status.reason) if event_type == EventType.RECOVERED else status.reason


def _message(event_type: str, reason: str, connection: Connection, status: Status, *, of_client: bool) -> str:
    who = f"client {status.client}" if of_client else f"connection {connection.name}"
    if event_type == EventType.RECOVERED:
        return f"{who} is healthy again"
    if event_type == EventType.CONSENT_EXPIRING:
        return f"{who}: {status.message if status.state == State.HEALTHY else words_for(reason)}"
    if status.state == State.MISCONFIGURED:
        return f"{who}: {status.message}"
    if event_type == EventType.CONSENT_OVERDUE:
        return f"{who} has waited {status.reminded} hours for its owner. {words_for(reason)}"
    if status.state == State.UNAVAILABLE:
        return f"{who}: {words_for(reason)} ({status.reason})"
    return f"{who}: {words_for(reason)}"
