"""A connection that is paused after it was listed: its grant may be on its way to another project (contract 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.fakes.store import Cloud
from tests.worlds.leases import FORCED, GRANT, LeaseScene, outcome
from tests.worlds.metered import MeteredWorld
from token_refresh.core.connection import LABEL, LEASE, SUFFIX, is_paused
from token_refresh.core.status import Lease, parse_lease
from token_refresh.core.trigger import Trigger
from token_refresh.run.report import Report

PAUSED = ("paused", "paused")


def pause(cloud: Cloud, name: str = "alice") -> None:
    """Set the label as a person does, or an apply."""
    record = cloud.secrets[name + SUFFIX].record
    cloud.write(replace(record, labels={**record.labels, LABEL: "paused"}))


@pytest.fixture
def scene() -> LeaseScene:
    """One connection that has been refreshed once, and is due."""
    scene = LeaseScene()
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    scene.clock.advance(3600)
    scene.exchange.sent.clear()
    return scene


def while_being(scene: LeaseScene, operation: str, act: Callable[[], None]) -> None:
    """Act once, right after a call of the first instance has taken effect."""

    def on_call(called: str) -> None:
        if called == operation:
            scene.store.on_call = lambda _: None
            act()

    scene.store.on_call = on_call


def test_a_run_under_way_leaves_alone_what_is_paused_meanwhile() -> None:
    """A hundred that are replaced take a minute of the quota: the list is that old when the last one is reached."""
    world = MeteredWorld()
    *_, last = world.add(100, rotating=True)
    reports: list[Report] = []

    def person() -> None:
        world.time.sleep(5)
        assert not world.made[last]
        pause(world.cloud, last)

    world.time.play(lambda: reports.append(world.timed_run()), person)
    assert reports[0].counts == {"refreshed": 99, "paused": 1}
    assert not world.made[last]


@pytest.mark.parametrize("is_cold", [True, False], ids=["a cold instance", "a warm instance"])
def test_a_list_from_before_the_pause_spends_no_grant(scene: LeaseScene, is_cold: bool) -> None:  # noqa: FBT001
    """Lists may be hours old; the lease is written over the secret as it is."""
    other = scene.start()
    outcome(other, Trigger(force=True, dry_run=True))  # it has seen the connection as it was
    pause(scene.store.cloud)
    scene.clock.advance(400)
    scene.store.cloud.stale["lists"] = 3600
    assert outcome(scene.start() if is_cold else other, FORCED) == PAUSED
    assert outcome(scene.runner, FORCED) == PAUSED
    assert not scene.exchange.sent
    assert scene.lease() == Lease("", 0, 2), "as it was"


def test_a_pause_is_no_failure_and_no_state(scene: LeaseScene) -> None:
    pause(scene.store.cloud)
    scene.store.cloud.stale["lists"] = 3600
    report = scene.runner.run(Trigger())
    assert report.document()["connections"] == [
        {
            "name": "alice",
            "outcome": "paused",
            "reason": "paused",
            "access_token_expires_at": int(scene.clock()),
            "version": None,
        }
    ]
    assert not report.is_unfinished
    assert [v.connection.paused for v in report.visits] == [True], "and so it is counted"
    assert set(scene.store.annotations(GRANT)) == {LEASE}
    assert not scene.publisher.events


def test_a_connection_is_refreshed_once_it_is_enabled_again(scene: LeaseScene) -> None:
    pause(scene.store.cloud)
    scene.store.cloud.stale["lists"] = 3600
    assert outcome(scene.runner) == PAUSED
    record = scene.store.cloud.secrets[GRANT].record
    scene.store.cloud.write(replace(record, labels={**record.labels, LABEL: "enabled"}))
    scene.store.cloud.stale.clear()
    assert outcome(scene.runner, Trigger()) == ("refreshed", "refreshed")


def test_a_lease_that_is_held_at_the_pause_ends_as_it_would_have(scene: LeaseScene) -> None:
    """Its token is spent, so what came for it is stored: whoever copies the grant waits for a lease to end."""
    while_being(scene, "annotate", lambda: pause(scene.store.cloud))
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert is_paused(scene.store.cloud.secrets[GRANT].record)
    assert scene.store.payloads(GRANT)[3].decode() == scene.newest
    assert scene.lease() == Lease("", 0, 3)


def test_a_lease_that_must_be_taken_again_before_anything_is_sent_is_not(scene: LeaseScene) -> None:
    """It was taken for another version than turned out to be the newest: nothing is spent yet."""
    scene.hold_lease(until=scene.clock() - 1, version=2)
    before = parse_lease(scene.store.annotations(GRANT)[LEASE])
    for token in ("a-person's", scene.newest):  # and whoever died put its own on top
        scene.store.put(GRANT, token)
    while_being(scene, "annotate", lambda: pause(scene.store.cloud))
    assert outcome(scene.runner) == PAUSED
    assert not scene.exchange.sent
    assert scene.lease() == before, "the next holder finds the same doubt"
