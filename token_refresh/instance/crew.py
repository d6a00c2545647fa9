"""Those who carry out the pool's tasks: threads, or, where there is only one worker, the caller itself.

A crew has one lock, which guards all that the pool knows; `wait` gives it away meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar, final

_In = TypeVar("_In")
_Out = TypeVar("_Out")
Sleep = Callable[[float], None]

_PATIENCE: Final = 0.05  # s, between two looks at what the crew is not told of
_LONGEST: Final = 1.0  # s, of one wait; then those who wait look again


class Crew(Protocol):
    """So many tasks at a time."""

    size: int
    lock: threading.RLock

    def start(self, work: Callable[[], None]) -> None:
        """Carry out something, now or soon. Called without the lock."""

    def wake(self) -> None:
        """Let those who wait look again. Called with the lock."""

    def wait(self, seconds: float, *, is_idle: bool) -> None:
        """Wait for so long, or until woken; nobody wakes while the crew `is_idle`. Called with the lock."""

    def map_within(self, work: Callable[[_In], _Out], items: Sequence[_In], seconds: float) -> list[tuple[_In, _Out]]:
        """Do something for each item, beside all tasks; return what has ended within so many seconds."""


@final
class Threads(Crew):
    """Threads, made when they are first needed."""

    def __init__(self, size: int, sleep: Sleep) -> None:
        self.size = size
        self.lock = threading.RLock()
        self._news = threading.Condition(self.lock)
        self._sleep = sleep
        self._executor: ThreadPoolExecutor | None = None

    def start(self, work: Callable[[], None]) -> None:
        """See `Crew`."""
        with self.lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.size, thread_name_prefix="token-refresh")
        self._executor.submit(work)

    def wake(self) -> None:
        """See `Crew`."""
        self._news.notify_all()

    def wait(self, seconds: float, *, is_idle: bool) -> None:
        """See `Crew`."""
        if is_idle:
            _sleep_without(self.lock, self._sleep, seconds)
        else:
            self._news.wait(min(seconds, _LONGEST))

    def map_within(self, work: Callable[[_In], _Out], items: Sequence[_In], seconds: float) -> list[tuple[_In, _Out]]:
        """See `Crew`; each item has a thread of its own."""
        return side_by_side(work, items, seconds)


@final
class Alone(Crew):
    """Nobody but the caller: a task is done when `start` returns."""

    def __init__(self, clock: Callable[[], float], sleep: Sleep) -> None:
        self.size = 1
        self.lock = threading.RLock()
        self._clock = clock
        self._sleep = sleep

    def start(self, work: Callable[[], None]) -> None:
        """See `Crew`."""
        work()

    def wake(self) -> None:
        """See `Crew`."""

    def wait(self, seconds: float, *, is_idle: bool) -> None:
        """See `Crew`."""
        _sleep_without(self.lock, self._sleep, seconds if is_idle else min(seconds, _PATIENCE))

    def map_within(self, work: Callable[[_In], _Out], items: Sequence[_In], seconds: float) -> list[tuple[_In, _Out]]:
        """See `Crew`; one after the other, and none is begun later."""
        until = self._clock() + seconds
        return [(item, work(item)) for item in items if self._clock() < until]


def side_by_side(work: Callable[[_In], _Out], items: Iterable[_In], seconds: float) -> list[tuple[_In, _Out]]:
    """Do something for each item, in a thread of its own; return what has ended within so many seconds."""
    ended: list[tuple[_In, _Out]] = []
    threads = [threading.Thread(target=lambda i=item: ended.append((i, work(i))), daemon=True) for item in items]
    until = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return list(ended)


def _sleep_without(lock: threading.RLock, sleep: Sleep, seconds: float) -> None:
    """Sleep, and let others have the lock meanwhile."""
    lock.release()
    try:
        sleep(min(seconds, _LONGEST) if seconds != float("inf") else _PATIENCE)
    finally:
        lock.acquire()
