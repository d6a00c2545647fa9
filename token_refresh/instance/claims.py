"""Which connections this instance works on: two of its runs never work on the same one."""

from __future__ import annotations

import threading
from typing import final


@final
class Claims:
    """The connections that runs of this instance work on, by secret id. Safe for threads."""

    def __init__(self) -> None:
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def claim(self, key: str) -> bool:
        """Keep other runs of this instance from working on the connection; False where one does already."""
        with self._lock:
            is_free = key not in self._claimed
            self._claimed.add(key)
            return is_free

    def release(self, key: str) -> None:
        """Let other runs work on the connection."""
        with self._lock:
            self._claimed.discard(key)
