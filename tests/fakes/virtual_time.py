"""Time that passes only where something waits for it, and as many who wait at once as there are.

    time = VirtualTime()
    time.play(lambda: time.sleep(10), lambda: time.sleep(10))     # at once; ten seconds have passed

Programs are greenlets: one runs at a time, and gives way only where it sleeps. So everything is played the same way
each time, an hour takes as long as the work done in it, and ten thousand connections need no thread.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

from tests.fakes.instance import FrozenClock
from token_refresh.instance.crew import Crew

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(eq=False, slots=True)
class _Sleeper:
    program: Any
    is_awake: bool = False


class VirtualTime(FrozenClock):
    """A clock, and the programs that wait by it. Outside of `play` it only moves on when it is told to."""

    def __init__(self, now: float = 0.0) -> None:
        super().__init__()
        self.now = now or self.now
        self._sleepers: list[tuple[float, int, _Sleeper]] = []
        self._numbers = itertools.count()
        self._hub: Any = None
        self._faults: list[BaseException] = []

    def play(self, *programs: Callable[[], Any]) -> None:
        """Carry out programs side by side, and all that they start; raises what one of them raises."""
        assert self._hub is None, "a play within a play"
        self._hub = getcurrent()
        try:
            for program in programs:
                self.start(program)
            while self._sleepers:
                at, _, sleeper = heapq.heappop(self._sleepers)
                if not sleeper.is_awake:
                    assert at != float("inf"), "they wait for each other"
                    sleeper.is_awake = True
                    self.now = max(self.now, at)
                    sleeper.program.switch()
                    if self._faults:
                        raise self._faults[0]
        finally:
            self._hub = None
            self._sleepers.clear()

    def start(self, program: Callable[[], Any]) -> None:
        """Let a program begin."""

        def guarded() -> None:
            try:
                program()
            except BaseException as fault:  # noqa: BLE001 - told to whoever plays
                self._faults.append(fault)

        self.wake_at(self.now, _Sleeper(greenlet(guarded, self._hub)))

    def sleep(self, seconds: float) -> None:
        if self._hub is None or getcurrent() is self._hub:
            self.advance(seconds)
        else:
            self.wait(_Sleeper(getcurrent()), seconds)

    def wait(self, sleeper: _Sleeper, seconds: float) -> None:
        """Let the current program sleep for so long, unless it is woken before."""
        self.wake_at(self.now + max(seconds, 0.0), sleeper)
        self._hub.switch()

    def wake_at(self, moment: float, sleeper: _Sleeper) -> None:
        heapq.heappush(self._sleepers, (moment, next(self._numbers), sleeper))


class VirtualCrew(Crew):
    """So many workers of a pool, by virtual time."""

    def __init__(self, size: int, time: VirtualTime) -> None:
        self.size = size
        self.time = time
        self.lock = threading.RLock()  # nobody gives way while it is held, except in `wait`
        self.most = 0  # workers that were busy at once
        self._busy = 0
        self._waiting: list[_Sleeper] = []

    def start(self, work: Callable[[], None]) -> None:
        def counted() -> None:
            self._busy += 1
            self.most = max(self.most, self._busy)
            work()
            self._busy -= 1

        self.time.start(counted)

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for sleeper in waiting:
            self.time.wake_at(self.time.now, sleeper)

    def wait(self, seconds: float, *, is_idle: bool) -> None:
        sleeper = _Sleeper(getcurrent())
        if not is_idle:
            self._waiting.append(sleeper)
        self.time.wait(sleeper, seconds)

    def map_within(self, work: Callable[[_In], _Out], items: Sequence[_In], seconds: float) -> list[tuple[_In, _Out]]:
        until = self.time() + seconds
        return [(item, work(item)) for item in items if self.time() < until]
