"""SIGTERM: what an instance could not store is tried once more, and others hear whether that worked (contract 7)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import World
from token_refresh.errors import StoreUnavailable
from token_refresh.refresh import save


@pytest.fixture
def world() -> World:
    world = World()
    world.add("x", "rotating-first", provider="rotating")
    return world


def deny_adds(world: World, times: int = -1) -> None:
    world.store.faults.fail("add", StoreUnavailable("denied"), secret_id="x-refresh-token", times=times)


def test_the_only_copy_is_stored_when_the_process_ends_and_the_lease_names_it(world: World) -> None:
    deny_adds(world)
    assert world.run() == {"x": "unavailable: rotated_token_not_saved"}
    world.store.faults.active.clear()
    world.runner.saver.end_all()
    assert world.store.payloads("x-refresh-token")[2].startswith(b"rotating-")
    assert world.lease("x") == {"holder": "", "until": 0, "version": 2}


def test_what_cannot_be_stored_then_has_its_lease_ended_and_not_released(world: World) -> None:
    deny_adds(world)
    world.run()
    world.runner.saver.end_all()
    lease = world.lease("x") or {}
    assert lease["holder"], "the next holder must know that the token may be spent"
    assert lease["until"] == world.clock()
    assert "unsaved" not in lease


@pytest.mark.parametrize("slow", [0, 200], ids=["in-time", "the-lease-is-over"])
def test_a_thread_in_the_middle_of_the_add_releases_nothing_that_is_not_stored(
    world: World, slow: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save, "_END_PATIENCE", 0.0)
    leases, before = [], len(world.store.calls)

    def end(operation: str) -> None:
        if operation == "add" and len(world.store.calls) > before:
            world.store.on_call = lambda _: None
            world.clock.advance(slow)
            world.runner.saver.end_all()
            leases.append(world.lease("x") or {})

    world.store.on_call = end
    world.run()
    (lease,) = leases
    if slow:
        assert lease["holder"], "ended: nobody knows whether the add under way takes effect"
    else:
        assert lease == {"holder": "", "until": 0, "version": 3}, "two copies of one token do no harm"
