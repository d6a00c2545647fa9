"""What this instance has seen lately: duplicates that arrive here are recognised here. No promise across instances."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import final


@final
class RecentKeys:
    """Remember up to `capacity` keys for `seconds`; safe for threads."""

    def __init__(self, seconds: float, clock: Callable[[], float], capacity: int = 10_000) -> None:
        self._seconds = seconds
        self._clock = clock
        self._capacity = capacity
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, key: str) -> bool:
        """Remember `key`; False when it was there already."""
        now = self._clock()
        with self._lock:
            while self._seen and (
                len(self._seen) >= self._capacity or next(iter(self._seen.values())) <= now - self._seconds
            ):
                self._seen.popitem(last=False)
            if key in self._seen:
                return False
            self._seen[key] = now
            return True

    def forget(self, key: str) -> None:
        """Let `key` count as new again."""
        with self._lock:
            self._seen.pop(key, None)
