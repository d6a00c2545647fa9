"""The pace of calls that share a project's quota: a bucket that fills evenly, and an order among those who wait.

    place = quota.place(Priority.DUE)
    delay = quota.try_take(place, 6)      # 0.0 = granted; else seconds after which it is worth asking again

What saves a reply never waits: it is charged, and leaves a debt that the others work off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, final

_BURST_SECONDS: Final = 10.0
_CLEAN_SHARE: Final = 1 / 20
_SHORTEST: Final = 0.01  # s, between two questions
_LONGEST: Final = 1.0  # s, before one behind others asks again: those in front may have gone
_LEFT_TO_OTHERS: Final = 6  # writes that the largest refresh needs: what is destroyed does not make it wait


class Priority(IntEnum):
    """Who goes first (contract 9)."""

    NAMED = 0  # runs that name connections
    VERDICT = 1
    DUE = 2
    DESTROY = 3
    CLEAN = 4


@dataclass(slots=True, eq=False)
class Place:
    """A place in the line; `number` says who came first, `calls` what is wanted."""

    priority: Priority
    number: int
    calls: int = 0

    @property
    def leaves(self) -> int:
        """Return what the bucket must hold besides."""
        return _LEFT_TO_OTHERS if self.priority == Priority.DESTROY else 0

    @property
    def rank(self) -> tuple[int, int]:
        """Return the order among those who wait."""
        return (self.priority, self.number)


@final
class Quota:
    """So many calls a minute, over all threads of this process. `clock` is monotonic and in seconds.

    A request larger than the burst (10 s worth) is granted when the bucket is full and leaves a debt. `begins_full`:
    whether the first burst may be spent at once; otherwise one second's worth.
    """

    def __init__(
        self,
        per_minute: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        *,
        begins_full: bool = True,
    ) -> None:
        self._rate = per_minute / 60
        self._burst = max(self._rate * _BURST_SECONDS, 1.0)
        self._clock = clock
        self._sleep = sleep
        self._level = self._burst if begins_full else max(self._rate, 1.0)
        self._clean_level = 1.0
        self._filled_at = clock()
        self._line: list[Place] = []
        self._places = 0
        self._lock = threading.Lock()

    def place(self, priority: Priority) -> Place:
        """Return a place in the line, to be left when there is nothing more to ask for."""
        with self._lock:
            self._places += 1
            return Place(priority, self._places)

    def try_take(self, place: Place, calls: int) -> float:
        """Take `calls` if it is this place's turn; return 0, or the seconds after which to ask again."""
        with self._lock:
            self._fill()
            place.calls = calls
            if place not in self._line:
                self._line.append(place)
            rank = self._rank(place)
            ahead = [p.calls for p in self._line if self._rank(p) < rank]
            missing = min(calls + place.leaves, self._burst) - self._level
            if not ahead:
                return max(missing / self._rate, _SHORTEST) if missing > 0 else self._grant(place)
            return min(max((missing + sum(ahead)) / self._rate, _SHORTEST), _LONGEST)

    def leave(self, place: Place) -> None:
        """Stand in the line no longer."""
        with self._lock:
            self._remove(place)

    def take(self, calls: int, priority: Priority, within: float = float("inf")) -> bool:
        """Wait for `calls`, but not longer than `within` (seconds); False when it would take longer."""
        place = self.place(priority)
        until = self._clock() + within
        try:
            while delay := self.try_take(place, calls):
                if self._clock() + delay > until:
                    return False
                self._sleep(delay)
        finally:
            self.leave(place)
        return True

    def charge(self, calls: int = 1) -> None:
        """Note calls that waited for nothing."""
        with self._lock:
            self._fill()
            self._level -= calls

    def give_back(self, calls: int) -> None:
        """Return calls that were taken and not made."""
        with self._lock:
            self._level = min(self._level + calls, self._burst)

    def slow_down(self) -> None:
        """Empty the bucket: the service says that the project's quota is used up."""
        with self._lock:
            self._fill()
            self._level = min(self._level, -self._burst)

    def _rank(self, place: Place) -> tuple[int, int]:
        """Return the order among those who wait: cleaning is last, but its twentieth goes before all others."""
        if place.priority == Priority.CLEAN and self._clean_level >= place.calls:
            return (-1, place.number)
        return place.rank

    def _grant(self, place: Place) -> float:
        self._level -= place.calls
        if place.priority == Priority.CLEAN:
            self._clean_level -= min(place.calls, self._clean_level)
        self._remove(place)
        return 0.0

    def _remove(self, place: Place) -> None:
        if place in self._line:
            self._line.remove(place)

    def _fill(self) -> None:
        now = self._clock()
        passed = max(now - self._filled_at, 0.0)
        self._filled_at = now
        self._level = min(self._level + passed * self._rate, self._burst)
        clean_burst = max(self._burst * _CLEAN_SHARE, 1.0)
        self._clean_level = min(self._clean_level + passed * self._rate * _CLEAN_SHARE, clean_burst)
