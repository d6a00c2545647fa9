"""Whose turn it is when a thread is free, among the runs that wait for one.

The contract's order decides (contract 9), and among equals who has the fewest tasks under way, then who came first. But
a priority that has no thread at all goes before one that has some: of several threads each is left one, so that an hour
of orders by name does not keep what is due from its end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, final

from token_refresh.instance.quota import Priority

_ALL: Final = 1 << 30  # threads


@dataclass(slots=True, eq=False)
class Turn:
    """What one run has of the threads."""

    priority: Priority
    under_way: int = 0


@final
class Turns:
    """The runs that wait for a thread, in the order in which they came. Not safe for threads: the pool has a lock."""

    def __init__(self) -> None:
        self._line: dict[Turn, None] = {}
        self._served = Counter[Priority]()  # tasks under way

    def __contains__(self, turn: Turn) -> bool:
        """Tell whether a run waits."""
        return turn in self._line

    def may_take(self, turn: Turn, free: int) -> bool:
        """Tell whether one of so many free threads is for this run; if none is, it waits."""
        came_first = True
        for other in self._line:
            came_first = came_first and other is not turn
            free -= self._claim(other, turn, came_first=came_first)
        if free <= 0:
            self._line[turn] = None
        return free > 0

    def leave(self, turn: Turn) -> bool:
        """Let a run wait no longer; tell whether it did: then those behind it must look again."""
        was_waiting = turn in self._line
        self._line.pop(turn, None)
        return was_waiting

    def begin(self, turn: Turn) -> None:
        """Note that a task of the run has begun."""
        turn.under_way += 1
        self._served[turn.priority] += 1

    def end(self, turn: Turn) -> None:
        """Note that a task of the run has ended."""
        turn.under_way -= 1
        self._served[turn.priority] -= 1

    def _claim(self, other: Turn, turn: Turn, *, came_first: bool) -> int:
        """Return how many free threads another run that waits may have before this one."""
        if other is turn:
            return 0
        if other.priority == turn.priority:
            return other.under_way < turn.under_way or (came_first and other.under_way == turn.under_way)
        is_left_out = not self._served[other.priority]
        if is_left_out == (not self._served[turn.priority]):
            return _ALL if other.priority < turn.priority else 0
        return is_left_out
