"""Thousands due at once: the quota is used and never exceeded, and no token is made that cannot be stored.

The real code by virtual time, over a Secret Manager that enforces the quota of the project. `make bench` does the same
with ten thousand.
"""

from __future__ import annotations

import json
import logging
from collections import Counter

import pytest

from tests.worlds.metered import MeteredWorld, with_settings
from token_refresh.core.token_endpoint.outcome import Unavailable


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("token_refresh"), "level", logging.CRITICAL)


def tick_until_done(world: MeteredWorld, ticks: int = 60) -> list[dict[str, int]]:
    """Run every `RUN_EVERY` until nothing is due; return the counts of each run."""
    counts: list[dict[str, int]] = []
    began = world.time()
    while len(counts) < ticks and (not counts or counts[-1].get("deferred")):
        world.time.now = max(world.time.now, began + world.settings.run_every * len(counts))
        counts.append(dict(world.run().document()["counts"]))  # type: ignore[call-overload]
    return counts


def check(world: MeteredWorld) -> None:
    settings = world.settings
    assert world.made.total() == world.stored(), "a token was thrown away"
    assert world.lost() == []
    assert world.statuses() == [], "a failure surfaced"
    assert world.publisher.events == []
    assert world.longest <= settings.run_seconds + 2 * settings.http_timeout


@pytest.mark.parametrize(("kept", "rotating"), [(2_000, 0), (1_000, 300)])
def test_what_is_due_at_once_is_refreshed_at_the_quota_s_pace(kept: int, rotating: int) -> None:
    world = MeteredWorld()
    world.add(kept)
    world.add(rotating, rotating=True)
    counts = tick_until_done(world)
    check(world)
    assert world.cloud.refused == 0
    assert set(world.made.values()) == {1}, "each once"
    assert len(world.made) == kept + rotating
    assert set().union(*counts) == {"refreshed", "deferred", "fresh"}
    assert world.used() >= 0.95


def test_old_access_tokens_do_not_keep_the_due_waiting() -> None:
    """A cold instance knows of no old version what has become of it: each costs a write, and none of those in time."""
    world = MeteredWorld()
    world.add(1_000, versions=3)
    began, refreshed = world.time(), list[float]()
    world.answer = lambda _: refreshed.append(world.time())
    world.run()
    assert refreshed[-1] - began < 1.02 * 1_000 / world.settings.token_requests_per_second
    check(world)
    old = [v.state for name in world.made for v in world.cloud.secrets[f"{name}-access-token"].versions[:-2]]
    assert old.count("DESTROYED") > 0.9 * 1_000, "they go aside, with the writes that are left"


def test_a_quota_that_others_use_as_well_slows_down_and_loses_nothing() -> None:
    """Half of what the pace reckons with is granted: every other write is refused for a while."""
    world = MeteredWorld(quota=240)
    world.add(300)
    world.add(60, rotating=True)
    tick_until_done(world)
    check(world)
    assert world.cloud.refused > 0
    assert world.cloud.written / (world.cloud.last_write - world.cloud.first_write) >= 0.75 * 240 / 60


def test_who_names_a_connection_waits_for_no_rush() -> None:
    world = MeteredWorld()
    world.add(1_000)
    seconds: list[float] = []

    def a_person_waits() -> None:
        for number in range(10):
            world.time.sleep(25)
            began = world.time()
            report = world.timed_run(connections=(f"k{999 - number:05}",), force=True)
            assert report.document()["counts"] == {"refreshed": 1}
            seconds.append(world.time() - began)

    world.time.play(world.timed_run, a_person_waits)
    check(world)
    assert max(seconds) <= 3


def test_a_slow_provider_holds_up_no_other() -> None:
    """One of two hosts answers after ten seconds, with nothing: its connections are fewer than a quarter at a time."""
    world = MeteredWorld()
    world.add(400)
    silent = world.add(400, rotating=True)

    def answer(name: str) -> Unavailable | None:
        if name in slow:
            world.time.sleep(10)
            return Unavailable("timeout")
        return None

    slow = set(silent)
    world.answer = answer
    world.run()
    refreshed = {name for name in world.made if name not in slow}
    assert len(refreshed) == 400
    assert world.longest <= world.settings.run_seconds + 2 * world.settings.http_timeout


def test_the_first_fill_of_one_host_is_paced_by_the_host() -> None:
    world = MeteredWorld(settings=with_settings(token_requests_per_second=5.0))
    world.add(500, versions=0)
    began = world.time()
    tick_until_done(world)
    check(world)
    assert world.made.total() == 500
    assert world.time() - began == pytest.approx(100, abs=3)


def test_an_outage_of_hundreds_is_told_and_ended_at_the_quota_s_pace() -> None:
    """A verdict is written, told, and what was told is settled: each is a write, and so is the end of each incident."""
    world = MeteredWorld()
    world.add(400)
    began = world.time()
    for is_over, ticks in ((False, 8), (True, 6)):
        world.answer = lambda _, over=is_over: None if over else Unavailable("http_503")  # type: ignore[misc]
        for _ in range(ticks):
            world.run()
            world.time.now = max(world.time.now, began := began + world.settings.run_every)
    assert Counter(e.type for e in world.publisher.events) == {"refresh_failing": 400, "recovered": 400}
    assert world.statuses() == []
    assert world.cloud.refused == 0


def test_an_instance_that_follows_another_spends_no_second_burst() -> None:
    world = MeteredWorld(settings=with_settings(run_seconds=50))
    world.add(400, rotating=True)
    world.run()
    world.start_instance()
    world.run()
    assert world.cloud.refused == 0


def test_what_has_run_out_is_destroyed_while_the_due_wait_for_their_host() -> None:
    """Four and a half hundred refreshes at five a second leave three writes a second: enough for 250 versions."""
    world = MeteredWorld()
    early = world.add(250, versions=0)
    for name in early:
        document = {"expires_at": world.time() + 800, "refreshed_at": world.time() - 2800, "connection_version": "1"}
        world.store.put(f"{name}-access-token", json.dumps(document))
    world.run()
    world.time.advance(900)
    world.add(450, prefix="late", versions=0)
    began = world.time()
    assert world.run().document()["counts"] == {"refreshed": 450, "fresh": 250}
    assert [len(world.store.payloads(f"{name}-access-token")) for name in early] == [1] * 250
    assert world.time() - began == pytest.approx(450 / 5, abs=2), "nobody who is due waited for that"
    check(world)
