"""Put a new grant in place of an old one: under the connection's lease, durable before anything is said about it.

The order: take the lease, add the version, publish `recovered`, then in one write clear the status, record the
subject and give the lease back with the new version as the one to exchange next. A crash between any two steps is
mended by the next refresh run, which finds the newer version by number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from token_refresh.consent.request import Case, check_unspent
from token_refresh.core.connection import CONSENTS, LEASE, STATUS, SUBJECT, Connection, SecretRecord, parse_connection
from token_refresh.core.consent.account import Account
from token_refresh.core.incident.incident import build_event, recover, settle
from token_refresh.core.status import Lease, Status, parse_lease, parse_status, render_lease, render_status
from token_refresh.errors import EtagConflict, PublishError, StoreError, StoreUnavailable
from token_refresh.ports import Publisher, SecretStore
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")

_BUSY_SECONDS: Final = 30.0  # an exchange seldom takes longer, and an owner is waiting
_POLL: Final = 0.25
_LONGEST_POLL: Final = 5.0
_CAS_TRIES: Final = 6
_ADD_DELAYS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)


class ConnectionBusy(Exception):
    """Somebody else holds the lease for longer than an owner can be kept waiting."""


@dataclass(slots=True)
class Reservation:
    """A lease of ours: the secret as last seen, and the annotation that was there before."""

    record: SecretRecord
    holder: str
    before: str | None
    settled: bool = False


class NewGrantSaver:
    """Store new grants; threads may share it."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a deposit
        self,
        store: SecretStore,
        publisher: Publisher,
        settings: Settings,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        new_holder: Callable[[], str],
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._new_holder = new_holder

    def store(self, case: Case, payload: bytes, account: Account) -> int:
        """Store a new grant, end what it ends and have it refreshed; return its version.

        Raises `Refused` when the ticket is spent, `StoreError`.
        """
        connection = case.connection
        try:
            with self.reserved(connection.secret_id, case.version) as reservation:
                check_unspent(parse_connection(reservation.record) or connection, case.ticket)
                version = self.put(
                    reservation, connection, payload, subject=account.subject, rotates=case.provider.rotates
                )
        except ConnectionBusy:
            # The last resort (contract 7): the highest number wins, and the exchange under way finds it.
            log.warning("the lease of %s stays held: the new grant is added all the same", connection.secret_id)
            record = self._store.get(connection.secret_id)
            check_unspent(parse_connection(record) or connection, case.ticket)
            version = self.put(
                Reservation(record, "", None), connection, payload, subject=account.subject, rotates=False
            )
        self._request_refresh(connection.name, version)
        return version

    def _request_refresh(self, name: str, version: int) -> None:
        try:
            self._publisher.request_refresh({"connections": [name], "versions": {name: version}})
        except PublishError as fault:
            log.warning("%s: no refresh was requested, the next run finds the new version: %s", name, fault)

    @contextmanager
    def reserved(self, secret_id: str, version: int) -> Iterator[Reservation]:
        """Hold the connection's lease; if nothing is stored meanwhile, leave everything as it was found.

        Also where the provider never rotates: of two tabs that finish at once, one must lose. Raises
        `ConnectionBusy`, `StoreUnavailable`.
        """
        reservation = self._take(secret_id, version)
        try:
            yield reservation
        finally:
            if not reservation.settled:
                self._give_back(reservation)

    def put(
        self, reservation: Reservation, connection: Connection, payload: bytes, *, subject: str | None, rotates: bool
    ) -> int:
        """Store the payload as a new version and end the incident; return the version's number.

        Raises `StoreUnavailable` when the version could not be added; whatever fails after that is left to the next
        refresh run.
        """
        version = self._add(connection.secret_id, payload)
        reservation.settled = True
        try:
            self._settle(reservation, connection, version, subject, rotates=rotates)
        except StoreError as fault:
            log.warning("the new grant of %s is stored, its status is not cleared yet: %s", connection.name, fault)
        return version

    def _take(self, secret_id: str, version: int) -> Reservation:
        give_up = self._clock() + _BUSY_SECONDS
        delay = _POLL
        holder = self._new_holder()
        while True:
            record = self._store.get(secret_id)
            before = record.annotations.get(LEASE)
            lease, now = parse_lease(before) or Lease(), self._clock()
            if not lease.is_held(now):
                taken = Lease(holder, now + self._settings.lease_seconds, max(lease.version, version))
                try:
                    record = self._store.annotate(record, {LEASE: render_lease(taken)})
                except EtagConflict:
                    pass
                else:
                    return Reservation(record, holder, before)
            if now >= give_up:
                raise ConnectionBusy
            self._sleep(min(delay, give_up - now))
            delay = min(2 * delay, _LONGEST_POLL)

    def _give_back(self, reservation: Reservation) -> None:
        # What was there comes back as it was: an abandoned lease must go on telling that a token may be spent.
        try:
            self._write(reservation, lambda _: {LEASE: reservation.before})
        except StoreError as fault:
            log.warning("could not release the lease of %s, it ends by itself: %s", reservation.record.secret_id, fault)

    def _add(self, secret_id: str, payload: bytes) -> int:
        for delay in _ADD_DELAYS:
            try:
                return self._store.add(secret_id, payload)
            except StoreUnavailable as fault:
                log.warning("the new grant in %s is not stored yet: %s", secret_id, fault)
                self._sleep(delay)
        return self._store.add(secret_id, payload)

    def _settle(
        self, reservation: Reservation, connection: Connection, version: int, subject: str | None, *, rotates: bool
    ) -> None:
        published: set[str] = set()

        def changes(record: SecretRecord) -> dict[str, str | None]:
            consents = str(connection.consents + 1)
            lease = render_lease(Lease("", 0, version)) if rotates else None
            change: dict[str, str | None] = {CONSENTS: consents, **({LEASE: lease} if reservation.holder else {})}
            status = parse_status(record.annotations.get(STATUS))
            # A client's incident ends with the last of its connections, which a refresh run can tell and we cannot.
            if status is None or not status.client_event_id:
                left = self._end_incident(connection, status, published) if status else None
                change[STATUS] = render_status(left) if left else None
            if subject is not None and connection.subject is None:
                change[SUBJECT] = subject
            return change

        self._write(reservation, changes)

    def _end_incident(self, connection: Connection, status: Status, published: set[str]) -> Status | None:
        """Publish what ends the incident, in order; return what is still owed of it, if anything."""
        left = recover(status, self._clock())
        for event_id in left.owed:
            if not self._publish(event_id, connection, status, published):
                return left
            left = settle(left, event_id)
        return None

    def _publish(self, event_id: str, connection: Connection, status: Status, published: set[str]) -> bool:
        if event_id in published:
            return True
        event = build_event(event_id, connection, status, now=self._clock(), facts=None, consent_url=None)
        try:
            self._publisher.publish(event)
        except PublishError as fault:
            log.warning("%s of %s is owed: %s", event.type, connection.name, fault)
            return False
        published.add(event_id)
        return True

    def _write(self, reservation: Reservation, changes: Callable[[SecretRecord], dict[str, str | None]]) -> None:
        """Compare and swap while the lease is ours; somebody who took it over decides from then on."""
        record = reservation.record
        for _ in range(_CAS_TRIES):
            try:
                self._store.annotate(record, changes(record))
            except EtagConflict:
                self._sleep(_POLL)  # metadata may be read late
                record = self._store.get(record.secret_id)
                lease = parse_lease(record.annotations.get(LEASE))
                if reservation.holder and (lease is None or lease.holder != reservation.holder):
                    log.warning("the lease of %s was taken over", record.secret_id)
                    return
            else:
                return
        log.warning("could not write annotations of %s: its metadata keeps changing", record.secret_id)
