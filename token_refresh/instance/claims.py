"""Which connections this instance works on: two of its runs never work on the same one."""

from __future__ import annotations

import threading
from typing import final

from token_refresh.errors import Busy


@final
class Claims:
    """The connections that runs of this instance work on, by secret id. Safe for threads."""

    def __init__(self) -> None:
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def claim(self, key: str) -> None:
        """Make sure that no other run of this instance works on the same connection; raises `Busy`."""
        with self._lock:
            if key in self._claimed:
                raise Busy(f"another run is working on {key}")
            self._claimed.add(key)

    def release(self, key: str) -> None:
        """Let other runs work on the connection."""
        with self._lock:
            self._claimed.discard(key)
