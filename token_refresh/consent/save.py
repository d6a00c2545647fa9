"""Put a new grant in place of an old one: under the connection's lease, durable before anything is said about it.

The order: take the lease, add the version; then in one write clear the status, raise the number of consents, record the
subject and give the lease back with the new version as the one to exchange next; then publish what that owes. A crash
between any two steps is mended by the next refresh run, which finds the newer version by number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from token_refresh.connections.incidents import Incidents
from token_refresh.connections.lease import Held, Leases
from token_refresh.connections.swap import swap
from token_refresh.consent.redemption import NewGrant
from token_refresh.consent.request import check_unspent
from token_refresh.core.connection import CONSENTS, LEASE, STATUS, SUBJECT, Connection, SecretRecord, parse_connection
from token_refresh.core.incident.incident import recover
from token_refresh.core.status import parse_status, render_status
from token_refresh.errors import Busy, PublishError, StoreError, StoreUnavailable
from token_refresh.ports import Publisher, SecretStore

log = logging.getLogger("token_refresh")

_PATIENCE: Final = 30.0  # s: an exchange seldom takes longer, and an owner is waiting
_SHORTEST_POLL: Final = 0.25
_LONGEST_POLL: Final = 5.0
_ADD_DELAYS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class NewGrantSaver:
    """Store new grants; threads may share it."""

    store: SecretStore
    leases: Leases
    incidents: Incidents
    publisher: Publisher
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def save(self, connection: Connection, grant: NewGrant) -> int:
        """Store a new grant, end what it ends and have it refreshed; return its version.

        Raises `Refused` when the ticket is spent, and `StoreError` when the version could not be added; whatever fails
        after that is left to the next refresh run.
        """
        name = connection.name
        version = self.put(connection, grant)
        try:
            self.publisher.request_refresh({"connections": [name], "versions": {name: version}})
        except PublishError as fault:
            log.warning("%s: no refresh was requested, the next run finds the new version: %s", name, fault)
        return version

    def put(self, connection: Connection, grant: NewGrant) -> int:
        """Store the grant as a new version under the lease, and without it as the last resort; raises as `save`.

        Also where the provider never rotates: of two tabs that finish at once, one must lose.
        """
        left, delay = _PATIENCE, _SHORTEST_POLL
        while left > 0:
            with suppress(Busy):
                return self._put_leased(connection, grant)
            delay = min(delay, left)
            self.sleep(delay)
            left, delay = left - delay, min(2 * delay, _LONGEST_POLL)
            connection = self._again(connection)
        return self._put_at_last(connection, grant)

    def _put_leased(self, connection: Connection, grant: NewGrant) -> int:
        with self.leases.held(connection, grant.version, takes_unsaved=True) as held:
            held.is_settled = False  # while nothing is stored
            held.version = version = self._add(connection.secret_id, grant.payload, lambda: self._check(held, grant))
            held.is_settled = True
            lease: Mapping[str, str | None] = {} if grant.rotates else {LEASE: None}
            held.on_return = lambda record: {**self._changes(record, grant, version), **lease}
        self._publish(held.connection, grant)
        return version

    def _put_at_last(self, connection: Connection, grant: NewGrant) -> int:
        """Add without the lease (contract 7): the highest number wins, and the exchange under way finds it."""
        log.warning("the lease of %s stays held: the new grant is added all the same", connection.secret_id)
        connection = self._again(connection)
        check_unspent(connection, grant.ticket)
        version = self._add(connection.secret_id, grant.payload)
        try:
            record = swap(
                self.store, connection.record, lambda seen: self._changes(seen, grant, version), lambda _: True
            )
        except StoreError as fault:
            log.warning("%s: %s", connection.name, fault)
            record = None
        self._publish(replace(connection, record=record) if record else connection, grant)
        return version

    def _check(self, held: Held, grant: NewGrant) -> None:
        """Make sure that the lease is held at this moment and the ticket unspent; raises `Busy`, `Refused`."""
        if not self.leases.has_time(held):  # the instance was frozen, or the store is slow
            self.leases.regain(held)
        check_unspent(parse_connection(held.connection.record) or held.connection, grant.ticket)

    def _add(self, secret_id: str, payload: bytes, check: Callable[[], None] = lambda: None) -> int:
        """Add the version; `check` says before each try that it may still be, and raises."""
        for delay in (*_ADD_DELAYS, None):
            check()
            try:
                return self.store.add(secret_id, payload)
            except StoreUnavailable as fault:
                if delay is None:
                    raise
                log.warning("the new grant in %s is not stored yet: %s", secret_id, fault)
                self.sleep(delay)
        raise AssertionError  # the last try returns or raises

    def _changes(self, record: SecretRecord, grant: NewGrant, version: int) -> dict[str, str | None]:
        """Return what one write changes once the grant is stored, whatever was written meanwhile."""
        seen = parse_connection(record)
        consents = max(seen.consents if seen else 0, grant.ticket.consents + 1)
        changes: dict[str, str | None] = {CONSENTS: str(consents)}
        if grant.account.subject is not None and not (seen and seen.subject):
            changes[SUBJECT] = grant.account.subject
        status = parse_status(record.annotations.get(STATUS))
        # A client's incident ends with the last of its connections, which a refresh run can tell and a consent cannot.
        if status is not None and not status.client_event_id:
            is_unknown = grant.account.subject is None
            left = replace(recover(status, self.clock()), version=version, has_unknown_account=is_unknown)
            changes[STATUS] = render_status(left) if left.owed else None
        return changes

    def _publish(self, connection: Connection, grant: NewGrant) -> None:
        """Publish what the write has left to be told; what was not written is told by the run that writes it."""
        seen = parse_connection(connection.record)
        if seen is None or seen.consents <= grant.ticket.consents:
            log.warning("the new grant of %s is stored, its status is not cleared yet", connection.name)
            return
        status = parse_status(connection.record.annotations.get(STATUS))
        if status is not None and status.owed and not status.client_event_id:
            self.incidents.publish_owed(connection, status)

    def _again(self, connection: Connection) -> Connection:
        record = self.store.get(connection.secret_id)
        return parse_connection(record) or replace(connection, record=record)
