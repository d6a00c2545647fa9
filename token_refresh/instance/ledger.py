"""What a piece of work has reserved and written, and until when it may wait: known wherever its calls are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, final

from token_refresh.instance.quota import Priority, Quota

_NEVER: Final = float("inf")


@dataclass(slots=True)
class Account:
    """One piece of work. `until`: no wait for the quota ends later (epoch seconds)."""

    until: float
    is_task: bool
    reserved: int = 0
    writes: int = 0


@final
class Ledger:
    """The accounts of one instance; what runs in another thread has another account, or none."""

    def __init__(self) -> None:
        self._current: ContextVar[Account | None] = ContextVar("account", default=None)

    @property
    def until(self) -> float:
        """Return until when the work under way may wait for the quota; epoch seconds."""
        account = self._current.get()
        return account.until if account else _NEVER

    @property
    def is_in_task(self) -> bool:
        """Tell whether a task of the pool is asking."""
        account = self._current.get()
        return account is not None and account.is_task

    def note_write(self) -> bool:
        """Count a write; tell whether it was reserved."""
        account = self._current.get()
        if account is None:
            return False
        account.writes += 1
        return account.writes <= account.reserved

    def note_reserved(self, writes: int) -> None:
        """Note that the work under way has reserved so many writes more."""
        account = self._current.get()
        if account:
            account.reserved = max(account.reserved, account.writes) + writes

    @contextmanager
    def of_task(self, until: float, reserved: int) -> Iterator[Account]:
        """Keep an account of one of the pool's tasks, which has reserved so many writes."""
        with self._account(Account(until, is_task=True, reserved=reserved)) as account:
            yield account

    @contextmanager
    def of_run(self, until: float) -> Iterator[None]:
        """Keep an account of a run: what is done beside its tasks."""
        with self._account(Account(until, is_task=False)):
            yield

    @contextmanager
    def _account(self, account: Account) -> Iterator[Account]:
        token = self._current.set(account)
        try:
            yield account
        finally:
            self._current.reset(token)


@dataclass(frozen=True, slots=True)
class Reservations:
    """Writes that are made only if their turn comes in time. What is written without waits then (`PacedStore`)."""

    quota: Quota
    ledger: Ledger

    def reserve(self, priority: Priority, within: float) -> bool:
        """Wait for one write, but not longer than `within` (seconds); False when it would take longer."""
        is_granted = self.quota.take(1, priority, within)
        if is_granted:
            self.ledger.note_reserved(1)
        return is_granted
