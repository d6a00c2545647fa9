"""What a piece of work has reserved and written, and until when it may wait: known wherever its calls are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import final


@dataclass(slots=True)
class Account:
    """A run (what is done beside its tasks), or a task of the pool, and the writes that it has reserved and made.

    `until`: no wait for the quota ends later (epoch seconds).
    """

    until: float = float("inf")
    is_task: bool = False
    reserved: int = 0
    writes: int = 0

    def note_write(self) -> bool:
        """Count a write; tell whether it was reserved."""
        self.writes += 1
        return self.writes <= self.reserved

    def note_reserved(self) -> None:
        """Note that one write more is reserved."""
        self.reserved = max(self.reserved, self.writes) + 1


@final
class Ledger:
    """The accounts of one instance; what runs in another thread has another account, or none."""

    def __init__(self) -> None:
        self._current: ContextVar[Account | None] = ContextVar("account", default=None)

    @property
    def is_known(self) -> bool:
        """Tell whether a run is asking, or a task of one."""
        return self._current.get() is not None

    @property
    def account(self) -> Account:
        """Return the account of the work under way; where none is kept, one that is forgotten."""
        return self._current.get() or Account()

    @contextmanager
    def keep(self, account: Account) -> Iterator[Account]:
        """Keep this account of what is done meanwhile."""
        token = self._current.set(account)
        try:
            yield account
        finally:
            self._current.reset(token)
