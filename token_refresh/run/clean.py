"""The janitor: destroys versions that retried adds and crashes left behind. Disabled versions are billed, too."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from token_refresh.connections.memory import Memory
from token_refresh.core.access_token import parse_facts
from token_refresh.core.connection import LEASE, Connection
from token_refresh.core.status import parse_lease, status_of
from token_refresh.errors import StoreError, VersionUnusable
from token_refresh.instance.pace import Pace
from token_refresh.ports import SecretStore

log = logging.getLogger("token_refresh")


@dataclass(frozen=True, slots=True)
class Janitor:
    """Destroy stray versions, paced to the project's quota."""

    store: SecretStore
    known: Memory
    pace: Pace
    clock: Callable[[], float]

    def clean(self, connections: Sequence[Connection]) -> int:
        """Clean up after these connections; returns the number of versions destroyed.

        Access-token secret: all but the two newest, and the second newest once it has expired. Connection secret: all
        below the previous version, once the current one is known to be good. Never the newest of either.
        """
        destroyed = 0
        for connection in connections:
            if connection.problem:
                continue
            try:
                for secret_id, stray in (
                    (connection.access_token_secret_id, self._stray_access_tokens(connection)),
                    (connection.secret_id, self._stray_grants(connection)),
                ):
                    for number in stray:
                        self.pace.wait()
                        self.store.destroy(secret_id, number)
                        destroyed += 1
            except StoreError as fault:
                log.warning("could not clean up after %s: %s", connection.name, fault)
        return destroyed

    def _versions(self, secret_id: str) -> list[int]:
        self.pace.wait()
        return [v.number for v in self.store.list_versions(secret_id) if v.state != "DESTROYED"]

    def _stray_access_tokens(self, connection: Connection) -> list[int]:
        versions = self._versions(connection.access_token_secret_id)
        stray = versions[2:]
        if len(versions) > 1 and self._has_expired(connection, versions[1]):
            stray.append(versions[1])
        return sorted(stray)

    def _has_expired(self, connection: Connection, version: int) -> bool:
        self.pace.wait()
        try:
            facts = parse_facts(self.store.access(connection.access_token_secret_id, version).payload)
        except VersionUnusable:
            facts = None
        if facts:
            return not facts.is_valid(self.clock())
        # Bare text, or disabled: it lived as long as its successor does.
        newest = self.known.facts(connection)
        self.pace.wait()
        created_at = self.store.created_at(connection.access_token_secret_id, version)
        return newest is not None and created_at + newest.life <= self.clock()

    def _stray_grants(self, connection: Connection) -> list[int]:
        lease = parse_lease(connection.record.annotations.get(LEASE))
        if status_of(connection) or (lease and lease.holder):
            return []
        facts = self.known.facts(connection)
        if facts is None:
            return []
        versions = self._versions(connection.secret_id)
        # The access token was made from the newest grant: nobody will ever go back below its predecessor.
        if not versions or facts.connection_version < versions[0]:
            return []
        return sorted(versions[2:])
