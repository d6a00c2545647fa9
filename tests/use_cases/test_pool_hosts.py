"""A host's pace and share: slots in order, and threads for those who can use them."""

from __future__ import annotations

import itertools
import random
import sys
import threading
from typing import Any

import pytest

from tests.fakes.instance import FrozenClock
from tests.worlds.pool import NEVER, Stage, nothing
from token_refresh.instance.crew import Alone, Threads
from token_refresh.instance.lanes import Task
from token_refresh.instance.ledger import Ledger
from token_refresh.instance.pace import Paces
from token_refresh.instance.pool import Pool
from token_refresh.instance.quota import Priority, Quota
from token_refresh.instance.unsaved import UnsavedReplies


@pytest.mark.parametrize("seed", range(20))
def test_who_came_first_keeps_its_turn_at_a_host_after_it_has_handed_over(seed: int) -> None:
    """Its tasks end between two slots; whoever looks first at the moment of the next one, it is not the other's."""
    stage, dice = Stage(threads=16, per_second=0.5), random.Random(seed)
    lengths = (0.2, 0.5, 1.0, 1.9, 3.1)
    own = [stage.task(f"a{n}", dice.choice(lengths), host="h") for n in range(5)]
    elsewhere = [stage.task(f"x{n}", dice.choice(lengths), host="i") for n in range(5)]
    later = stage.run(
        *(stage.task(f"b{n}", dice.choice(lengths), host="h") for n in range(5)), at=dice.choice((0, 1, 2))
    )
    stage.time.play(stage.run(*own, *elsewhere), later)
    assert max(stage.began[f"a{n}"] for n in range(5)) < min(stage.began[f"b{n}"] for n in range(5))


def test_a_slow_host_gives_its_threads_to_the_others_as_its_tasks_end() -> None:
    """Alone it had all threads; while another run's host waits, it gets no new one above its quarter."""
    stage = Stage(threads=8)
    slow = stage.run(*(stage.task(f"slow-{n}", 10, host="slow") for n in range(40)))
    fast = stage.run(*(stage.task(f"fast-{n}", 10, host="fast") for n in range(40)), at=1)
    stage.time.play(slow, fast)
    assert sum(at == 0 for at in stage.began.values()) == 8
    assert sum(at == 10 for key, at in stage.began.items() if key.startswith("fast")) == 2, "its own quarter"
    assert sum(at == 10 for key, at in stage.began.items() if key.startswith("slow")) == 2
    assert max(stage.ended.values()) == 180, "what is left in the end is of one host: all threads again"


def test_what_needs_no_host_takes_the_threads_that_hosts_may_not_have() -> None:
    stage = Stage(threads=8)
    tasks = [stage.task(f"slow-{n}", 100, host="slow") for n in range(8)] + [stage.task(f"{n}", 1) for n in range(12)]
    stage.time.play(stage.run(*tasks))
    assert max(stage.ended[f"{n}"] for n in range(12)) == 2
    assert sum(at == 0 for key, at in stage.began.items() if key.startswith("slow")) == 2


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_quarter_of_few_threads_is_one(size: int) -> None:
    stage = Stage(threads=size)
    tasks = [stage.task(f"{host}{n}", 1, host=host) for n in range(3) for host in "ab"]
    stage.time.play(stage.run(*tasks))
    assert len(stage.ended) == 6


def test_two_runs_share_one_host_s_pace() -> None:
    stage = Stage(threads=32, per_second=5)
    runs = [stage.run(*(stage.task(f"{run}-{n}", 1, host="h") for n in range(20))) for run in "abc"]
    stage.time.play(*runs)
    begun = sorted(stage.began.values())
    assert all(later - earlier == pytest.approx(0.2) for earlier, later in itertools.pairwise(begun))


def test_a_host_s_next_slot_goes_to_the_run_that_goes_first() -> None:
    """A rush holds up nobody who waits for one connection; of two rushes the first goes on."""
    stage = Stage(threads=32, per_second=5)
    rush = stage.run(*(stage.task(f"rush-{n}", host="h") for n in range(100)))
    later = stage.run(*(stage.task(f"later-{n}", host="h") for n in range(20)), at=1)
    named = [stage.run(stage.task(f"named-{n}", host="h"), at=n + 0.5, priority=Priority.NAMED) for n in range(5)]
    stage.time.play(rush, later, *named)
    for number in range(5):
        assert stage.began[f"named-{number}"] - (number + 0.5) <= 0.4
    assert max(at for key, at in stage.began.items() if key.startswith("rush")) < 22
    assert max(stage.began.values()) < 27, "nothing of the pace is lost"


def test_no_other_run_comes_between_the_look_at_a_host_and_the_taking_of_its_slot() -> None:
    """While one run asks for the host's pace, another one tries to begin."""
    clock = FrozenClock(100.0)
    begun: list[float] = []
    runs: list[threading.Thread] = []

    def carry_out() -> None:
        for _ in pool.run([Task("t", "h", 0, is_single_use=False, work=lambda: begun.append(clock()))], 0, NEVER):  # type: ignore[arg-type]
            pass

    def clock_of_the_host() -> float:
        if not runs:
            runs.append(threading.Thread(target=carry_out))
            runs[0].start()
            runs[0].join(0.2)  # it has to wait; without a lock it would have begun
        return clock()

    hosts = Paces(1, clock_of_the_host, clock.sleep)
    pool = Pool(Threads(4, clock.sleep), Quota(1e9, clock, clock.sleep), hosts, UnsavedReplies[Any](), Ledger(), clock)
    carry_out()
    runs[0].join()
    assert sorted(begun) == [100, 101]


def test_a_run_over_many_hosts_costs_what_its_tasks_cost() -> None:
    def calls(hosts: int) -> int:
        clock = FrozenClock()
        quota, paces = Quota(1e9, clock, clock.sleep), Paces(1, clock, clock.sleep)
        pool = Pool(Alone(clock, clock.sleep), quota, paces, UnsavedReplies[Any](), Ledger(), clock)
        tasks = [Task(f"{n}", f"h{n % hosts}", 1, is_single_use=bool(n % 2), work=nothing) for n in range(2 * hosts)]
        made = 0

        def count(*_: object) -> None:
            nonlocal made
            made += 1

        sys.setprofile(count)
        try:
            assert sum(1 for _ in pool.run(tasks, Priority.DUE, NEVER)) == 2 * hosts
        finally:
            sys.setprofile(None)
        return made

    assert calls(800) < 4 * 1.5 * calls(200)
