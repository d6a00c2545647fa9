"""A limit for each of many keys: so many in so many seconds, and then a time to come back."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import final


@final
class Limit:
    """Let each key pass `times` in any `seconds`; safe for threads.

    Of more than `capacity` keys the one that was seen longest ago is forgotten.
    """

    def __init__(self, times: int, seconds: float, clock: Callable[[], float], capacity: int = 10_000) -> None:
        self._times = times
        self._seconds = seconds
        self._clock = clock
        self._capacity = capacity
        self._passed: OrderedDict[Hashable, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: Hashable = None) -> float:
        """Count one more and return 0, or return the seconds after which the next may pass."""
        now = self._clock()
        with self._lock:
            passed = self._passed.setdefault(key, deque())
            self._passed.move_to_end(key)
            while len(self._passed) > self._capacity:
                self._passed.popitem(last=False)
            while passed and passed[0] <= now - self._seconds:
                passed.popleft()
            if len(passed) >= self._times:
                return passed[0] + self._seconds - now
            passed.append(now)
            return 0.0
