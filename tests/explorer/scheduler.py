"""A deterministic scheduler: it takes over at every call of a port, and one actor runs at a time.

Actors are greenlets that give way only here. Time is virtual and stands still but for sleeps and freezes. Without
deviations an actor runs until it ends or sleeps, then the next one in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from greenlet import greenlet

from tests.explorer.deviations import FAULTS, FREEZES, Budget, Fault, actor_of, switch_to
from tests.fakes.faults import Crash
from tests.fakes.instance import FrozenClock


@dataclass(eq=False, slots=True)
class Life:
    """A process. One run at a time, for its locks know nothing of greenlets."""

    name: str
    dead: bool = False
    busy: bool = False


class Host(Protocol):
    """What an actor runs on."""

    name: str
    life: Life


@dataclass(eq=False, slots=True)
class Actor:
    """Somebody who acts; `program` makes the calls."""

    name: str
    program: Callable[[], None]
    host: Host | None = None
    after: Actor | None = None  # begins when that one has ended
    index: int = 0
    history: int = 0  # hash of all that it has been told
    wake_at: float | None = None
    life: Life | None = None
    is_out: bool = False  # frozen, or time passed while it had something to do
    begun: bool = False
    ended: bool = False
    task: Any = None

    def is_ready(self, now: float) -> bool:
        if self.ended or (self.wake_at is not None and self.wake_at > now):
            return False
        return self.begun or self.may_begin()

    def may_begin(self) -> bool:
        return not (self.after and not self.after.ended) and not (
            self.host and self.host.life.busy and not self.host.life.dead
        )


@dataclass(frozen=True, slots=True)
class Step:
    """A point of a schedule: who was about to do what, and what could have happened instead."""

    actor: str
    operation: str
    target: str
    at: float
    choices: tuple[int, ...]  # of actors, each costs a switch unless `is_free`
    faults: tuple[Fault, ...]
    is_free: bool


@dataclass(eq=False)
class Scheduler:
    """Runs one schedule."""

    clock: FrozenClock
    deviations: Mapping[int, int]
    budget: Budget
    seen: dict[int, Budget] | None = None  # what has been explored from where; None: run to the end whatever it is
    on_freeze: Callable[[Actor, float], None] = lambda *_: None
    steps: list[Step] = field(default_factory=list)
    log: list[tuple[float, str, str]] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)
    is_over: bool = False
    is_merged: bool = False  # the state had been explored already, with at least as much left to deviate
    _objects: dict[str, int] = field(default_factory=dict)
    _sum: int = 0  # of the histories of all objects
    _left: Budget = field(init=False)
    _last: int = field(init=False)
    _hub: Any = None
    _current: Actor | None = None
    _chosen: Actor | None = None

    def __post_init__(self) -> None:
        self._left = self.budget
        self._last = max(self.deviations, default=-1)

    def add(self, *actors: Actor) -> None:
        for actor in actors:
            actor.index = len(self.actors)
            actor.history = hash(actor.name)
            self.actors.append(actor)

    def note(self, words: str) -> None:
        """Note something for the story."""
        self.log.append((self.clock(), self._current.name if self._current else "-", words))

    @property
    def current(self) -> Actor:
        assert self._current
        return self._current

    def out(self) -> set[Life]:
        """Return the processes that have lost time: frozen, or slow."""
        return {a.life for a in self.actors if a.life and a.is_out and not a.ended}

    # -- the loop ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run all actors to their end, or until the rest is known."""
        self._hub = greenlet.getcurrent()
        try:
            while not self.is_over and (actor := self._next()) is not None:
                self._resume(actor)
        except Crash:
            assert self.is_merged
        finally:
            self.is_over = True
            for actor in self.actors:
                if actor.task and not actor.ended:
                    self._current = actor
                    actor.task.throw(Crash)
            self._current = None

    def _next(self) -> Actor | None:
        while True:
            chosen, self._chosen = self._chosen, None
            if chosen is not None:
                return chosen
            ready = [a for a in self.actors if a.is_ready(self.clock())]
            if len(ready) == 1:
                return ready[0]
            if ready:
                choice = self._decide(ready[0], "begins or goes on", "", tuple(a.index for a in ready[1:]), ())
                other = None if choice is None else actor_of(choice)
                return ready[0] if other is None else self.actors[other]
            waking = [
                a.wake_at for a in self.actors if not a.ended and a.wake_at is not None and (a.begun or a.may_begin())
            ]
            if not waking:
                return None
            self.clock.now = max(self.clock.now, min(waking))

    def _resume(self, actor: Actor) -> None:
        if actor.wake_at is not None:
            if actor.wake_at > self.clock.now:
                for other in self.actors:
                    other.is_out = other.is_out or (other.begun and other.is_ready(self.clock.now))
                self.clock.now = actor.wake_at
            actor.wake_at = None
        actor.is_out = False
        if not actor.begun:
            actor.begun = True
            if actor.host:
                actor.life = actor.host.life
                actor.life.busy = True
            actor.task = greenlet(self._live)
            self._current = actor
            actor.task.switch(actor)
        else:
            self._current = actor
            actor.task.switch()

    def _live(self, actor: Actor) -> None:
        try:
            actor.program()
        except Crash:
            pass
        finally:
            actor.ended = True
            if actor.life:
                actor.life.busy = False

    def _yield(self) -> None:
        """Let others run; comes back when this actor's turn has come again."""
        me = self.current
        self._hub.switch()
        if self.is_over or (me.life and me.life.dead):
            raise Crash

    # -- points --------------------------------------------------------------------------------------------------------

    def _decide(
        self, actor: Actor, operation: str, target: str, others: Sequence[int], faults: Sequence[Fault]
    ) -> int | None:
        number = len(self.steps)
        is_free = operation == "begins or goes on"
        if self.seen is not None and number > self._last:
            key = hash(
                (
                    actor.index,
                    is_free,
                    self.clock.now,
                    tuple([(a.history, a.wake_at, a.begun, a.ended) for a in self.actors]),
                    self._sum,
                )
            )
            known = self.seen.get(key)
            if known and known.covers(self._left):
                self.is_over = self.is_merged = True
                raise Crash
            self.seen[key] = self._left
        choices = tuple(switch_to(i) for i in others)
        self.steps.append(Step(actor.name, operation, target, self.clock.now, choices, tuple(faults), is_free))
        choice = self.deviations.get(number)
        if choice is not None and not is_free:
            is_switch = actor_of(choice) is not None
            self._left = Budget(self._left.switches - is_switch, self._left.faults - (not is_switch))
        return choice

    def point(self, operation: str, target: str, kind: str = "") -> Fault | None:
        """Stand before a call: others may come first, and something may go wrong with it; returns what."""
        me = self.current
        if self.is_over:
            raise Crash
        faults: Sequence[Fault] = FAULTS.get(kind or operation, ()) if me.host else ()
        while True:
            others = [a.index for a in self.actors if a is not me and self._may_come_first(a)]
            choice = self._decide(me, operation, target, others, faults)
            other = None if choice is None else actor_of(choice)
            if other is None:
                me.history = hash((me.history, operation, target, choice))
                if choice is None:
                    return None
                self.note(f"*** {Fault(choice).name.lower().replace('_', ' ')} at: {operation} {target}")
                return Fault(choice)
            self._chosen = self.actors[other]
            self._yield()

    def _may_come_first(self, actor: Actor) -> bool:
        return not actor.ended and (actor.begun or actor.may_begin())

    def sleep(self, seconds: float) -> None:
        me = self.current
        me.wake_at = self.clock.now + seconds
        me.history = hash((me.history, "sleep", seconds))
        self._yield()

    def freeze(self, fault: Fault) -> None:
        me, seconds = self.current, FREEZES[fault]
        me.wake_at, me.is_out = self.clock.now + seconds, True
        self.on_freeze(me, seconds)
        self._yield()
        self.note(f"*** wakes up after {seconds:.0f} s")

    # -- who has seen what: equal histories are equal states -----------------------------------------------------------

    def reads(self, *objects: str, what: object) -> None:
        """Note that the current actor is told something that depends on these objects."""
        me = self.current
        me.history = hash((me.history, what, *[self._objects.get(o, 0) for o in objects]))

    def writes(self, obj: str, *, judged: bool = False) -> None:
        """Note that the current actor changes an object; `judged`: the books compare it with everything else."""
        old = self._objects.get(obj, 0)
        new = hash((old, self.current.history, self._sum if judged else 0))
        self._objects[obj] = new
        self._sum += hash((obj, new)) - hash((obj, old))
