"""What a piece of work has reserved and written, and until when it may wait: known wherever its calls are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, final

_NEVER: Final = float("inf")


@dataclass(slots=True)
class Account:
    """A run (what is done beside its tasks), or a task of the pool, and the writes that it has reserved and made.

    `until`: no wait for the quota ends later (epoch seconds).
    """

    until: float
    is_task: bool = False
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
    def is_known(self) -> bool:
        """Tell whether a run is asking, or a task of one."""
        return self._current.get() is not None

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
    def keep(self, account: Account) -> Iterator[Account]:
        """Keep this account of what is done meanwhile."""
        token = self._current.set(account)
        try:
            yield account
        finally:
            self._current.reset(token)
