"""Pacing: no more than so many things a second, within one instance and over all its threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, final

_SOON: Final = 0.001  # s: what is less is the clock's own grain


@final
class Pace:
    """Let callers through one at a time, `per_second` of them at most; after a pause the first passes at once.

    Each caller is given the next free slot, so the waiting are served evenly and none starves. `clock` is monotonic
    and in seconds.
    """

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not per_second > 0:
            raise ValueError("per_second must be positive")
        self._interval = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next_slot = -float("inf")

    def wait(self) -> float:
        """Wait for the next slot; return the seconds waited."""
        delay = self.take()
        if delay > 0:
            self._sleep(delay)
        return delay

    def until_free(self) -> float:
        """Return the seconds until the next slot; 0 = it is free."""
        with self._lock:
            delay = self._next_slot - self._clock()
        return delay if delay > _SOON else 0.0

    def take(self) -> float:
        """Take the next slot without waiting for it; return the seconds until it comes."""
        with self._lock:
            now = self._clock()
            slot = max(now, self._next_slot)
            self._next_slot = slot + self._interval
        return slot - now


@final
class Paces(dict[str, Pace]):
    """One pace for each key, such as a token endpoint's host, made when it is first asked for; safe for threads."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self._arguments = (per_second, clock, sleep)

    def __missing__(self, key: str) -> Pace:
        return self.setdefault(key, Pace(*self._arguments))
