"""What has no use any more: versions are billed, disabled ones, too, and nobody reads them.

Each run destroys access tokens that are known to have run out; the janitor, once a day, whatever retried adds and
crashes have left behind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from token_refresh.connections.incidents import Incidents
from token_refresh.connections.memory import Memory
from token_refresh.core.access_token import parse_facts
from token_refresh.core.connection import Connection
from token_refresh.core.state.timing import spread
from token_refresh.core.status import lease_of
from token_refresh.core.units import DAY
from token_refresh.errors import QuotaExceeded, StoreError, StoreUnavailable, VersionUnusable
from token_refresh.instance.lanes import Task
from token_refresh.instance.paced_store import PacedStore
from token_refresh.ports import VersionInfo, VersionState
from token_refresh.refresh.faults import log_defect

log = logging.getLogger("token_refresh")


@dataclass(slots=True)
class Janitor:
    """Destroy what has no use any more; what a day leaves of its strays, the next one goes on with."""

    store: PacedStore
    patient: PacedStore  # lets everybody else go first
    memory: Memory
    incidents: Incidents
    clock: Callable[[], float]
    _stopped_at: str | None = field(default=None)

    def clean(self, connections: Sequence[Connection], until: float) -> int:
        """Clean up after these connections, until then (epoch seconds); returns the number of versions destroyed.

        Access-token secret: all but the two newest, and the second newest once it has expired. Connection secret: all
        below the previous version, once the current one is known to be good. Never the newest of either.
        """
        destroyed = 0
        for connection in self._in_turn([c for c in connections if not c.problem]):
            try:
                for secret_id, number in self._strays(connection):
                    if self.clock() >= until or not self.patient.reserve(until):
                        return self._stop(connection, destroyed)
                    self.patient.destroy(secret_id, number)
                    destroyed += 1
            except QuotaExceeded:  # the pace leaves no time, or the service wants none of it
                return self._stop(connection, destroyed)
            except StoreError as fault:
                log.warning("could not clean up after %s: %s", connection.name, fault)
            if self.clock() >= until:
                return self._stop(connection, destroyed)
        return destroyed

    def destructions(self, connections: Iterable[Connection]) -> list[Task]:
        """Describe the destruction of each access token that this instance knows to have no use any more."""
        now = self.clock()
        return [
            Task(c.access_token_secret_id, "", 1, is_single_use=False, work=partial(self._destroy_outlived, c, version))
            for c in connections
            if not c.problem
            for version in self.memory.outlived(c, now)
        ]

    def destroy_aside(self, connection: Connection) -> None:
        """Destroy what has no use any more, as far as nobody else needs the writes at this moment."""
        now = self.clock()
        for version in self.memory.outlived(connection, now):
            if self.store.reserve(now):
                self._destroy_outlived(connection, version)

    def _destroy_outlived(self, connection: Connection, version: int) -> None:
        if version not in self.memory.outlived(connection, self.clock()):  # another run was faster
            return
        try:
            self.store.destroy(connection.access_token_secret_id, version)
        except StoreError as fault:
            log.warning("could not destroy version %d of %s: %s", version, connection.access_token_secret_id, fault)
            if isinstance(fault, StoreUnavailable):  # the next run tries again; anything else is left to `clean`
                return
        except Exception as fault:  # noqa: BLE001 - a defect met by one connection must not stop the others
            log_defect(connection, fault)
            return
        self.memory.forget_outlived(connection, version)

    def _stop(self, connection: Connection, destroyed: int) -> int:
        self._stopped_at = connection.name
        log.info("cleaning goes on at %s the next time", connection.name)
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
            start = int(spread("clean", int(self.clock() // DAY)) * len(names))
        return [*names[start:], *names[:start]]

    def _strays(self, connection: Connection) -> Iterator[tuple[str, int]]:
        """Yield secrets' ids and the numbers of what is to be destroyed, the oldest first."""
        yield from ((connection.access_token_secret_id, n) for n in self._stray_access_tokens(connection))
        yield from ((connection.secret_id, n) for n in self._stray_grants(connection))

    def _versions(self, secret_id: str) -> list[VersionInfo]:
        return [v for v in self.patient.list_versions(secret_id) if v.state != VersionState.DESTROYED]

    def _stray_access_tokens(self, connection: Connection) -> list[int]:
        versions = self._versions(connection.access_token_secret_id)
        stray = [v.number for v in versions[2:]]
        if len(versions) > 1 and self._has_expired(connection, versions[1]):
            stray.append(versions[1].number)
        return sorted(stray)

    def _has_expired(self, connection: Connection, version: VersionInfo) -> bool:
        """Tell whether the token before the newest has run out; it is read only if nothing else tells."""
        now, newest = self.clock(), self.memory.facts(connection)
        ends = self.memory.previous_ends(connection, version.number)
        if ends is not None:
            return ends <= now
        if newest and newest.expires_at <= now:  # it was issued before that one, and lives as long
            return True
        try:
            facts = parse_facts(self.patient.access(connection.access_token_secret_id, version.number).payload)
        except VersionUnusable:
            facts = None
        if facts:
            return not facts.is_valid(now)
        return newest is not None and version.created_at + newest.life <= now  # bare text, or disabled: likewise

    def _stray_grants(self, connection: Connection) -> list[int]:
        if self.incidents.status_of(connection) or lease_of(connection.record).holder:
            return []
        facts = self.memory.facts(connection)
        if facts is None or facts.connection_version <= 2:  # noqa: PLR2004 - the current one and its predecessor
            return []
        versions = self._versions(connection.secret_id)
        # The access token was made from the newest grant: nobody will ever go back below its predecessor.
        if not versions or facts.connection_version < versions[0].number:
            return []
        return sorted(v.number for v in versions[2:] if v.number > lease_of(connection.record).kept)
