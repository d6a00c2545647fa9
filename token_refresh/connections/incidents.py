"""What the world is told: statuses beside the spec, events on the topic, each incident once and then one recovery.

A status is written before its events are published and again after, so that a crash repeats an event with the same id
and never loses one. Where a status cannot be written for a lasting reason, the instance remembers it, and its events
are published all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from token_refresh.connections.swap import swap
from token_refresh.connections.unwritten import Unwritten
from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import CONSENTS, LEASE, STATUS, Connection, SecretRecord
from token_refresh.core.incident.events import EventType, build_event_id
from token_refresh.core.incident.incident import (
    announce_unwritten,
    build_event,
    open_incidents,
    owe,
    recover,
    remind,
    reminder_due,
    rename,
    settle,
)
from token_refresh.core.incident.moments import render_moment, words_of_span
from token_refresh.core.status import State, Status, lease_of, parse_status, render_status
from token_refresh.core.units import HOUR
from token_refresh.errors import Contended, PublishError, SecretMissing, StoreDenied, StoreError, StoreRefused
from token_refresh.ports import ConsentLinks, Publisher, SecretStore

log = logging.getLogger("token_refresh")

_LASTING = (StoreDenied, StoreRefused, SecretMissing)


@dataclass(frozen=True, slots=True)
class Beside:
    """What events say beside the status: the access token, the provider's words, a client's other connections."""

    facts: AccessTokenFacts | None = None
    description: str | None = None
    affected: Sequence[str] = ()


_NOTHING: Final = Beside()


class Incidents:
    """Write statuses and publish what they owe; threads may share it."""

    def __init__(
        self, store: SecretStore, publisher: Publisher, links: ConsentLinks, clock: Callable[[], float]
    ) -> None:
        self.store = store
        self.publisher = publisher
        self.links = links
        self.clock = clock
        self.unwritten = Unwritten(clock)
        self._told: set[str] = set()  # ids of events: several connections may know of one incident

    def status_of(self, connection: Connection) -> Status | None:
        """Return the connection's status: what it carries, or what could not be written."""
        return self.unwritten.status_of(connection)

    def write(self, connection: Connection, status: Status | None) -> Connection | None:
        """Replace the status (None removes it); None when another writer judged first. Raises `StoreError`."""
        before = connection.record.annotations.get(STATUS)
        text = render_status(status) if status else None
        if text == before:
            self.unwritten.forget(connection)
            return connection
        changes = {STATUS: text}
        record = swap(self.store, connection.record, lambda _: changes, lambda r: r.annotations.get(STATUS) == before)
        self.unwritten.note_end_of_fault(connection)
        if record is None:
            return None
        self.unwritten.forget(connection)
        return replace(connection, record=record)

    def record(self, connection: Connection, status: Status, beside: Beside = _NOTHING) -> Connection | None:
        """Write a status and publish what it owes; None when another writer judged first. Raises `StoreError`."""
        try:
            written = self.write(connection, status)
        except StoreError as fault:
            log.error("the state of %s cannot be written: %s", connection.name, fault)  # noqa: TRY400 - no traceback
            has_lasted = self.unwritten.has_lasted(connection) and not isinstance(fault, Contended)
            if isinstance(fault, _LASTING) or has_lasted:
                return self._publish_unwritten(connection, status, beside)
            if status.owed:  # what is told must be written first: the next run decides it again
                raise
            self.unwritten.keep(connection, status)
            return connection
        if written is None:
            log.info("the state of %s was written by another run", connection.name)
            return None
        return self.publish_owed(written, status, beside) if status.owed else written

    def publish_owed(self, connection: Connection, status: Status, beside: Beside = _NOTHING) -> Connection:
        """Publish what the status owes and write what is left."""
        left = self._publish_in_turn(connection, status, beside)
        kept = None if left.state == State.HEALTHY and not left.owed else left
        try:
            return self.write(connection, kept) or connection
        except _LASTING as fault:
            log.error("the state of %s cannot be written: %s", connection.name, fault)  # noqa: TRY400 - no traceback
            self.unwritten.keep(connection, kept)
        except StoreError as fault:  # noted by a later run; another instance may publish it again, with the same id
            log.warning("could not note what was published for %s: %s", connection.name, fault)
        return connection

    def end(
        self, connection: Connection, status: Status, facts: AccessTokenFacts | None, *, has_consented: bool = False
    ) -> Connection:
        """End the connection's own incident: it was refreshed. Raises `StoreError`.

        `facts` are those of the refresh: an instance that was frozen since ends nothing that was judged later.
        `has_consented`: a consent stored the grant and died before its last write, which is made up for here.
        """
        now = self.clock()

        def is_older(record: SecretRecord) -> bool:
            """Tell whether what stands there was judged before the refresh, or of an older version."""
            seen = parse_status(record.annotations.get(STATUS))
            if seen is None or facts is None:
                return True
            return int(seen.tried_at) <= facts.refreshed_at or seen.version < facts.connection_version

        if not is_older(connection.record):
            return connection
        ended = recover(status, now)
        untold = self._publish_in_turn(connection, ended, Beside(facts)).owed
        published = set(ended.owed).difference(untold)

        def changes(record: SecretRecord) -> dict[str, str | None]:
            seen = parse_status(record.annotations.get(STATUS))
            owed = dict.fromkeys((*ended.owed, *(recover(seen, now).owed if seen else ())))
            left = replace(ended, owed=tuple(i for i in owed if i not in published))
            also: dict[str, str | None] = {CONSENTS: str(connection.consents + 1)} if has_consented else {}
            lease = lease_of(record)
            if has_consented and lease.is_of_consent and lease.is_abandoned(now):  # where refreshes take none
                also[LEASE] = None
            return {**also, STATUS: render_status(left) if left.owed else None}

        try:
            record = swap(self.store, connection.record, changes, is_older)
        except _LASTING as fault:
            log.error("the state of %s cannot be written: %s", connection.name, fault)  # noqa: TRY400 - no traceback
            self.unwritten.keep(connection, replace(ended, owed=untold) if untold else None)
            return connection
        if record or not untold:
            self.unwritten.forget(connection)
        return replace(connection, record=record) if record else connection

    def reminder(self, connection: Connection, status: Status) -> int | None:
        """Return for how many hours the owner has kept an incident waiting, if it is told again now; else None.

        Nothing happens to a connection that is paused until its label says otherwise.
        """
        return None if connection.paused else reminder_due(status, self.clock())

    def remind(self, connection: Connection, status: Status, facts: AccessTokenFacts | None) -> Connection:
        """Publish `consent_overdue` when the owner has kept an incident waiting for so long. Raises `StoreError`."""
        hours = self.reminder(connection, status)
        if hours is None:
            return connection
        return self.record(connection, remind(status, connection.name, hours), Beside(facts)) or connection

    def warn_of_end(
        self, connection: Connection, status: Status | None, facts: AccessTokenFacts | None, end: float, warning: float
    ) -> None:
        """Publish `consent_expiring` for one warning (seconds before the end, as named).

        A status is written only if the topic does not take it. Raises `StoreError`.
        """
        now = self.clock()
        event_id = build_event_id(EventType.CONSENT_EXPIRING, connection.name, warning, round(end / HOUR))
        version = facts.connection_version if facts else 0
        status = replace(
            status or Status(State.HEALTHY, State.HEALTHY, now), version=version, message=_words_of_end(end, now)
        )
        if not self.publish(event_id, connection, status, Beside(facts)):
            self.write(connection, owe(status, event_id))

    def publish(self, event_id: str, connection: Connection, status: Status, beside: Beside) -> bool:
        """Publish the event of this id, if this instance has not yet, and log it; False: the topic did not take it."""
        if event_id in self._told:
            return True
        event = build_event(
            event_id,
            connection,
            status,
            now=self.clock(),
            facts=beside.facts,
            consent_url=self.links.url(connection.name, connection.consents),
            error_description=beside.description,
            affected=beside.affected,
        )
        try:
            self.publisher.publish(event)
        except PublishError as fault:
            log.error("event %s of %s is owed: %s", event.type, event.subject, fault)  # noqa: TRY400 - no traceback
            return False
        self._told.add(event.id)
        fields = {"event": "published", "type": event.type, "subject": event.subject, "id": event.id}
        if event.data.get("reason"):
            fields["reason"] = str(event.data["reason"])
        log.info("published %s for %s", event.type, event.subject, extra={"json_fields": fields})
        return True

    def _publish_in_turn(self, connection: Connection, status: Status, beside: Beside) -> Status:
        """Publish what the status owes; return it with what is left.

        What the topic does not take stays owed for a later run, and so does all that comes after it.
        """
        left = status
        for event_id in status.owed:
            if not self.publish(event_id, connection, status, beside):
                break
            left = settle(left, event_id)
        return left

    def _publish_unwritten(self, connection: Connection, status: Status, beside: Beside) -> Connection:
        """Publish what a status owes that only this instance remembers; what it opens once a day, with a shared id.

        The day is that of the last refresh, which all instances know. What was owed before has its id already.
        """
        left, before = status, self.status_of(connection)
        opens = {status.client_event_id, *open_incidents(status)}.difference(before.owed if before else ())
        moment = beside.facts.refreshed_at if beside.facts else self.clock()
        for event_id in status.owed:
            shared = event_id
            if event_id in opens:
                shared = announce_unwritten(status, event_id, connection.secret_id, moment)
            left = owe(rename(left, event_id, shared), shared)
        self.unwritten.keep(connection, left)  # before its events are published, as it would be written
        for event_id in left.owed:
            if self.publish(event_id, connection, left, beside):
                left = settle(left, event_id)
        self.unwritten.keep(connection, left)
        return connection


def _words_of_end(end: float, now: float) -> str:
    left = words_of_span(max(end - now, 0))
    return f"its grant ends in about {left} ({render_moment(end)}): ask for a new consent before that"
