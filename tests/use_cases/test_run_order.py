"""What a run begins with, and what it does not begin any more (contract 4, 9)."""

from __future__ import annotations

import json

from tests.worlds.runs import LIFE, RunWorld


def leave(world: RunWorld, name: str, seconds: float) -> None:
    """Let the stored access token of a connection run out in so many seconds."""
    now = world.clock()
    document = {"expires_at": now + seconds, "refreshed_at": now + seconds - LIFE, "connection_version": "1"}
    world.store.put(f"{name}-access-token", json.dumps(document))


def all_are_due() -> RunWorld:
    """One thread, and four connections whose names are in another order than the ends of their tokens."""
    world = RunWorld(refresh_workers=1.0)
    for name, seconds in (("a", 800), ("b", 100), ("c", 400)):
        world.add(name)
        leave(world, name, seconds)
    world.add("d")  # which has no token yet
    return world


def test_a_run_begins_with_what_has_least_life_left() -> None:
    world = all_are_due()
    assert set(world.run().values()) == {"refreshed: refreshed"}
    assert world.exchange.sent == ["d-token", "b-token", "c-token", "a-token"]


def test_a_version_that_was_named_goes_before_all_others() -> None:
    world = all_are_due()
    world.run("a", "b", "c", "d", versions={"a": 1}, force=True)
    assert world.exchange.sent == ["a-token", "d-token", "b-token", "c-token"]


def test_what_has_no_time_left_once_the_lease_is_taken_is_not_sent() -> None:
    """Taking a lease may take longer than the run has: it is given back, and the next run begins with it."""
    world = RunWorld(run_seconds=30.0)
    world.add("x", "rotating-first", provider="rotating")
    took = iter([world.settings.run_seconds])
    world.store.on_call = lambda operation: world.clock.advance(next(took, 0.0) if operation == "annotate" else 0.0)
    assert world.run() == {"x": "deferred: run_seconds"}
    assert world.exchange.sent == []
    assert world.lease("x") == {"holder": "", "until": 0, "version": 1}
    assert world.run() == {"x": "refreshed: refreshed"}
