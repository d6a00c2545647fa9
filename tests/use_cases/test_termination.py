"""SIGTERM: what an instance could not store is tried once more, and others hear whether that worked (contract 7)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.worlds.runs import RunWorld
from token_refresh.errors import StoreUnavailable
from token_refresh.instance.termination import on_termination
from token_refresh.refresh import save


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("x", "rotating-first", provider="rotating")
    return world


def deny_adds(world: RunWorld, times: int = -1) -> None:
    world.store.faults.fail("add", StoreUnavailable("denied"), secret_id="x-refresh-token", times=times)


def end_process(world: RunWorld) -> None:
    for reply in world.runner.unsaved.all():
        world.runner.saver.end(reply)


def test_the_only_copy_is_stored_when_the_process_ends_and_the_lease_names_it(world: RunWorld) -> None:
    deny_adds(world)
    assert world.run() == {"x": "unavailable: rotated_token_not_saved"}
    world.store.faults.active.clear()
    end_process(world)
    assert world.store.payloads("x-refresh-token")[2].startswith(b"rotating-")
    assert world.lease("x") == {"holder": "", "until": 0, "version": 2}


def test_what_cannot_be_stored_then_has_its_lease_ended_and_not_released(world: RunWorld) -> None:
    deny_adds(world)
    world.run()
    end_process(world)
    lease = world.lease("x") or {}
    assert lease["holder"], "the next holder must know that the token may be spent"
    assert lease["until"] == world.clock()
    assert "unsaved" not in lease


@pytest.mark.parametrize("way", [end_process, RunWorld.run], ids=["the process ends", "the next run begins"])
def test_what_is_stored_late_waits_for_no_pace(way: Callable[[RunWorld], object]) -> None:
    """The adds that failed were charged: whoever waits for the pace now waits for minutes, and may not live so long."""
    world = RunWorld(secret_writes_per_minute=6.0)
    world.add("x", "rotating-first", provider="rotating")
    deny_adds(world)
    world.run()
    world.store.faults.active.clear()
    stored_at: list[float] = []
    world.store.on_call = lambda operation: stored_at.append(world.clock()) if operation == "add" else None
    began = world.clock()
    way(world)
    assert stored_at[0] == began
    assert world.store.payloads("x-refresh-token")[2].startswith(b"rotating-")


@pytest.mark.parametrize("slow", [0, 200], ids=["in-time", "the-lease-is-over"])
def test_a_thread_in_the_middle_of_the_add_releases_nothing_that_is_not_stored(
    world: RunWorld, slow: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save, "_END_PATIENCE", 0.0)
    leases, before = [], len(world.store.calls)

    def end(operation: str) -> None:
        if operation == "add" and len(world.store.calls) > before:
            world.store.on_call = lambda _: None
            world.clock.advance(slow)
            end_process(world)
            leases.append(world.lease("x") or {})

    world.store.on_call = end
    world.run()
    (lease,) = leases
    if slow:
        assert lease["holder"], "ended: nobody knows whether the add under way takes effect"
    else:
        assert lease == {"holder": "", "until": 0, "version": 3}, "two copies of one token do no harm"


def test_who_still_tries_when_the_lease_has_been_ended_does_not_mark_it_again(world: RunWorld) -> None:
    deny_adds(world)
    world.run()
    ended = []

    def end_meanwhile(operation: str) -> None:
        if operation == "get":
            world.store.on_call = lambda _: None
            end_process(world)
            ended.append(world.lease("x"))

    world.store.on_call = end_meanwhile
    world.run()
    (lease,) = ended
    assert world.lease("x") == lease, "marked, it would hold up others for three runs, and this instance is gone"
    assert "unsaved" not in (lease or {})


# -- the signal ------------------------------------------------------------------------------------------------------


@pytest.fixture
def server_was_told() -> Iterator[list[int]]:
    """Stand for the server that carries the function: it has a handler of its own."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    yield told
    signal.signal(signal.SIGTERM, before)


def test_none_waits_for_another_one_and_a_second_signal_begins_nothing_anew(server_was_told: list[int]) -> None:
    together = threading.Barrier(3)
    done: list[str] = []

    def work(thing: str) -> None:
        together.wait(10)
        done.append(thing)
        together.wait(10)

    on_termination(work, lambda: ["a", "b"])
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    together.wait(10)
    together.wait(10)
    assert sorted(done) == ["a", "b"]
    assert len(server_was_told) == 2


def test_a_second_signal_while_the_first_one_begins_harms_nothing(
    server_was_told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server passes on to its workers what the platform has sent to all of them: two signals within a millisecond."""
    done, begin, signals = threading.Event(), threading.Thread.start, [signal.SIGTERM]

    def begin_slowly(thread: threading.Thread) -> None:
        if thread.name == "token-refresh-termination" and signals:
            signal.raise_signal(signals.pop())
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", begin_slowly)
    on_termination(lambda thing: thing.set(), lambda: [done])
    signal.raise_signal(signal.SIGTERM)
    assert done.wait(10)
    assert len(server_was_told) == 2
