"""Who may begin next: free threads for the run that goes first, every task to its end, and none after the end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests.fakes.instance import FrozenClock
from tests.worlds.pool import NEVER, Stage, nothing
from token_refresh.instance.crew import Alone, Crew, Threads
from token_refresh.instance.lanes import Task
from token_refresh.instance.ledger import Ledger
from token_refresh.instance.pace import Paces
from token_refresh.instance.pool import Pool
from token_refresh.instance.quota import Priority, Quota
from token_refresh.instance.unsaved import UnsavedReplies
from token_refresh.run.run import Claims


def test_a_thread_that_one_run_frees_goes_to_another_whose_own_task_is_slow() -> None:
    stage = Stage(threads=2)
    slow = stage.run(stage.task("slow", 100), stage.task("quick"), at=1)
    stage.time.play(stage.run(stage.task("other", 5)), slow)
    assert stage.began["quick"] == 5


def test_free_threads_go_to_the_run_that_the_contract_lets_go_first() -> None:
    stage = Stage(threads=4)
    due = stage.run(*(stage.task(f"due-{n}", 10) for n in range(40)))
    named = stage.run(*(stage.task(f"named-{n}", 10) for n in range(12)), at=1, priority=Priority.NAMED)
    stage.time.play(due, named)
    assert (
        sorted(at for key, at in stage.began.items() if key.startswith("named"))
        == [10] * 3 + [20] * 3 + [30] * 3 + [40] * 3
    ), "all but one thread"
    assert [sum(at == t for key, at in stage.began.items() if key.startswith("due")) for t in (10, 20, 30)] == [1, 1, 1]
    assert max(stage.ended.values()) == 130, "no thread was ever idle"


@pytest.mark.parametrize("size", [1, 2, 8])
def test_no_run_is_kept_from_its_end_by_those_that_go_first(size: int) -> None:
    """Orders by name come all the time; with one thread the due run waits its turn, and its wait has an end."""
    stage = Stage(threads=size)
    due = stage.run(*(stage.task(f"due-{n}", 1) for n in range(20)), until=60)
    flood = [
        stage.run(*(stage.task(f"{n}-{t}", 1) for t in range(10 * size)), priority=Priority.NAMED) for n in range(8)
    ]
    stage.time.play(due, *flood)
    begun = [at for key, at in stage.began.items() if key.startswith("due")]
    assert max(begun, default=0.0) < 60
    assert len(begun) == (20 if size > 1 else 1), "a thread of its own wherever there are two"


@pytest.mark.parametrize("seed", range(60))
def test_whatever_comes_together_all_of_it_is_begun_and_no_two_wait_for_each_other(seed: int) -> None:
    dice = random.Random(seed)
    stage = Stage(
        threads=dice.randint(1, 5), writes_per_minute=dice.choice((1e9, 120)), per_second=dice.choice((1e9, 2))
    )
    runs = [
        stage.run(
            *(
                stage.task(
                    f"{r}-{n}", dice.choice((0, 1, 7)), host=dice.choice(("", "a", "b")), writes=dice.randint(0, 2)
                )
                for n in range(dice.randint(0, 12))
            ),
            at=dice.randint(0, 9),
            priority=dice.choice(list(Priority)[:4]),
        )
        for r in range(dice.randint(1, 7))
    ]
    tasks = len(stage.tasks)
    stage.time.play(*runs)
    assert len(stage.ended) == tasks


def test_a_map_that_gets_no_thread_until_its_run_is_over_is_done_by_the_caller() -> None:
    stage = Stage(threads=2)
    busy = stage.run(*(stage.task(f"{n}", 100) for n in range(2)))
    looked: list[float] = []

    def program() -> None:
        stage.time.sleep(1)
        stage.pool.map(lambda _: looked.append(stage.now), range(9), Priority.DUE, stage.start + 20)

    stage.time.play(busy, program)
    assert looked == [20] * 9


@pytest.mark.parametrize("way", ["run", "map"])
@pytest.mark.parametrize("size", [1, 2])
def test_a_task_that_uses_the_pool_is_told_so(size: int, way: str) -> None:
    clock = FrozenClock()
    crew: Crew = Threads(size, clock.sleep) if size > 1 else Alone(clock, clock.sleep)
    quota, paces = Quota(1e9, clock, clock.sleep), Paces(1e9, clock, clock.sleep)
    pool = Pool(crew, quota, paces, UnsavedReplies[Any](), Ledger(), clock)

    def inside(_: object = None) -> Sequence[object]:
        if way == "map":
            return pool.map(str, [1, 2, 3])
        return list(pool.run([Task("inner", "", 0, is_single_use=False, work=nothing)], Priority.DUE, NEVER))

    outer = [Task(f"{n}", "", 0, is_single_use=False, work=inside) for n in range(size)]
    with pytest.raises(RuntimeError, match="must not use the pool"):
        list(pool.run(outer, Priority.DUE, NEVER))
    assert pool.map(str, [1, 2, 3]) == ["1", "2", "3"], "the pool is of use to others"


def test_a_task_s_fault_reaches_the_run_and_no_other_run() -> None:
    stage = Stage(threads=2)

    def fail() -> None:
        raise ZeroDivisionError

    broken = stage.run(stage.task("a"), Task("b", "", 0, is_single_use=False, work=fail), stage.task("c"))

    def program() -> None:
        with pytest.raises(ZeroDivisionError):
            broken()

    stage.time.play(program, stage.run(*(stage.task(f"other-{n}", 1) for n in range(9))))
    assert len(stage.ended) >= 10


def test_nothing_begins_after_the_end_and_what_is_left_is_told() -> None:
    stage = Stage(threads=2)
    left: list[str] = []
    tasks = [stage.task(f"{n}", 4) for n in range(8)]

    def program() -> None:
        for task, result in stage.pool.run(tasks, Priority.DUE, stage.start + 10):
            if result is None:
                left.append(task.key)
        assert stage.now == 12

    stage.time.play(program)
    assert left == ["6", "7"]


def test_no_wait_ends_after_the_end() -> None:
    """Neither the wait for the quota, nor for the host, nor for a thread that another run has."""
    for stage in (Stage(writes_per_minute=6), Stage(per_second=0.01), Stage(threads=1)):
        runs = [stage.run(*(stage.task(f"{r}{n}", 1, host="h", writes=1) for n in range(30)), until=7) for r in "ab"]
        stage.time.play(*runs)
        assert stage.now <= 8
        assert max(stage.began.values()) < 7


def test_a_run_that_is_given_up_holds_up_no_other() -> None:
    stage = Stage(threads=8, writes_per_minute=60)
    stage.use_up_the_burst()

    def program() -> None:
        results = stage.pool.run([stage.task("a"), stage.task("b", host="h", writes=9)], Priority.NAMED, NEVER)
        next(results)
        results.close()  # type: ignore[attr-defined]

    stage.time.play(program, stage.run(*(stage.task(f"{n}", 60, host="g", writes=1) for n in range(8)), at=8))
    assert max(stage.began.values()) == 8, "the quota is theirs, and all threads"
    assert "b" not in stage.began


def test_a_map_keeps_the_order_and_shares_the_threads() -> None:
    stage = Stage(threads=4)
    found: list[list[str]] = []

    def look(number: int) -> str:
        stage.time.sleep(1)
        return str(number)

    stage.time.play(
        lambda: found.append(stage.pool.map(look, range(400))), stage.run(stage.task("other", 1, host="h"), at=0.5)
    )
    assert found == [[str(n) for n in range(400)]]
    assert stage.ended["other"] == 51, "as soon as a thread was free"
    assert stage.now <= 151


def test_a_map_s_fault_is_the_caller_s() -> None:
    stage = Stage(threads=4)

    def program() -> None:
        with pytest.raises(ZeroDivisionError):
            stage.pool.map(lambda n: 1 // n, [2, 1, 0])

    stage.time.play(program)


def test_one_connection_is_worked_on_by_one_run() -> None:
    claims = Claims()
    assert claims.claim("c")
    assert not claims.claim("c")
    claims.release("c")
    assert claims.claim("c")


def test_a_write_that_a_task_reserved_besides_and_did_not_make_is_given_back() -> None:
    stage = Stage(writes_per_minute=60)

    def reserve_one_more() -> None:
        assert stage.writes.take(1, Priority.DUE, within=0)
        stage.ledger.account.note_reserved()

    stage.time.play(stage.run(Task("k", "", 2, is_single_use=False, work=reserve_one_more)))
    assert stage.now == 0
    assert stage.writes.take(10, Priority.DUE, within=0), "the burst is there again"
