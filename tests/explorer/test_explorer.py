"""The explorer can be trusted: it is deterministic, and says how far it came."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from tests.explorer.__main__ import main, report, tell
from tests.explorer.deviations import Fault, number_of, read_number
from tests.explorer.explore import Search, explore, play
from tests.explorer.scenes import SCENES, Scene
from tests.worlds.depth import IN_CI

A_LOT = 10.0**9
# Twenty thousand where a change is let in, fifty of each scene while one works (the defects of
# test_defects_are_found.py need no more); `make explore` goes on to two millions.
SCHEDULES = 20_000 if IN_CI else 1_000


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_a_schedule_is_a_number() -> None:
    deviations = ((3, 33), (17, 12), (200, 34))
    assert read_number(number_of(7, deviations)) == (7, deviations)
    assert read_number(0) == (0, ())


@pytest.mark.parametrize("scene", SCENES, ids=lambda s: s.name)
def test_all_is_well_where_nothing_goes_otherwise(scene: Scene) -> None:
    assert play(scene).faults == ()


@pytest.mark.parametrize("index", range(len(SCENES)))
def test_a_schedule_is_played_the_same_way_each_time(index: int) -> None:
    number = number_of(index, ((2, Fault.FREEZE_AFTER),))
    assert tell(number) == tell(number)


def test_the_quiet_day_leaves_out_only_what_finds_nothing_to_do() -> None:
    for scene in SCENES[:: 3 if IN_CI else 7]:
        for fault in (Fault.CRASH_AFTER, Fault.LONG_FREEZE_BEFORE, Fault.DENIED):
            for step in range(0, 12, 4):
                short, whole = (play(scene, ((step, fault),), whole=w) for w in (False, True))
                assert bool(short.faults) == bool(whole.faults)


@pytest.mark.timeout(1200)
def test_no_schedule_loses_a_grant_or_cries_wolf() -> None:
    found, by_scene = explore(SCHEDULES * 21 // 20, A_LOT, processes=os.cpu_count() or 1)
    assert found.schedules >= SCHEDULES
    assert not found.failures, report(found, by_scene, 0)


def test_it_says_how_far_it_came() -> None:
    found = Search(0, SCENES[0]).explore(100, A_LOT)
    assert found.schedules == 100
    assert sum(found.done.values()) == 100
    assert found.left[1, 1] > 0


def test_a_story_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    step = next(i for i, s in enumerate(play(SCENES[0]).scheduler.steps) if s.operation == "exchange")
    assert main(["replay", str(number_of(0, ((step, Fault.CRASH_AFTER),)))]) == 0
    story = capsys.readouterr().out
    assert "A before exchange" in story
    assert "*** A dies" in story
    assert "publishes" in story
