"""The janitor keeps to the clock and the pace: it reads what nothing else tells, and goes on where it stopped."""

from __future__ import annotations

import pytest

from tests.worlds.runs import DAY, LIFE, SILENT, World
from token_refresh.errors import QuotaExceeded, StoreUnavailable


def strays(world: World) -> int:
    """Return how many access-token versions there are beyond the two newest of each connection."""
    secrets = [s for s in world.store.cloud.secrets if s.endswith("-access-token")]
    return sum(max(len(world.store.payloads(s)) - 2, 0) for s in secrets)


def litter(world: World, count: int, each: int = 2) -> None:
    """Declare paused connections, so that all that a run has to do is to clean, with so many strays each."""
    for number in range(count):
        world.add(f"c{number:03}", state="paused")
        for _ in range(2 + each):
            world.store.put(f"c{number:03}-access-token", "{}")


def test_what_the_instance_knows_is_not_read_again() -> None:
    """One list for each secret that may hold strays; no payload, and no grants that cannot be strays."""
    world = World()
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
    world = World()
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
    world = World(secret_writes_per_minute=6.0)
    litter(world, 200, each=0)
    began = world.clock()
    world.run(clean=True)
    assert world.clock() == began


def test_reads_keep_to_their_pace_and_let_others_go_first() -> None:
    world = World(secret_reads_per_minute=60.0)
    litter(world, 40, each=0)
    began = world.clock()
    world.run(clean=True)
    assert 30 <= world.clock() - began <= 40


@pytest.mark.parametrize("pace", ["secret_writes_per_minute", "secret_reads_per_minute"])
def test_cleaning_ends_in_time_and_goes_on_the_next_day_where_it_stopped(pace: str) -> None:
    world = World(**{pace: 30.0})
    litter(world, 300)
    left = [strays(world)]
    while left[-1] and len(left) < 20:
        world.clock.advance(DAY - world.clock() % DAY)
        began = world.clock()
        world.run(clean=True)
        assert world.clock() - began <= world.settings.run_seconds
        left.append(strays(world))
    assert not left[-1], left
    assert len(left) > 3, "it did not fit into one day"


def test_a_quota_that_is_used_up_ends_the_cleaning_of_the_day() -> None:
    world = World()
    litter(world, 5, each=1)
    world.store.faults.fail("list_versions", QuotaExceeded("used up"))
    assert world.report(clean=True).destroyed == 0
    assert world.report(clean=True).destroyed == 5


def test_what_has_run_out_is_destroyed_by_the_next_run_if_this_one_could_not() -> None:
    world = World()
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
