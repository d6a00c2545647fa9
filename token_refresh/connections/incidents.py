"""What the world is told: statuses beside the spec, events on the topic, each incident once and then one recovery."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import STATUS, Connection
from token_refresh.core.incident.events import CONSENT_EXPIRING, build_event_id
from token_refresh.core.incident.incident import build_event, owe, remind, reminder_due, settle
from token_refresh.core.incident.moments import render_moment
from token_refresh.core.status import HEALTHY, Status, render_status
from token_refresh.core.units import DAY, HOUR
from token_refresh.errors import EtagConflict, PublishError, StoreError
from token_refresh.ports import ConsentLinks, Publisher, SecretStore

log = logging.getLogger("token_refresh")

_CAS_TRIES = 4


@dataclass(frozen=True, slots=True)
class Incidents:
    """Write statuses and publish what they owe; threads may share it."""

    store: SecretStore
    publisher: Publisher
    links: ConsentLinks
    clock: Callable[[], float]

    def write(self, connection: Connection, status: Status | None) -> Connection | None:
        """Replace the status (None removes it); None when somebody else judged the connection first.

        Raises `StoreError`.
        """
        before = connection.record.annotations.get(STATUS)
        text = render_status(status) if status else None
        if text == before:
            return connection
        for _ in range(_CAS_TRIES):
            try:
                return replace(connection, record=self.store.annotate(connection.record, {STATUS: text}))
            except EtagConflict:
                connection = replace(connection, record=self.store.get(connection.secret_id))
                if connection.record.annotations.get(STATUS) != before:
                    return None
        return None

    def publish_owed(
        self,
        connection: Connection,
        status: Status,
        facts: AccessTokenFacts | None,
        description: str | None = None,
    ) -> tuple[Connection, Status | None]:
        """Publish what the status owes and write what is left; returns connection and status as they then are.

        What the topic does not take stays owed for a later run, and so does all that comes after it.
        """
        left = status
        for event_id in status.owed:
            if not self._publish(event_id, connection, status, facts, description):
                break
            left = settle(left, event_id)
        kept = None if left.state == HEALTHY and not left.owed else left
        try:
            connection = self.write(connection, kept) or connection
        except StoreError as fault:  # published again by a later run, with the same id
            log.warning("could not note what was published for %s: %s", connection.name, fault)
        return connection, kept

    def remind(
        self, connection: Connection, status: Status, facts: AccessTokenFacts | None
    ) -> tuple[Connection, Status | None]:
        """Publish `consent_overdue` when the owner has kept an incident waiting for so long. Raises `StoreError`."""
        hours = reminder_due(status, self.clock())
        if hours is None:
            return connection, status
        reminded = remind(status, connection.name, hours)
        written = self.write(connection, reminded)
        return self.publish_owed(written, reminded, facts) if written else (connection, status)

    def warn_of_end(
        self, connection: Connection, status: Status | None, facts: AccessTokenFacts | None, end: float, warning: float
    ) -> None:
        """Publish `consent_expiring` for one warning (seconds before the end, as named).

        A status is written only if the topic does not take it. Raises `StoreError`.
        """
        now = self.clock()
        event_id = build_event_id(CONSENT_EXPIRING, connection.name, warning, round(end / HOUR))
        version = facts.connection_version if facts else 0
        status = replace(status or Status(HEALTHY, HEALTHY, now), version=version, message=_words_of_end(end, now))
        if not self._publish(event_id, connection, status, facts, None):
            self.write(connection, owe(status, event_id))

    def _publish(
        self,
        event_id: str,
        connection: Connection,
        status: Status,
        facts: AccessTokenFacts | None,
        description: str | None,
    ) -> bool:
        event = build_event(
            event_id,
            connection,
            status,
            now=self.clock(),
            facts=facts,
            consent_url=self.links.url(connection.name, connection.consents),
            error_description=description,
        )
        try:
            self.publisher.publish(event)
        except PublishError as fault:
            log.error("event %s of %s is owed: %s", event.type, event.subject, fault)  # noqa: TRY400 - no traceback
            return False
        log.info(
            "published %s for %s",
            event.type,
            event.subject,
            extra={"json_fields": {"event": "published", "type": event.type, "subject": event.subject, "id": event.id}},
        )
        return True


def _words_of_end(end: float, now: float) -> str:
    seconds = end - now
    left = f"{round(seconds / DAY)} days" if seconds >= 2 * DAY else f"{max(round(seconds / HOUR), 0)} hours"
    return f"its grant ends in about {left} ({render_moment(end)}): ask for a new consent before that"
