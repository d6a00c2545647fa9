"""The janitor: destroys versions that retried adds and crashes left behind. Disabled versions are billed, too."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from token_refresh.connections.incidents import Incidents
from token_refresh.connections.memory import Memory
from token_refresh.core.access_token import parse_facts
from token_refresh.core.connection import Connection
from token_refresh.core.status import lease_of
from token_refresh.core.units import DAY
from token_refresh.errors import StoreError, VersionUnusable
from token_refresh.instance.quota import Priority, Quota
from token_refresh.ports import SecretStore

log = logging.getLogger("token_refresh")

_PRIME: Final = 7919  # so that any part of the alphabet comes first one day


@dataclass(slots=True)
class Janitor:
    """Destroy stray versions, paced to the project's quota; what a day leaves, the next one goes on with."""

    store: SecretStore
    memory: Memory
    incidents: Incidents
    writes: Quota
    clock: Callable[[], float]
    _stopped_at: str | None = field(default=None)

    def clean(self, connections: Sequence[Connection], until: float) -> int:
        """Clean up after these connections, until then (epoch seconds); returns the number of versions destroyed.

        Access-token secret: all but the two newest, and the second newest once it has expired. Connection secret: all
        below the previous version, once the current one is known to be good. Never the newest of either.
        """
        destroyed = 0
        for connection in self._in_turn([c for c in connections if not c.problem]):
            if self.clock() >= until:
                self._stopped_at = connection.name
                log.info("cleaning goes on at %s the next time", connection.name)
                break
            try:
                for secret_id, stray in (
                    (connection.access_token_secret_id, self._stray_access_tokens(connection)),
                    (connection.secret_id, self._stray_grants(connection)),
                ):
                    for number in stray:
                        if not self.writes.take(1, Priority.CLEAN, until - self.clock()):
                            break
                        self.store.destroy(secret_id, number)
                        destroyed += 1
            except StoreError as fault:
                log.warning("could not clean up after %s: %s", connection.name, fault)
        return destroyed

    def _in_turn(self, connections: Sequence[Connection]) -> list[Connection]:
        """Return all, beginning where the last cleaning stopped; a new instance begins elsewhere each day."""
        names = sorted(connections, key=lambda c: c.name)
        if not names:
            return []
        if self._stopped_at is not None:
            start = next((n for n, c in enumerate(names) if c.name >= (self._stopped_at or "")), 0)
            self._stopped_at = None
        else:
            start = (
                int(self.clock() // DAY) * 7919 % len(names)
            )  # a prime: any part of the alphabet comes first one day
        return [*names[start:], *names[:start]]

    def _versions(self, secret_id: str) -> list[int]:
        return [v.number for v in self.store.list_versions(secret_id) if v.state != "DESTROYED"]

    def _stray_access_tokens(self, connection: Connection) -> list[int]:
        versions = self._versions(connection.access_token_secret_id)
        stray = versions[2:]
        if len(versions) > 1 and self._has_expired(connection, versions[1]):
            stray.append(versions[1])
        return sorted(stray)

    def _has_expired(self, connection: Connection, version: int) -> bool:
        if self.memory.outlived(connection, self.clock()) == version:
            return True
        try:
            facts = parse_facts(self.store.access(connection.access_token_secret_id, version).payload)
        except VersionUnusable:
            facts = None
        if facts:
            return not facts.is_valid(self.clock())
        # Bare text, or disabled: it was issued before its successor, and lives as long.
        newest = self.memory.facts(connection)
        if newest is None:
            return False
        created_at = self.store.created_at(connection.access_token_secret_id, version)
        return created_at + newest.life <= self.clock()

    def _stray_grants(self, connection: Connection) -> list[int]:
        if self.incidents.status_of(connection) or lease_of(connection.record).holder:
            return []
        facts = self.memory.facts(connection)
        if facts is None:
            return []
        versions = self._versions(connection.secret_id)
        # The access token was made from the newest grant: nobody will ever go back below its predecessor.
        if not versions or facts.connection_version < versions[0]:
            return []
        return sorted(versions[2:])
