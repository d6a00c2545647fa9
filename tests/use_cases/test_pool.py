"""Who may begin next: the quota's order, a host's pace and share, and free threads for those who can use them."""

from __future__ import annotations

import itertools
import random
import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from tests.fakes.instance import FrozenClock
from tests.worlds.pool import NEVER, Stage, nothing
from token_refresh.errors import Busy
from token_refresh.instance.claims import Claims
from token_refresh.instance.crew import Alone, Crew, Threads
from token_refresh.instance.lanes import Task
from token_refresh.instance.ledger import Ledger
from token_refresh.instance.pace import Paces
from token_refresh.instance.pool import Pool
from token_refresh.instance.quota import Priority, Quota
from token_refresh.instance.unsaved import UnsavedReplies


def test_who_hands_over_a_result_keeps_no_place_in_the_quota_s_line() -> None:
    stage = Stage(writes_per_minute=60)
    stage.use_up_the_burst()
    slow = stage.run(
        stage.task("first", 1),
        stage.task("second", writes=5),
        priority=Priority.NAMED,
        hand_over=lambda key: stage.time.sleep(100) if key == "first" else None,
    )
    stage.time.play(slow, stage.run(stage.task("other", writes=1), at=1.5))
    assert stage.began["other"] < 3
    assert stage.began["second"] == pytest.approx(101)


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


def test_who_waits_for_a_thread_keeps_no_place_in_the_quota_s_line() -> None:
    stage = Stage(threads=2, writes_per_minute=60)
    stage.use_up_the_burst()
    passed: list[float] = []

    def verdict() -> None:
        stage.time.sleep(6)
        stage.writes.take(1, Priority.VERDICT)
        passed.append(stage.now)

    refused = stage.run(stage.task("refused", writes=5), priority=Priority.NAMED)
    stage.time.play(refused, stage.run(stage.task("a", 100), stage.task("b", 100), at=1), verdict)
    assert passed == [6]
    assert stage.began["refused"] == pytest.approx(101)


def test_who_waits_for_a_host_keeps_no_place_in_the_quota_s_line() -> None:
    stage = Stage(writes_per_minute=60, per_second=0.01)
    stage.use_up_the_burst()
    refused = stage.run(stage.task("refused", host="h", writes=9), priority=Priority.NAMED)
    faster = stage.run(stage.task("faster", host="h"), at=1)
    stage.time.play(refused, faster, stage.run(stage.task("other", writes=1), at=10))
    assert stage.began["other"] <= 11
    assert stage.began["refused"] == pytest.approx(101, abs=1)


def test_a_run_in_front_gets_what_the_quota_gives_before_those_behind() -> None:
    stage = Stage(writes_per_minute=60)
    stage.use_up_the_burst()
    due = stage.run(*(stage.task(f"due-{n}", writes=2) for n in range(10)))
    stage.time.play(due, stage.run(stage.task("named", writes=6), at=3, priority=Priority.NAMED))
    assert stage.began["named"] == pytest.approx(8, abs=1.1), "two had gone before it came"
    assert sum(at > stage.began["named"] for at in stage.began.values()) >= 8


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


def test_what_was_reserved_and_not_written_is_given_back() -> None:
    stage = Stage(writes_per_minute=60)

    def write_one() -> None:
        stage.ledger.note_write()

    tasks = [Task(f"{n}", "", 6, is_single_use=False, work=write_one) for n in range(20)]
    stage.time.play(stage.run(*tasks))
    assert stage.now == pytest.approx(20 - 10, abs=6), "a write each, at one a second, less the burst"


def test_each_task_is_charged_for_its_own_writes_whatever_runs_beside_it() -> None:
    stage = Stage(threads=8, writes_per_minute=60)

    def write(times: int) -> None:
        for _ in range(times):
            stage.time.sleep(0.5)
            stage.ledger.note_write()

    tasks = [Task(f"{n}", "", 2, is_single_use=False, work=partial(write, n % 3)) for n in range(60)]
    stage.time.play(stage.run(*tasks))
    stage.time.advance(1e6)
    stage.use_up_the_burst()
    assert not stage.writes.take(1, Priority.NAMED, within=0)
    assert stage.now - 1e6 == pytest.approx(60 - 10, abs=4), "sixty writes in all"


class Reply:
    is_failing = False


def test_while_a_token_cannot_be_stored_others_are_spent_one_at_a_time() -> None:
    stage = Stage(threads=8)
    stage.unsaved.remember("x", Reply())
    stage.unsaved.note_failure("x")
    tasks = [stage.task(f"{n}", 1, host=f"h{n}", single=True) for n in range(4)]
    stage.time.play(stage.run(*tasks, *(stage.task(f"kept-{n}", 1, host="g") for n in range(2))))
    assert [stage.began[f"{n}"] for n in range(4)] == [0, 1, 2, 3]
    assert stage.began["kept-0"] == 0


def test_once_a_second_one_cannot_be_stored_none_is_spent_in_this_run() -> None:
    stage = Stage(threads=8)
    for name in ("x", "y"):
        stage.unsaved.remember(name, Reply())
        stage.unsaved.note_failure(name)
    told: list[str] = []
    tasks = [stage.task(f"{n}", 1, host=f"h{n}", single=True) for n in range(4)]
    stage.time.play(stage.run(*tasks, stage.task("kept", 1, host="g"), hand_over=told.append))
    assert list(stage.ended) == ["kept"]
    assert told == ["0", "1", "2", "3", "kept"]


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
    claims.claim("c")
    with pytest.raises(Busy, match="another run is working on c"):
        claims.claim("c")
    claims.release("c")
    claims.claim("c")
