"""Who waits for what keeps no place in the line of the quota, and what is spent and not stored stops the next."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest

from tests.worlds.pool import Stage
from token_refresh.instance.lanes import Task
from token_refresh.instance.quota import Priority


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


def test_what_was_reserved_and_not_written_is_given_back() -> None:
    stage = Stage(writes_per_minute=60)

    def write_one() -> None:
        stage.ledger.account.note_write()

    tasks = [Task(f"{n}", "", 6, is_single_use=False, work=write_one) for n in range(20)]
    stage.time.play(stage.run(*tasks))
    assert stage.now == pytest.approx(20 - 10, abs=6), "a write each, at one a second, less the burst"


def test_each_task_is_charged_for_its_own_writes_whatever_runs_beside_it() -> None:
    stage = Stage(threads=8, writes_per_minute=60)

    def write(times: int) -> None:
        for _ in range(times):
            stage.time.sleep(0.5)
            stage.ledger.account.note_write()

    tasks = [Task(f"{n}", "", 2, is_single_use=False, work=partial(write, n % 3)) for n in range(60)]
    stage.time.play(stage.run(*tasks))
    stage.time.advance(1e6)
    stage.use_up_the_burst()
    assert not stage.writes.take(1, Priority.NAMED, within=0)
    assert stage.now - 1e6 == pytest.approx(60 - 10, abs=4), "sixty writes in all"


@dataclass
class Reply:
    secret_id: str
    is_failing: bool = False


def test_while_a_token_cannot_be_stored_others_are_spent_one_at_a_time() -> None:
    stage = Stage(threads=8)
    stage.unsaved.remember(reply := Reply("x"))
    stage.unsaved.note_failure(reply)
    tasks = [stage.task(f"{n}", 1, host=f"h{n}", single=True) for n in range(4)]
    stage.time.play(stage.run(*tasks, *(stage.task(f"kept-{n}", 1, host="g") for n in range(2))))
    assert [stage.began[f"{n}"] for n in range(4)] == [0, 1, 2, 3]
    assert stage.began["kept-0"] == 0


def test_once_a_second_one_cannot_be_stored_none_is_spent_in_this_run() -> None:
    stage = Stage(threads=8)
    for name in ("x", "y"):
        stage.unsaved.remember(reply := Reply(name))
        stage.unsaved.note_failure(reply)
    told: list[str] = []
    tasks = [stage.task(f"{n}", 1, host=f"h{n}", single=True) for n in range(4)]
    stage.time.play(stage.run(*tasks, stage.task("kept", 1, host="g"), hand_over=told.append))
    assert list(stage.ended) == ["kept"]
    assert told == ["0", "1", "2", "3", "kept"]
