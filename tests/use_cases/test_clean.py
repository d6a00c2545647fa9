"""The janitor keeps to the clock and the pace: it reads what nothing else tells, and goes on where it stopped."""

from __future__ import annotations

import pytest

from tests.worlds.runs import DAY, LIFE, SILENT, RunWorld
from token_refresh.errors import QuotaExceeded, StoreUnavailable


def strays(world: RunWorld) -> int:
    """Return how many access-token versions there are beyond the two newest of each connection."""
    secrets = [s for s in world.store.cloud.secrets if s.endswith("-access-token")]
    return sum(max(len(world.store.payloads(s)) - 2, 0) for s in secrets)


def litter(world: RunWorld, count: int, each: int = 2) -> None:
    """Declare paused connections, so that all that a run has to do is to clean, with so many strays each."""
    for number in range(count):
        world.add(f"c{number:03}", state="paused")
        for _ in range(2 + each):
            world.store.put(f"c{number:03}-access-token", "{}")


def test_what_the_instance_knows_is_not_read_again() -> None:
    """One list for each secret that may hold strays; no payload, and no grants that cannot be strays."""
    world = RunWorld()
    world.add("kept")
    world.add("rotating", "rotating-0", provider="rotating")
    world.run()
    world.later(LIFE - 900)
    world.later(LIFE - 900)
    world.store.calls.clear()
    assert world.report(clean=True).destroyed == 0
    assert sorted(world.store.calls) == [
        ("list_connections", ""),
        ("list_versions", "kept-access-token"),
        ("list_versions", "rotating-access-token"),
        ("list_versions", "rotating-refresh-token"),
    ]


def test_a_token_whose_successor_has_run_out_is_not_read() -> None:
    world = RunWorld()
    world.add("alice")
    world.run()
    world.later(LIFE - 900)
    world.new_instance()
    world.answers["alice-token"] = SILENT
    world.later(LIFE + 1)
    world.store.calls.clear()
    assert world.report(clean=True).destroyed == 1
    assert ("access", "alice-access-token") not in world.store.calls


def test_reads_take_no_slot_of_the_writes() -> None:
    world = RunWorld(secret_writes_per_minute=6.0)
    litter(world, 200, each=0)
    began = world.clock()
    world.run(clean=True)
    assert world.clock() == began


def test_reads_keep_to_their_pace_and_let_others_go_first() -> None:
    world = RunWorld(secret_reads_per_minute=60.0)
    litter(world, 40, each=0)
    began = world.clock()
    world.run(clean=True)
    assert 30 <= world.clock() - began <= 40


def looked_at(world: RunWorld) -> list[str]:
    """Return the secrets whose versions were listed since the last look, in that order."""
    return [secret for operation, secret in world.store.calls if operation == "list_versions"]


@pytest.mark.parametrize(
    ("pace", "count", "days"),
    [
        pytest.param("secret_writes_per_minute", 300, 5, id="writes"),  # 600 of them, 147 a day
        pytest.param("secret_reads_per_minute", 600, 5, id="reads"),  # likewise, 145 a day
    ],
)
def test_cleaning_ends_in_time_and_goes_on_the_next_day_where_it_stopped(pace: str, count: int, days: int) -> None:
    """As many days as the pace makes of them, no more: no day begins again with what an earlier one has done."""
    world = RunWorld(**{pace: 30.0})
    litter(world, count)
    left, stopped_at = [strays(world)], ""
    while left[-1] and len(left) < 20:
        world.clock.advance(DAY - world.clock() % DAY)
        world.store.calls.clear()
        began = world.clock()
        world.run(clean=True)
        assert world.clock() - began <= world.settings.run_seconds
        left.append(strays(world))
        looked = looked_at(world)
        if stopped_at:
            # The one that there was no time for, which may or may not have been looked at.
            assert (number_of(looked[0]) - number_of(stopped_at)) % count in (0, 1)
        stopped_at = looked[-1]
    assert len(left) - 1 == days, left


def number_of(secret_id: str) -> int:
    return int(secret_id[1:4])


def test_a_new_instance_begins_elsewhere_each_day_however_many_connections_there_are() -> None:
    """7919 stands for any number: a step that is fixed leads round in it, and its multiples never move at all."""
    world = RunWorld(secret_reads_per_minute=6.0)
    for number in range(7919):
        world.add(f"c{number:04}", state="paused")
    begins = set()
    for _ in range(4):
        world.clock.advance(DAY)
        world.new_instance()
        world.store.calls.clear()
        world.run(clean=True)
        begins.add(looked_at(world)[0])
    assert len(begins) == 4


def test_a_quota_that_is_used_up_ends_the_cleaning_of_the_day() -> None:
    world = RunWorld()
    litter(world, 5, each=1)
    world.store.faults.fail("list_versions", QuotaExceeded("used up"), times=-1)
    assert world.report(clean=True).destroyed == 0
    world.store.faults.active.clear()
    assert world.report(clean=True).destroyed == 5


def test_what_has_run_out_is_destroyed_by_the_next_run_if_this_one_could_not() -> None:
    world = RunWorld()
    world.add("alice")
    world.run()
    world.later(LIFE - 900)
    world.store.faults.fail("destroy", StoreUnavailable("a blip"))
    world.later(901)
    assert set(world.store.payloads("alice-access-token")) == {1, 2}
    world.later(300)
    assert set(world.store.payloads("alice-access-token")) == {2}
    world.calls()
    world.later(300)
    assert world.calls() == ["list_connections"], "once"
