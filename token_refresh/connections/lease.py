"""The lease of a connection whose refresh token is single-use: at most one exchange in flight (contract 7).

`UpdateSecret` with `etag` is compare-and-swap, and the only thing two instances can agree on.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from token_refresh.core.connection import LEASE, Connection
from token_refresh.core.status import Lease, parse_lease, render_lease
from token_refresh.errors import EtagConflict, StoreError
from token_refresh.ports import SecretStore
from token_refresh.refresh.attempt import Turn
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")

_CAS_TRIES: Final = 4


class Busy(Exception):
    """Somebody else holds the lease, or has just refreshed."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A lease of ours: the connection as written, and the lease that was there before."""

    connection: Connection
    lease: Lease
    before: Lease
    was_abandoned: bool


@dataclass(frozen=True, slots=True)
class Leases:
    """Take and give back leases; threads may share it."""

    store: SecretStore
    settings: Settings
    clock: Callable[[], float]

    def take(self, connection: Connection, version: int, is_done: Callable[[Connection], bool]) -> Taken:
        """Become the one who may spend the refresh token.

        When somebody else wrote the lease first, `is_done` tells whether there is anything left to do. Raises `Busy`.
        """
        for _ in range(_CAS_TRIES):
            before, now = lease_of(connection), self.clock()
            if before.is_held(now):
                raise Busy
            lease = Lease(uuid.uuid4().hex, now + self.settings.lease_seconds, max(version, before.version))
            try:
                record = self.store.annotate(connection.record, {LEASE: render_lease(lease)})
            except EtagConflict:
                connection = replace(connection, record=self.store.get(connection.secret_id))
                if lease_of(connection) != before and is_done(connection):
                    raise Busy from None
                continue
            return Taken(replace(connection, record=record), lease, before, before.is_abandoned(now))
        raise Busy

    def has_time(self, lease: Lease) -> bool:
        """Tell whether enough of the lease is left for an exchange, twice if its outcome is unknown."""
        return lease.until - self.clock() >= 2 * self.settings.http_timeout + 2

    def release(
        self,
        connection: Connection,
        lease: Lease,
        version: int,
        *,
        maybe_spent: bool = False,
        changes: Mapping[str, str | None] | None = None,
    ) -> Connection:
        """Give the lease back, naming the version to exchange next; other annotations may ride along.

        After an unknown outcome it is ended without being released: the next holder must know. Raises `StoreError`.
        """
        end = Lease(lease.holder, self.clock(), version) if maybe_spent else Lease("", 0, version)
        return self.write(connection, {**(changes or {}), LEASE: render_lease(end)}, lease)

    def give_back(self, turn: Turn) -> None:
        """Release the lease of a turn that is over; one that cannot be released ends by itself."""
        if turn.lease is None:
            return
        try:
            turn.connection = self.release(
                turn.connection, turn.lease, turn.version.number, maybe_spent=turn.maybe_spent
            )
        except StoreError as fault:
            log.warning("could not release the lease of %s: %s", turn.connection.secret_id, fault)

    def write(
        self, connection: Connection, changes: Mapping[str, str | None], lease: Lease | None = None
    ) -> Connection:
        """Write annotations of our own, and with a `lease` only as long as it has not been taken over."""
        for _ in range(_CAS_TRIES):
            try:
                return replace(connection, record=self.store.annotate(connection.record, changes))
            except EtagConflict:
                connection = replace(connection, record=self.store.get(connection.secret_id))
                if lease and lease_of(connection).holder != lease.holder:
                    return connection  # whoever took it over, and may have given it back, knows better
        raise StoreError(f"the metadata of secret {connection.secret_id} keeps changing")


def lease_of(connection: Connection) -> Lease:
    """Return the lease that the connection carries; absent or nonsense reads as never taken."""
    return parse_lease(connection.record.annotations.get(LEASE)) or Lease()
