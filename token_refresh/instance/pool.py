"""One pool of threads for the instance, and the one place that says who may begin next.

    for task, result in pool.run(tasks, Priority.DUE, until=deadline, beside=others):
        ...                               # in the order in which they end; result None = not begun until then

The caller's thread hands out its tasks: it waits for the quota, a host's pace and a free thread, so that no thread of
the pool ever waits for another one.

1. Whether a task may begin is decided, and what it needs is taken, under one lock: no other run comes in between.
2. A run stands in a line (quota, thread, a host's next slot) only while that is what it waits for: not while it hands
   over a result. At the quota and at a host the contract's order holds.
3. One host has at most a quarter of the threads while a task of another one waits, in this run or another.
4. A task that ends wakes every run; whose turn it is of those that can use the free thread, say the `Turns`.
5. What is `beside` begins while none of the tasks can: a run of its own, last in each line, that leaves them enough.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar, final

from token_refresh.instance.crew import Crew
from token_refresh.instance.lanes import Lanes, Task
from token_refresh.instance.ledger import Account, Ledger
from token_refresh.instance.pace import Paces
from token_refresh.instance.quota import Place, Priority, Quota
from token_refresh.instance.turns import Turn, Turns
from token_refresh.instance.unsaved import UnsavedReplies

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_HOST_SHARE: Final = 4  # one host takes at most this part of the threads while others wait
_CHUNK: Final = 50  # items of a `map` that make a task
_A_MOMENT: Final = 0.05  # s, that a host's slot is left to a run that goes first
_NEVER: Final = float("inf")


@dataclass(slots=True, eq=False)
class _Run:
    """The tasks of one call of `run`: those that wait, and what has ended."""

    lanes: Lanes
    place: Place
    turn: Turn
    until: float
    writes_until: float
    is_at_hosts: bool = False  # it would take a host's slot: it waits for nothing else
    ended: list[tuple[Task, Any, BaseException | None]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Tell whether anything has not begun, has not ended, or has not been handed over."""
        return bool(self.lanes or self.turn.under_way or self.ended)


@final
@dataclass(slots=True, eq=False)
class Pool:
    """Threads and who may use them. One for the instance's life; safe for threads."""

    crew: Crew
    writes: Quota
    hosts: Paces
    unsaved: UnsavedReplies[Any]
    ledger: Ledger
    clock: Callable[[], float]
    # Guarded by the crew's lock:
    _under_way: Counter[str] = field(default_factory=Counter)  # tasks by host
    _waiting: Counter[str] = field(default_factory=Counter)  # likewise, of all runs
    _single_use: int = 0
    # Runs that wait for a host's next slot.
    _at_host: defaultdict[str, set[_Run]] = field(default_factory=lambda: defaultdict(set))
    _turns: Turns = field(default_factory=Turns)

    def map(
        self,
        work: Callable[[_In], _Out],
        items: Sequence[_In],
        priority: Priority = Priority.NAMED,
        until: float = _NEVER,
    ) -> list[_Out]:
        """Do something for each item, side by side; results in the items' order.

        What has no thread until then (epoch seconds) is done by the caller: it waits for none after that.
        """
        self._require_outside()
        if self.crew.size == 1 or len(items) < 2:  # noqa: PLR2004 - nothing to do side by side
            return [work(item) for item in items]

        def do(begin: int) -> list[_Out]:
            return [work(item) for item in items[begin : begin + chunk]]

        chunk = min(-(-len(items) // self.crew.size), _CHUNK)
        tasks = [Task(str(n), "", 0, is_single_use=False, work=partial(do, n)) for n in range(0, len(items), chunk)]
        done = {task.key: result for task, result in self.run(tasks, priority, until)}
        return [out for task in tasks for out in done[task.key] or task.work()]

    def map_within(self, work: Callable[[_In], _Out], items: Sequence[_In], seconds: float) -> list[tuple[_In, _Out]]:
        """Do something for each item, beside the tasks; return what has ended within so many seconds."""
        return self.crew.map_within(work, items, seconds)

    def within(self, until: float) -> AbstractContextManager[object]:
        """Let no wait for the quota end later (epoch seconds) in what this thread does, and in the tasks it runs."""
        return self.ledger.keep(Account(until))

    def run(
        self, tasks: Sequence[Task], priority: Priority, until: float, beside: Sequence[Task] = ()
    ) -> Iterator[tuple[Task, Any]]:
        """Carry out tasks, first things first; yield each with its result as it ends.

        Nothing is begun after `until` (epoch seconds): what is left comes with None. What is `beside` has no result,
        and does not begin when all tasks have ended. A task must not use the pool: it would wait for the thread that
        it has. Raises `RuntimeError` then.
        """
        self._require_outside()
        return self._carry_out(self._open(tasks, priority, until), self._open(beside, Priority.DESTROY, until))

    def _open(self, tasks: Sequence[Task], priority: Priority, until: float) -> _Run:
        place = self.writes.place(priority)
        return _Run(Lanes(tasks), place, Turn(priority), until, self.ledger.account.until)

    def _carry_out(self, run: _Run, beside: _Run) -> Iterator[tuple[Task, Any]]:
        with self.crew.lock:
            for host, number in run.lanes.hosts():
                self._count_waiting(run, host, number)
        try:
            while run.is_open or beside.turn.under_way:
                if not run.is_open:
                    beside.lanes.drain()
                for task, result, fault in self._go_on(run, beside):
                    if fault is not None:
                        raise fault
                    yield task, result
        finally:
            with self.crew.lock:
                self._give_up(run, run.lanes.drain())
                self._step_back(run, beside)

    def _go_on(self, run: _Run, beside: _Run) -> list[tuple[Task, Any, BaseException | None]]:
        """Begin a task, or wait until one may begin or has ended; return what has ended."""
        with self.crew.lock:
            begins, (task, delay) = run, self._next(run)
            if task is None and not run.ended:
                begins, (task, sooner) = beside, self._next(beside)
                if task is None:
                    # Who stands behind others for a thread is woken by them, even if nothing is under way yet.
                    is_behind = run.turn in self._turns or beside.turn in self._turns
                    self.crew.wait(min(delay, sooner), is_idle=not (is_behind or self._under_way.total()))
        if task is not None:
            self.crew.start(partial(self._work, begins, task))
        with self.crew.lock:
            ended = [*run.ended, *(end for end in beside.ended if end[2])]  # of those beside only what they raised
            run.ended, beside.ended = [], []
            if ended:
                self._step_back(run, beside)
            return ended

    def _next(self, run: _Run) -> tuple[Task | None, float]:
        """Take a task that may begin now, and all that it needs; else return the seconds after which to look again."""
        now, lanes, may_spend = self.clock(), run.lanes, self._may_spend()
        run.is_at_hosts = True
        if now >= run.until:
            self._give_up(run, lanes.drain())
        elif may_spend is None:  # not any more in this run
            self._give_up(run, lanes.drain(single_use_only=True))
        if not lanes:
            self._step_back(run)
            return None, _NEVER
        if not self._has_thread(run):
            return None, run.until - now
        lanes.wake(now, self._has_room)
        while lane := lanes.first(may_spend=bool(may_spend)):
            task = lane.task
            if not self._has_room(task.host):
                self._need_no_slot(run, task.host)
                lanes.park(lane)
            elif delay := self._until_slot(run, task.host):
                lanes.delay(lane, now + delay)
            elif delay := self.writes.try_take(run.place, task.writes) if task.writes else 0.0:
                self._need_no_thread(run)
                run.is_at_hosts = False
                return None, min(delay, run.until - now)
            else:
                self._begin(run, lanes.take(lane))
                return task, 0.0
        self.writes.leave(run.place)
        self._need_no_thread(run)
        return None, min(run.until, lanes.next_moment()) - now

    def _may_spend(self) -> bool | None:
        """Tell whether a single-use refresh token may be spent now; None = not any more in this run."""
        if not self.unsaved.failing():
            return True
        may_spend = self.unsaved.may_spend()
        return may_spend and not self._single_use

    def _has_thread(self, run: _Run) -> bool:
        """Tell whether a thread is free for this run; if none is, the run waits for one, and for nothing else."""
        if self._turns.may_take(run.turn, self.crew.size - self._under_way.total()):
            return True
        self.writes.leave(run.place)
        run.is_at_hosts = False
        return False

    def _step_back(self, *runs: _Run) -> None:
        """Stand in no line."""
        for run in runs:
            self.writes.leave(run.place)
            self._need_no_thread(run)
            run.is_at_hosts = False

    def _need_no_thread(self, run: _Run) -> None:
        if self._turns.leave(run.turn):
            self.crew.wake()

    def _until_slot(self, run: _Run, host: str) -> float:
        """Return the seconds until the run may have the host's next slot, and let it wait for that; 0 = now."""
        if not host:
            return 0.0
        delay, line = self.hosts[host].until_free(), self._at_host.get(host, ())
        if not delay and any(other.is_at_hosts and other.place.rank < run.place.rank for other in line):
            delay = _A_MOMENT
        if delay:
            self._at_host[host].add(run)
        return delay

    def _need_no_slot(self, run: _Run, host: str) -> None:
        """Wait for a host's next slot no longer."""
        self._at_host[host].discard(run)
        if not self._at_host[host]:
            del self._at_host[host]

    def _has_room(self, host: str) -> bool:
        is_alone = not host or len(self._waiting) < 2  # noqa: PLR2004 - no other host waits
        return is_alone or self._under_way[host] < max(self.crew.size // _HOST_SHARE, 1)

    def _begin(self, run: _Run, task: Task) -> None:
        if task.host:
            self.hosts[task.host].take()
            self._need_no_slot(run, task.host)
        self._need_no_thread(run)
        self._count_waiting(run, task.host, -1)
        self._under_way[task.host] += 1
        self._single_use += task.is_single_use
        self._turns.begin(run.turn)

    def _give_up(self, run: _Run, tasks: Iterable[Task]) -> None:
        """Let tasks end that have not begun."""
        for task in tasks:
            self._need_no_slot(run, task.host)
            self._count_waiting(run, task.host, -1)
            run.ended.append((task, None, None))

    def _count_waiting(self, run: _Run, host: str, number: int) -> None:
        """Count tasks that wait for a host; what goes last leaves no host fewer threads."""
        if run.place.priority < Priority.DESTROY:
            self._waiting[host] += number
            if not self._waiting[host]:
                del self._waiting[host]

    def _work(self, run: _Run, task: Task) -> None:
        result, fault = None, None
        with self.ledger.keep(Account(run.writes_until, is_task=True, reserved=task.writes)) as account:
            try:
                result = task.work()
            except BaseException as raised:  # noqa: BLE001 - told to the run, in its own thread
                fault = raised
        self.writes.give_back(max(account.reserved - account.writes, 0))
        with self.crew.lock:
            self._under_way[task.host] -= 1
            if not self._under_way[task.host]:
                del self._under_way[task.host]
            self._single_use -= task.is_single_use
            self._turns.end(run.turn)
            run.ended.append((task, result, fault))
            self.crew.wake()

    def _require_outside(self) -> None:
        if self.ledger.account.is_task:
            raise RuntimeError("a task of the pool must not use the pool: it would wait for the thread that it has")
