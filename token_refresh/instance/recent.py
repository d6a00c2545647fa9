"""What has happened lately in this instance: which keys were seen, how often something was done. Safe for threads.

No promise across instances: each counts for itself, and forgets with its process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import final

from token_refresh.core.secrecy import Secret


@final
class RecentKeys:
    """Remember up to `capacity` keys for `seconds`: duplicates that arrive here are recognised here."""

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


@final
class Limit:
    """Let each key pass `times` in any `seconds`, and then say when to come back.

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
        with self._lock:
            passed, wait = self._look(key)
            if not wait:
                passed.append(self._clock())
            return wait

    def count(self, key: Hashable = None) -> None:
        """Count one that has passed, whatever the limit says."""
        with self._lock:
            self._look(key)[0].append(self._clock())

    def wait_of(self, key: Hashable = None) -> float:
        """Return the seconds after which the next may pass; 0 = now."""
        with self._lock:
            return self._look(key)[1]

    def _look(self, key: Hashable) -> tuple[deque[float], float]:
        now = self._clock()
        passed = self._passed.setdefault(key, deque())
        self._passed.move_to_end(key)
        while len(self._passed) > self._capacity:
            self._passed.popitem(last=False)
        while passed and passed[0] <= now - self._seconds:
            passed.popleft()
        return passed, passed[0] + self._seconds - now if len(passed) >= self._times else 0.0


@final
class Refusals:
    """A limit on refusals: after `limit` in `seconds` only callers are heard that have been served before.

    Of a caller only a hash is kept, keyed with what dies with the process: nothing here can be used or looked up. Up to
    `served` callers are remembered.
    """

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float], *, served: int = 10_000) -> None:
        self._refused = Limit(limit, seconds, clock)
        self._capacity = served
        self._key = secrets.token_bytes(32)
        self._served: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def wait_of(self, caller: Secret) -> float:
        """Return after how many seconds the caller may be heard; 0 = now."""
        wait = self._refused.wait_of()
        return 0.0 if not wait or self._hash(caller) in self._served else wait

    def note_served(self, caller: Secret) -> None:
        """Remember a caller that was given what it asked for."""
        mark = self._hash(caller)
        with self._lock:
            self._served[mark] = None
            self._served.move_to_end(mark)
            while len(self._served) > self._capacity:
                self._served.popitem(last=False)

    def note_refused(self, caller: Secret, *, forget: bool = False) -> None:
        """Count a refusal; `forget` a caller whose token has ended."""
        self._refused.count()
        if forget:
            with self._lock:
                self._served.pop(self._hash(caller), None)

    def _hash(self, caller: Secret) -> bytes:
        return hmac.new(self._key, caller.reveal().encode(), hashlib.sha256).digest()
