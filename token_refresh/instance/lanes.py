"""Tasks in their order, a lane for each host: a host that must wait holds up no other.

    lanes.wake(now, has_room)
    while lane := lanes.first(may_spend=True):
        lanes.take(lane)             # or: lanes.delay(lane, moment), lanes.park(lane)

Only lanes that may have something to begin are looked at, so a run over ten thousand hosts costs what one host costs.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, final


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do for one connection: the host it talks to ("" = none), and the writes that it needs.

    `is_single_use`: it spends a refresh token that can be spent once.
    """

    key: str
    host: str
    writes: int
    is_single_use: bool
    work: Callable[[], Any] = field(repr=False)


@final
@dataclass(slots=True, eq=False)
class Lane:
    """The tasks of one host, each with its number in the order of all; those of single use have a lane of their own."""

    host: str
    is_single_use: bool
    tasks: deque[tuple[int, Task]] = field(default_factory=deque)

    def __lt__(self, other: Lane) -> bool:
        return self.tasks[0][0] < other.tasks[0][0]

    @property
    def task(self) -> Task:
        """Return the first task."""
        return self.tasks[0][1]


@final
class Lanes:
    """All tasks of a run that have not begun. A lane is ready, or waits for a moment, or for room at its host."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        lanes: dict[tuple[str, bool], Lane] = {}
        self._left = 0
        for number, task in enumerate(tasks):
            key = (task.host, task.is_single_use)
            lane = lanes.get(key) or lanes.setdefault(key, Lane(*key))
            lane.tasks.append((number, task))
            self._left += 1
        self._ready: dict[bool, list[Lane]] = {False: [], True: []}
        self._delayed: list[tuple[float, Lane]] = []
        self._parked: list[Lane] = []
        for lane in lanes.values():
            self._ready[lane.is_single_use].append(lane)  # in order, which is a heap

    def __len__(self) -> int:
        """Return the number of tasks that have not begun."""
        return self._left

    def hosts(self) -> Iterable[tuple[str, int]]:
        """Return how many tasks wait for each host."""
        return [(lane.host, len(lane.tasks)) for lane in self._all()]

    def first(self, *, may_spend: bool) -> Lane | None:
        """Return the ready lane with the first task; those of single use only where they `may_spend`."""
        heads = [ready[0] for single, ready in self._ready.items() if ready and (may_spend or not single)]
        return min(heads, default=None)

    def take(self, lane: Lane) -> Task:
        """Take the first task out of a ready lane."""
        self._leave(lane)
        self._left -= 1
        task = lane.tasks.popleft()[1]
        if lane.tasks:
            self._enter(lane)
        return task

    def delay(self, lane: Lane, moment: float) -> None:
        """Let a ready lane wait for a moment."""
        self._leave(lane)
        heapq.heappush(self._delayed, (moment, lane))

    def park(self, lane: Lane) -> None:
        """Let a ready lane wait for room at its host."""
        self._leave(lane)
        self._parked.append(lane)

    def wake(self, now: float, has_room: Callable[[str], bool]) -> None:
        """Make ready what has waited for this moment, or has room again."""
        while self._delayed and self._delayed[0][0] <= now:
            self._enter(heapq.heappop(self._delayed)[1])
        parked, self._parked = self._parked, []
        for lane in parked:
            if has_room(lane.host):
                self._enter(lane)
            else:
                self._parked.append(lane)

    def next_moment(self) -> float:
        """Return the first moment that a lane waits for; infinity when none waits for a moment."""
        return self._delayed[0][0] if self._delayed else float("inf")

    def drain(self, *, single_use_only: bool = False) -> list[Task]:
        """Take out all that is left, in order."""
        out = [lane for lane in self._all() if lane.is_single_use or not single_use_only]
        self._ready[True] = []
        if not single_use_only:
            self._ready[False] = []
        self._delayed = [e for e in self._delayed if single_use_only and not e[1].is_single_use]
        heapq.heapify(self._delayed)
        self._parked = [lane for lane in self._parked if single_use_only and not lane.is_single_use]
        tasks = [task for _, task in sorted((entry for lane in out for entry in lane.tasks), key=lambda e: e[0])]
        self._left -= len(tasks)
        return tasks

    def _all(self) -> list[Lane]:
        return [*self._ready[False], *self._ready[True], *(lane for _, lane in self._delayed), *self._parked]

    def _enter(self, lane: Lane) -> None:
        heapq.heappush(self._ready[lane.is_single_use], lane)

    def _leave(self, lane: Lane) -> None:
        left = heapq.heappop(self._ready[lane.is_single_use])
        assert left is lane  # noqa: S101 - the first of its kind
