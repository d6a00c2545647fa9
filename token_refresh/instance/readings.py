"""What an instance has read of access tokens: when they run out, never the token. Dies with the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from token_refresh.core.access_token import parse_facts
from token_refresh.core.connection import ACCESS_TOKEN, Connection
from token_refresh.core.overview.row import Reading
from token_refresh.errors import StoreDenied, StoreError
from token_refresh.ports import SecretStore

# s: a token that is not due is not read again for so long, unless a person asked for it.
_KEPT: Final = 600.0
_DUE_KEPT: Final = 10.0
_PENDING: Final = Reading(pending=True)


@dataclass(frozen=True, slots=True)
class _Read:
    reading: Reading
    at: float
    etag: str


@dataclass(slots=True, eq=False)
class Readings:
    """Read many access-token documents, in parallel and within a time; threads may share it.

    `clock` gives epoch seconds, `monotonic` seconds for the time that reading may take.
    """

    store: SecretStore
    workers: int
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    _read: dict[str, _Read] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, connection: Connection) -> Reading:
        """Read one now."""
        if connection.is_text:
            return Reading(parse_facts(connection.record.annotations.get(ACCESS_TOKEN)))
        began = self.clock()
        reading = self._access(connection.access_token_secret_id)
        with self._lock:
            self._read[connection.secret_id] = _Read(reading, began, connection.record.etag)
        return reading

    def read_all(
        self,
        connections: Iterable[Connection],
        due_at: Callable[[Connection, Reading], float],
        *,
        anew: bool,
        seconds: float | None = None,
    ) -> dict[str, Reading]:
        """Return a reading for each connection secret's id; what `seconds` do not suffice for is as it was, or pending.

        `anew` reads all again; otherwise only what is unknown, due (`due_at`), old, or has a new etag.
        """
        all_of_them = list(connections)
        readings = {c.secret_id: self._known(c) for c in all_of_them}
        wanted = [c for c in all_of_them if anew or self._is_stale(c, due_at)]
        # What nothing is known of comes first, then what was read longest ago.
        wanted.sort(key=lambda c: self._read[c.secret_id].at if c.secret_id in self._read else 0.0)
        end = None if seconds is None else self.monotonic() + seconds

        def look(connection: Connection) -> None:
            if end is None or self.monotonic() < end:
                readings[connection.secret_id] = self.read(connection)

        if wanted:
            with ThreadPoolExecutor(min(self.workers, len(wanted))) as pool:
                list(pool.map(look, wanted))
        self._forget(readings.keys())
        return readings

    def _known(self, connection: Connection) -> Reading:
        read = self._read.get(connection.secret_id)
        return read.reading if read else _PENDING

    def _is_stale(self, connection: Connection, due_at: Callable[[Connection, Reading], float]) -> bool:
        read = self._read.get(connection.secret_id)
        if connection.is_text or read is None or read.etag != connection.record.etag:
            return True
        now = self.clock()
        is_due = read.reading.facts is None or now >= due_at(connection, read.reading)
        return now - read.at > (_DUE_KEPT if is_due else _KEPT)

    def _access(self, secret_id: str) -> Reading:
        """Read the facts; the token itself is dropped here."""
        try:
            payload = self.store.read_latest(secret_id)
        except StoreDenied:
            return Reading(problem=f"permission denied on secret {secret_id}, or it does not exist")
        except StoreError as fault:
            return Reading(problem=str(fault))
        if payload is None:
            return Reading()
        facts = parse_facts(payload)
        return Reading(facts) if facts else Reading(problem=f"secret {secret_id} holds something else")

    def _forget(self, kept: Iterable[str]) -> None:
        """Forget connections that are gone."""
        with self._lock:
            ids = set(kept)
            if len(self._read) > len(ids):
                self._read = {k: v for k, v in self._read.items() if k in ids}
