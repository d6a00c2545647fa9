"""What a piece of work has written, and until when it may wait for the quota: known wherever its calls are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, final

_NEVER: Final = float("inf")


@dataclass(slots=True)
class Account:
    """One piece of work. `until`: no wait for the quota ends later (epoch seconds)."""

    until: float
    is_task: bool
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

    def note_write(self) -> None:
        """Count a write."""
        account = self._current.get()
        if account:
            account.writes += 1

    @contextmanager
    def of_task(self, until: float) -> Iterator[Account]:
        """Keep an account of one of the pool's tasks."""
        with self._account(Account(until, is_task=True)) as account:
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
