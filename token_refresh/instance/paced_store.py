"""Secret Manager at the pace of its quota: reads of metadata wait for their turn, writes are counted.

Who writes reserves first (`token_refresh.instance.pool`); what a task really wrote is counted here, so that the rest of
its reservation can be given back. Accesses to payloads have a quota of their own that nothing here comes near.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from token_refresh.core.connection import SecretRecord
from token_refresh.errors import QuotaExceeded
from token_refresh.instance.quota import Priority, Quota
from token_refresh.ports import AccessedVersion, SecretStore, VersionInfo

_T = TypeVar("_T")

_PATIENCE: Final = (5.0, 10.0, 20.0, 30.0)  # s; a quota is counted by the minute


class Ledger(threading.local):
    """How many writes this thread has made."""

    writes = 0

    @contextmanager
    def counting(self) -> Iterator[list[int]]:
        """Count the writes of a piece of work; the list's one number is right at its end."""
        before, counted = self.writes, [0]
        try:
            yield counted
        finally:
            counted[0] = self.writes - before


@dataclass(frozen=True, slots=True)
class PacedStore:
    """A view of the store. `is_urgent`: what saves a reply waits for nothing; it is charged."""

    store: SecretStore
    reads: Quota
    writes: Quota
    sleep: Callable[[float], None]
    ledger: Ledger = field(default_factory=Ledger)
    is_urgent: bool = False

    def urgent(self) -> PacedStore:
        """Return the view of those who must not wait."""
        return replace(self, is_urgent=True)

    def list_connections(self) -> list[SecretRecord]:
        """See `SecretStore`."""
        self._read(2)
        return self.store.list_connections()

    def get(self, secret_id: str) -> SecretRecord:
        """See `SecretStore`."""
        self._read()
        return self.store.get(secret_id)

    def access(self, secret_id: str, version: int | None = None) -> AccessedVersion:
        """See `SecretStore`."""
        return self.store.access(secret_id, version)

    def read_latest(self, secret_id: str) -> bytes | None:
        """See `SecretStore`."""
        return self.store.read_latest(secret_id)

    def add(self, secret_id: str, payload: bytes) -> int:
        """See `SecretStore`."""
        return self._write(lambda: self.store.add(secret_id, payload))

    def destroy(self, secret_id: str, version: int) -> None:
        """See `SecretStore`."""
        self._write(lambda: self.store.destroy(secret_id, version))

    def annotate(self, record: SecretRecord, changes: Mapping[str, str | None]) -> SecretRecord:
        """See `SecretStore`."""
        return self._write(lambda: self.store.annotate(record, changes))

    def list_versions(self, secret_id: str) -> list[VersionInfo]:
        """See `SecretStore`."""
        self._read()
        return self.store.list_versions(secret_id)

    def created_at(self, secret_id: str, version: int) -> float:
        """See `SecretStore`."""
        self._read()
        return self.store.created_at(secret_id, version)

    def _write(self, call: Callable[[], _T]) -> _T:
        """Write; a quota that is used up slows everything down and fails nothing that a minute's patience mends."""
        for delay in _PATIENCE:
            self.ledger.writes += 1
            try:
                return call()
            except QuotaExceeded:
                self.writes.slow_down()
                self.sleep(delay)
        self.ledger.writes += 1
        return call()

    def _read(self, calls: int = 1) -> None:
        if self.is_urgent:
            self.reads.charge(calls)
        else:
            self.reads.take(calls, Priority.NAMED)
