"""One pool of threads for the instance, and the one place that says who may begin next.

    for task, result in pool.run(tasks, Priority.DUE, until=deadline):
        ...                               # in the order in which they end; result None = not begun until then

The caller's thread hands out the tasks: it waits for the quota, for a host's pace and for a free thread, so that no
thread of the pool ever waits for another one. Tasks must not use the pool.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, final

from token_refresh.errors import Busy
from token_refresh.instance.pace import Paces
from token_refresh.instance.paced_store import Ledger
from token_refresh.instance.quota import Place, Priority, Quota
from token_refresh.instance.unsaved import UnsavedReplies

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_HOST_SHARE: Final = 4  # one host takes at most this part of the threads while others wait
_ANOTHER_ENDS: Final = -1.0  # what is waited for: not a moment, but the end of a task
_PATIENCE: Final = 0.05  # s, between two looks whether another run's task has ended


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
class Pool:
    """Threads and who may use them. One for the instance's life; safe for threads."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that a task may have to wait for
        self,
        threads: int,
        writes: Quota,
        hosts: Paces,
        unsaved: UnsavedReplies[Any],
        ledger: Ledger,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._threads = max(threads, 1)
        self._writes = writes
        self._hosts = hosts
        self._unsaved = unsaved
        self._ledger = ledger
        self._clock = clock
        self._sleep = sleep
        self._executor: ThreadPoolExecutor | None = None
        self._in_flight: dict[str, int] = {}
        self._single_use = 0
        self._working: set[str] = set()
        self._lock = threading.RLock()
        self._ended = threading.Condition(self._lock)

    def map(self, work: Callable[[_In], _Out], items: Sequence[_In]) -> list[_Out]:
        """Do something for each item, side by side; results in the items' order."""
        if self._threads == 1 or len(items) < 2:  # noqa: PLR2004 - nothing to do side by side
            return [work(item) for item in items]
        return list(self._pool().map(work, items))

    def map_within(self, work: Callable[[_In], _Out], items: Sequence[_In], seconds: float) -> list[tuple[_In, _Out]]:
        """Do something for each item, in threads of their own; return what has ended within so many seconds."""
        if self._threads == 1:
            until = self._clock() + seconds
            return [(item, work(item)) for item in items if self._clock() < until]
        ended: list[tuple[_In, _Out]] = []
        threads = [threading.Thread(target=lambda i=item: ended.append((i, work(i))), daemon=True) for item in items]
        until = time.monotonic() + seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0))
        return list(ended)

    def claim(self, key: str) -> None:
        """Make sure that no other run of this instance works on the same connection; raises `Busy`."""
        with self._lock:
            if key in self._working:
                raise Busy(f"another run is working on {key}")
            self._working.add(key)

    def release(self, key: str) -> None:
        """Let other runs work on the connection."""
        with self._lock:
            self._working.discard(key)

    def run(self, tasks: Iterable[Task], priority: Priority, until: float) -> Iterator[tuple[Task, Any]]:
        """Carry out tasks, first things first; yield each with its result as it ends.

        Nothing is begun after `until`: what is left comes with None.
        """
        lanes = _Lanes(tasks)
        running: dict[Future[Any], Task] = {}
        place = self._writes.place(priority)
        try:
            while lanes or running:
                task, delay = (None, None) if self._clock() >= until else self._next(lanes, place)
                if task is not None:
                    running[self._submit(task)] = task
                elif lanes and (self._clock() >= until or (delay is None and not running)):
                    yield from ((left, None) for left in lanes.drain())
                elif delay == _ANOTHER_ENDS and not running:
                    self._await_another()
                elif delay is not None and not running:
                    self._sleep(max(min(delay, until - self._clock()), 0.0))
                timeout = 0.0 if task is not None and lanes else delay if delay and delay > 0 else None
                for done in self._finished(running, timeout):
                    yield running.pop(done), done.result()
        finally:
            self._writes.leave(place)

    def _next(self, lanes: _Lanes, place: Place) -> tuple[Task | None, float | None]:
        """Return a task that may begin now, or the seconds after which to look again; None = not in this run."""
        delay: float | None = None
        for lane in lanes.in_order():
            task = lane[0]
            may_begin, wait = self._may_begin(task, is_alone=lanes.is_of_one_host())
            if may_begin is None:
                continue
            if not may_begin:
                delay = wait if delay is None else min(delay, wait)
                continue
            wait = self._writes.try_take(place, task.writes)
            if wait:
                return None, wait
            if task.host:
                self._hosts.take(task.host)
            lane.popleft()
            return task, 0.0
        return None, delay

    def _may_begin(self, task: Task, *, is_alone: bool) -> tuple[bool | None, float]:
        if task.is_single_use and self._unsaved.is_failing():
            may_spend = self._unsaved.may_spend()
            if may_spend is None:  # not any more in this run: they stay until its end
                return None, 0.0
            if not may_spend or self._single_use:
                return False, _ANOTHER_ENDS
        most = self._threads if is_alone else max(self._threads // _HOST_SHARE, 1)
        with self._lock:
            if sum(self._in_flight.values()) >= self._threads:
                return False, _ANOTHER_ENDS
            if not task.host:
                return True, 0.0
            if self._in_flight.get(task.host, 0) >= most:
                return False, _ANOTHER_ENDS
        wait = self._hosts.until_free(task.host)
        return (True, 0.0) if wait <= 0 else (False, wait)

    def _submit(self, task: Task) -> Future[Any]:
        with self._lock:
            self._in_flight[task.host] = self._in_flight.get(task.host, 0) + 1
            self._single_use += task.is_single_use
        if self._threads == 1:
            future: Future[Any] = Future()
            try:
                future.set_result(self._work(task))
            except BaseException as fault:  # noqa: BLE001 - told by the result
                future.set_exception(fault)
            return future
        return self._pool().submit(self._work, task)

    def _work(self, task: Task) -> Any:
        counted = [task.writes]
        try:
            with self._ledger.counting() as counted:
                return task.work()
        finally:
            self._writes.give_back(task.writes - counted[0])
            with self._ended:
                self._in_flight[task.host] -= 1
                self._single_use -= task.is_single_use
                self._ended.notify_all()

    def _await_another(self) -> None:
        """Wait for the end of another run's task."""
        if self._threads == 1:
            self._sleep(_PATIENCE)
            return
        with self._ended:
            self._ended.wait(_PATIENCE)

    @staticmethod
    def _finished(running: dict[Future[Any], Task], timeout: float | None) -> list[Future[Any]]:
        if not running:
            return []
        return list(wait_for(running, timeout, FIRST_COMPLETED).done)

    def _pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="token-refresh")
            return self._executor


class _Lanes:
    """Tasks in their order, a lane for each host: a host that must wait holds up no other."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._lanes: dict[tuple[str, bool], deque[Task]] = {}
        self._order: dict[str, int] = {}
        for number, task in enumerate(tasks):
            self._lanes.setdefault((task.host, task.is_single_use), deque()).append(task)
            self._order[task.key] = number

    def is_of_one_host(self) -> bool:
        """Tell whether no other host waits."""
        return len({lane[0].host for lane in self._lanes.values() if lane}) == 1

    def __len__(self) -> int:
        return sum(bool(lane) for lane in self._lanes.values())

    def in_order(self) -> list[deque[Task]]:
        """Return the lanes that are not empty, that of the first task first."""
        return sorted(filter(None, self._lanes.values()), key=lambda lane: self._order[lane[0].key])

    def drain(self) -> list[Task]:
        """Take out all that is left."""
        left = [task for lane in self._lanes.values() for task in lane]
        self._lanes.clear()
        return left
