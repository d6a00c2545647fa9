"""A pool by virtual time, for tests of who may begin when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.virtual_time import VirtualCrew, VirtualTime
from token_refresh.instance.lanes import Task
from token_refresh.instance.ledger import Ledger
from token_refresh.instance.pace import Paces
from token_refresh.instance.pool import Pool
from token_refresh.instance.quota import Priority, Quota
from token_refresh.instance.unsaved import UnsavedReplies

NEVER = float("inf")


def nothing() -> None:
    return


@dataclass
class Stage:
    """A pool by virtual time: `began` and `ended` say when each task did, in seconds after the beginning."""

    threads: int = 4
    writes_per_minute: float = 1e9
    per_second: float = 1e9
    time: VirtualTime = field(default_factory=VirtualTime)
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    tasks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = self.time()
        self.crew = VirtualCrew(self.threads, self.time)
        self.writes = Quota(self.writes_per_minute, self.time, self.time.sleep)
        self.ledger = Ledger()
        self.unsaved: UnsavedReplies[Any] = UnsavedReplies()
        hosts = Paces(self.per_second, self.time, self.time.sleep)
        self.pool = Pool(self.crew, self.writes, hosts, self.unsaved, self.ledger, self.time)

    @property
    def now(self) -> float:
        return self.time() - self.start

    def task(self, key: str, seconds: float = 0.0, *, host: str = "", writes: int = 0, single: bool = False) -> Task:
        def work() -> str:
            self.began[key] = self.now
            self.time.sleep(seconds)
            for _ in range(writes):
                self.ledger.account.note_write()
            self.ended[key] = self.now
            return key

        self.tasks.append(key)
        return Task(key, host, writes, single, work)

    def run(
        self,
        *tasks: Task,
        at: float = 0.0,
        priority: Priority = Priority.DUE,
        until: float = NEVER,
        hand_over: Callable[[str], None] = lambda _: None,
        beside: Sequence[Task] = (),
    ) -> Callable[[], None]:
        """Return a program that runs the tasks from a moment on."""

        def program() -> None:
            self.time.sleep(at)
            for task, _ in self.pool.run(tasks, priority, self.start + until, beside):
                hand_over(task.key)

        return program

    def use_up_the_burst(self) -> None:
        assert self.writes.take(int(self.writes_per_minute / 6), Priority.NAMED, within=0)
