"""What is done beside the tasks of a run: it uses what they leave, and is the last in every line."""

from __future__ import annotations

from functools import partial
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


def test_what_is_done_beside_uses_what_a_host_s_pace_leaves() -> None:
    """The due go at their host's pace as if they were alone; of the rest of the quota's seven writes are left."""
    stage = Stage(writes_per_minute=480, per_second=5)
    stage.use_up_the_burst()
    due = [stage.task(f"due-{n}", 0.2, host="h", writes=1) for n in range(50)]
    others = [stage.task(f"other-{n}", 0.03, writes=1) for n in range(50)]
    stage.time.play(stage.run(*due, beside=others))
    assert max(stage.began[f"due-{n}"] for n in range(50)) < 50 / 5 + 0.5
    assert sum(key.startswith("other") for key in stage.ended) == pytest.approx(3 * 10 - 7, abs=2)


def test_what_is_due_goes_before_what_is_beside_where_the_quota_is_what_both_need() -> None:
    stage = Stage(writes_per_minute=60)
    stage.use_up_the_burst()
    due = [stage.task(f"due-{n}", host="h", writes=1) for n in range(10)]
    others = [stage.task(f"other-{n}", writes=1) for n in range(10)]
    stage.time.play(stage.run(*due, beside=others))
    assert not [key for key in stage.began if key.startswith("other")], "it does not begin when the due have ended"
    assert max(stage.ended.values()) == pytest.approx(10, abs=0.1)


def test_what_is_beside_leaves_a_host_all_threads() -> None:
    stage = Stage(threads=8)
    due = [stage.task(f"due-{n}", 1, host="h") for n in range(8)]
    stage.time.play(stage.run(*due, beside=[stage.task(f"other-{n}", 1) for n in range(8)]))
    assert {stage.began[f"due-{n}"] for n in range(8)} == {0.0}


def test_a_run_waits_for_what_has_begun_beside_it_and_hears_what_that_raises() -> None:
    stage = Stage(per_second=1)

    def fail() -> None:
        raise ZeroDivisionError

    due = [stage.task("due-0", host="h"), stage.task("due-1", host="h")]
    program = stage.run(*due, beside=[stage.task("slow", 9)])
    stage.time.play(program, lambda: None)
    assert stage.ended["slow"] == pytest.approx(9)
    broken = stage.run(*due, beside=[Task("broken", "", 0, is_single_use=False, work=fail)])
    with pytest.raises(ZeroDivisionError):
        stage.time.play(broken)


@pytest.mark.parametrize("crew", ["threads", "alone"])
def test_what_is_beside_is_carried_out_by_real_crews(crew: str) -> None:
    clock, ended = FrozenClock(), list[int]()

    def end(number: int) -> None:
        ended.append(number)
        if len(ended) == 20:
            clock.advance(1)  # only now is the host's next slot free

    pool = Pool(
        Alone(clock, clock.sleep) if crew == "alone" else Threads(4, clock.sleep),
        Quota(1e9, clock, clock.sleep),
        Paces(1, clock, clock.sleep),
        UnsavedReplies[Any](),
        Ledger(),
        clock,
    )
    due = [Task(f"{n}", "h", 1, is_single_use=False, work=nothing) for n in range(2)]
    beside = [Task(f"{n}", "", 1, is_single_use=False, work=partial(end, n)) for n in range(20)]
    assert sum(1 for _ in pool.run(due, Priority.DUE, NEVER, beside)) == 2
    assert sorted(ended) == list(range(20))
