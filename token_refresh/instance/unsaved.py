"""New refresh tokens that are not stored yet: the only copy is here, and must not be lost.

A reply is remembered before its first add and forgotten after it, so that no path can lose it. While one cannot be
stored, the instance spends other single-use refresh tokens one at a time; and none any more in a run in which another
one could not be stored: one faulty secret stops nobody else, and a fault of all costs at most one more grant a run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar, final

from token_refresh.core.incident.events import NOT_SAVED
from token_refresh.errors import NotNow


class UnsavedReply(Protocol):
    """A reply that is to be stored in a connection secret."""

    is_failing: bool

    @property
    def secret_id(self) -> str:
        """Return the connection secret's id."""


R = TypeVar("R", bound=UnsavedReply)


@final
class UnsavedReplies(Generic[R]):
    """The replies that are not stored yet, by connection secret. One for the instance's life; safe for threads."""

    def __init__(self) -> None:
        self._replies: dict[str, R] = {}
        self._failed_in_this_run: set[str] = set()
        self._spending = 0
        self._lock = threading.Lock()

    def __contains__(self, secret_id: str) -> bool:
        return secret_id in self._replies

    def all(self) -> list[R]:
        """Return the replies that are to be stored."""
        with self._lock:
            return list(self._replies.values())

    def failing(self) -> list[R]:
        """Return the replies that could not be stored."""
        return [reply for reply in self.all() if reply.is_failing]

    def remember(self, reply: R) -> None:
        """Remember a reply, before its first add."""
        with self._lock:
            self._replies[reply.secret_id] = reply

    def note_failure(self, reply: R) -> None:
        """Note that a reply could not be stored at the first try."""
        with self._lock:
            if reply.secret_id in self._replies and not reply.is_failing:
                reply.is_failing = True
                self._failed_in_this_run.add(reply.secret_id)

    def forget(self, reply: R) -> None:
        """Forget a reply: it is stored, or there is nothing left to store it for."""
        with self._lock:
            if self._replies.get(reply.secret_id) is reply:
                del self._replies[reply.secret_id]
            self._failed_in_this_run.discard(reply.secret_id)

    def begin_run(self) -> None:
        """Begin a new run: what failed before it stops no other connection."""
        with self._lock:
            self._failed_in_this_run.clear()

    def may_spend(self) -> bool | None:
        """Tell whether a single-use refresh token may be spent now; None = not any more in this run."""
        with self._lock:
            return self._may_spend()

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Spend a single-use refresh token, and store what comes for it; raises `NotNow`."""
        with self._lock:
            if not self._may_spend():
                raise NotNow(NOT_SAVED)
            self._spending += 1
        try:
            yield
        finally:
            with self._lock:
                self._spending -= 1

    def _may_spend(self) -> bool | None:
        failing = sum(r.is_failing for r in self._replies.values())
        if not failing:
            return True
        if failing > 1 and self._failed_in_this_run:
            return None
        return self._spending == 0
