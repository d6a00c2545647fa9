"""Secret Manager at the pace of its quota: reads of metadata wait for their turn, writes are counted.

A refresh reserves its writes first (`token_refresh.instance.pool`); what it really wrote is counted here, so that the
rest can be given back. Any other write waits for its turn; where it cannot wait it is charged, and the next ones wait
the longer. Accesses to payloads have a quota of their own that nothing here comes near.

No wait ends later than the run may wait (`Account.until`): what saves an access token may wait a little longer
(`grace`), since it is lost otherwise. What saves a refresh token does not wait even where the service says that the
quota is used up: its lease runs, and so do the seconds of a process that ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from token_refresh.core.connection import SecretRecord
from token_refresh.errors import QuotaExceeded
from token_refresh.instance.ledger import Ledger
from token_refresh.instance.quota import Priority, Quota
from token_refresh.ports import AccessedVersion, SecretStore, VersionInfo

_T = TypeVar("_T")

_PATIENCE: Final = 65.0  # s; a quota is counted by the minute


@dataclass(frozen=True, slots=True)
class PacedStore:
    """A view of the store. `is_urgent`: what saves a reply waits for no turn; it is charged.

    `clock` gives epoch seconds; `patience` is how many seconds a call may wait for a quota that is used up, `grace` how
    many seconds after the end of the run the urgent may. Outside of any run they wait for nothing.
    """

    store: SecretStore
    reads: Quota
    writes: Quota
    clock: Callable[[], float]
    grace: float
    ledger: Ledger = field(default_factory=Ledger)
    is_urgent: bool = False
    patience: float = _PATIENCE
    priority: Priority = Priority.NAMED

    def urgent(self) -> PacedStore:
        """Return the view of those who must not wait for their turn."""
        return replace(self, is_urgent=True)

    def at_once(self) -> PacedStore:
        """Return the view of those who must not wait at all, and try again by themselves."""
        return replace(self, is_urgent=True, patience=0.0)

    def of_verdicts(self) -> PacedStore:
        """Return the view of those who write what was judged."""
        return replace(self, priority=Priority.VERDICT)

    def sparing(self) -> PacedStore:
        """Return the view of those who make do with what others leave, and wait for no quota that is used up."""
        return replace(self, priority=Priority.DESTROY, patience=0.0)

    def patient(self) -> PacedStore:
        """Return the view of those who let everybody else go first."""
        return replace(self, priority=Priority.CLEAN)

    def reserve(self, until: float) -> bool:
        """Wait for the turn of one write that is made only if it comes until then (epoch seconds); else False."""
        is_granted = self.writes.take(1, self.priority, until - self.clock())
        if is_granted:
            self.ledger.account.note_reserved()
        return is_granted

    def list_connections(self) -> list[SecretRecord]:
        """See `SecretStore`."""
        return self._read(self.store.list_connections, 2)

    def get(self, secret_id: str) -> SecretRecord:
        """See `SecretStore`."""
        return self._read(lambda: self.store.get(secret_id))

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
        return self._read(lambda: self.store.list_versions(secret_id))

    def created_at(self, secret_id: str, version: int) -> float:
        """See `SecretStore`."""
        return self._read(lambda: self.store.created_at(secret_id, version))

    def _read(self, call: Callable[[], _T], calls: int = 1) -> _T:
        if self.is_urgent:
            self.reads.charge(calls)
        elif not self.reads.take(calls, self.priority, self.ledger.account.until - self.clock()):
            raise QuotaExceeded("cannot read: the pace leaves no time for it in this run")
        return self._patiently(self.reads, call, calls)

    def _write(self, call: Callable[[], _T]) -> _T:
        if not self.ledger.account.note_write() and not self._has_turn():
            self.writes.charge()
        return self._patiently(self.writes, call)

    def _patiently(self, quota: Quota, call: Callable[[], _T], calls: int = 1) -> _T:
        """Let a quota that is used up slow everything down, and fail nothing that a minute's patience mends."""
        until: float | None = None
        while True:
            try:
                return call()
            except QuotaExceeded:
                quota.slow_down()
                now = self.clock()
                if until is None:
                    until = min(now + self.patience, self._ends())
                if not quota.take(calls, self.priority, until - now):
                    raise

    def _ends(self) -> float:
        """Return until when the work under way may wait for a quota that is used up; epoch seconds."""
        if not self.is_urgent:
            return self.ledger.account.until
        return self.ledger.account.until + self.grace if self.ledger.is_known else self.clock()

    def _has_turn(self) -> bool:
        """Wait for a write that nobody has reserved, where it can wait."""
        if self.is_urgent or self.ledger.account.is_task:
            return False
        return self.writes.take(1, self.priority, self.ledger.account.until - self.clock())
