"""The search: every schedule of a scene in the order of how much goes otherwise, as far as time or number allow."""

from __future__ import annotations

import itertools
import logging
import random
import re
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final

from tests.explorer import quiet_day
from tests.explorer.deviations import Budget, Deviations, Fault, actor_of, number_of
from tests.explorer.scenes import SCENES, Scene
from tests.explorer.scheduler import Scheduler
from tests.explorer.stage import Stage

MOST: Final = Budget(switches=3, faults=1)
# What is explored first: (switches, faults).
ORDER: Final = ((0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (3, 0), (2, 1), (3, 1))


@dataclass(frozen=True, slots=True)
class Failure:
    """A schedule after which something did not hold."""

    number: int
    scene: str
    deviations: Deviations
    faults: tuple[str, ...]


@dataclass(slots=True)
class Kind:
    """Failures that are the same but for the names of the instances and the way there."""

    faults: tuple[str, ...]
    count: int = 0
    scenes: list[str] = field(default_factory=list)
    shortest: int = 0


def kinds_of(failures: Sequence[Failure]) -> list[Kind]:
    """Group failures, the most frequent first; the shortest schedule has the smallest number."""
    kinds: dict[tuple[str, ...], Kind] = {}
    for failure in failures:
        words = tuple(dict.fromkeys(re.sub(r"\b[AB]\b", "one", re.sub(r"\d+", "N", f)) for f in failure.faults))
        kind = kinds.setdefault(words, Kind(words))
        kind.count += 1
        if failure.scene not in kind.scenes:
            kind.scenes.append(failure.scene)
        kind.shortest = min(kind.shortest or failure.number, failure.number)
    return sorted(kinds.values(), key=lambda k: -k.count)


@dataclass(slots=True)
class Found:
    """What a search has come to."""

    schedules: int = 0
    merged: int = 0  # cut short: they had come to a state that was explored before
    left: Counter[tuple[int, int]] = field(default_factory=Counter)  # not explored, as far as known
    done: Counter[tuple[int, int]] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


@dataclass(slots=True)
class Played:
    """One schedule as it was played."""

    stage: Stage
    scheduler: Scheduler
    faults: tuple[str, ...]


def play(
    scene: Scene,
    deviations: Deviations = (),
    *,
    budget: Budget = MOST,
    seen: dict[int, Budget] | None = None,
    whole: bool = False,
) -> Played:
    """Play one schedule and the quiet day after it, and judge it; inside `quiet` only."""
    with known_ids() as ids:
        stage = scene.open()
        scheduler = Scheduler(stage.clock, dict(deviations), budget, seen)
        scheduler.add(*scene.cast(stage))
        ids.scheduler = scheduler
        stage.play(scheduler)
        ids.scheduler = None
        if scheduler.is_merged:
            return Played(stage, scheduler, ())
        quiet_day.live(stage, whole=whole)
        return Played(stage, scheduler, tuple(stage.books.judge()))


class Search:
    """All schedules of one scene, one after another."""

    def __init__(self, index: int, scene: Scene, order: Sequence[tuple[int, int]] = ORDER) -> None:
        self.index, self.scene, self.order = index, scene, order
        self.found = Found()
        self.budget = Budget(max(s for s, _ in order), max(f for _, f in order))
        self.only: frozenset[Fault] = frozenset(Fault)  # what may go wrong
        self.is_thorough = False  # plays every schedule to its end, whatever it leads to
        self._seen: dict[int, Budget] = {}
        self._waiting: dict[tuple[int, int], deque[Deviations]] = {c: deque() for c in order}
        self._waiting[0, 0].append(())
        self._dice = random.Random(index)

    def explore(self, most: int, until: float) -> Found:
        """Go on until all is explored, `most` schedules are, or the time of this process is over."""
        for of_class in self.order:
            waiting = self._waiting[of_class]
            self._dice.shuffle(waiting)  # what is left out when time ends is spread over the scene
            while waiting and self.found.schedules < most and self._has_time(until):
                self._play(waiting.pop(), of_class)
        self.found.left = Counter({c: len(w) for c, w in self._waiting.items() if w})
        return self.found

    def _has_time(self, until: float) -> bool:
        # A look at the clock may cost a tenth of a schedule.
        return self.found.schedules % 16 != 0 or time.process_time() < until

    def _play(self, deviations: Deviations, of_class: tuple[int, int]) -> None:
        played = play(self.scene, deviations, budget=self.budget, seen=None if self.is_thorough else self._seen)
        self.found.schedules += 1
        self.found.done[of_class] += 1
        self.found.merged += played.scheduler.is_merged
        if played.faults:
            number = number_of(self.index, deviations)
            self.found.failures.append(Failure(number, self.scene.name, deviations, played.faults))
        for child, child_class in self._children(played.scheduler, deviations, of_class):
            self._waiting[child_class].append(child)

    def _children(
        self, scheduler: Scheduler, deviations: Deviations, of_class: tuple[int, int]
    ) -> Iterator[tuple[Deviations, tuple[int, int]]]:
        first = deviations[-1][0] + 1 if deviations else 0
        switches, faults = of_class
        for number, step in enumerate(scheduler.steps[first:256], first):
            for choice in (*step.choices, *step.faults):
                is_switch = actor_of(choice) is not None
                cost = (0, 0) if step.is_free else (1, 0) if is_switch else (0, 1)
                child_class = (switches + cost[0], faults + cost[1])
                is_wanted = is_switch or choice in self.only
                if is_wanted and child_class in self._waiting:
                    yield (*deviations, (number, int(choice))), child_class


class Ids:
    """Random ids that are the same in each replay, and do not depend on who came first."""

    def __init__(self) -> None:
        self.scheduler: Scheduler | None = None
        self._numbers = itertools.count(1)
        self._own: Counter[int] = Counter()

    def __call__(self) -> int:
        if self.scheduler is None:
            return next(self._numbers)
        index = self.scheduler.current.index
        self._own[index] += 1
        return (index + 1) * 1_000_000 + self._own[index]


@contextmanager
def known_ids() -> Iterator[Ids]:
    """Make random ids the same in each replay."""
    ids = Ids()
    before, uuid.uuid4 = uuid.uuid4, lambda: uuid.UUID(int=ids())
    try:
        yield ids
    finally:
        uuid.uuid4 = before


def explore(
    schedules: int, seconds: float, scenes: Sequence[Scene] = SCENES, processes: int = 1
) -> tuple[Found, dict[str, Found]]:
    """Explore all scenes, each with its share, for so many seconds of each process."""
    indexes = [SCENES.index(scene) for scene in scenes]
    parts = [indexes[n::processes] for n in range(min(processes, len(indexes)))]
    jobs = [(part, schedules * len(part) // len(indexes), seconds) for part in parts]
    if len(jobs) == 1:
        explored = [_explore_some(*jobs[0])]
    else:
        with ProcessPoolExecutor(len(jobs), get_context("spawn")) as pool:
            explored = list(pool.map(_explore_some, *zip(*jobs, strict=True)))
    together = {index: found for one in explored for index, found in one.items()}
    by_scene = {SCENES[index].name: together[index] for index in indexes}
    total = Found()
    for found in by_scene.values():
        total.schedules += found.schedules
        total.merged += found.merged
        total.left += found.left
        total.done += found.done
        total.failures += found.failures
    return total, by_scene


def _explore_some(indexes: Sequence[int], schedules: int, seconds: float) -> dict[int, Found]:
    """Explore scenes one after another; what one leaves over goes to the next."""
    logging.disable(logging.CRITICAL)
    began, explored = time.process_time(), dict[int, Found]()
    try:
        for place, index in enumerate(indexes):
            share = (schedules - sum(f.schedules for f in explored.values())) // (len(indexes) - place)
            until = began + seconds * (place + 1) / len(indexes)
            explored[index] = Search(index, SCENES[index]).explore(share, until)
    finally:
        logging.disable(logging.NOTSET)
    return explored
