"""A limit on refusals: after too many in a minute, only callers that have been served before are heard."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import final

from token_refresh.core.secrecy import Secret


@final
class Refusals:
    """Count refusals, and know the served; safe for threads.

    Of a caller only a hash is kept, keyed with what dies with the process: nothing here can be used or looked up.
    """

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float], *, served: int = 10_000) -> None:
        """Allow `limit` refusals in `seconds`, by `clock` (s); remember up to `served` callers."""
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._capacity = served
        self._key = secrets.token_bytes(32)
        self._served: OrderedDict[bytes, None] = OrderedDict()
        self._refused: deque[float] = deque()
        self._lock = threading.Lock()

    def wait_of(self, caller: Secret) -> float:
        """Return after how many seconds the caller may be heard; 0 = now."""
        now = self._clock()
        with self._lock:
            while self._refused and self._refused[0] <= now - self._seconds:
                self._refused.popleft()
            if len(self._refused) < self._limit or self._hash(caller) in self._served:
                return 0.0
            return self._refused[0] + self._seconds - now

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
        with self._lock:
            self._refused.append(self._clock())
            if forget:
                self._served.pop(self._hash(caller), None)

    def _hash(self, caller: Secret) -> bytes:
        return hmac.new(self._key, caller.reveal().encode(), hashlib.sha256).digest()
