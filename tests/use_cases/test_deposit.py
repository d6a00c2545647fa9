"""Storing a new grant when others write at the same time, or the store fails half-way."""

from __future__ import annotations

import pytest

from tests.worlds.consents import DEAD, NAME, NEW_TOKEN, NOW, SECRET, World, is_saved, title
from token_refresh.core.status import Lease, parse_lease, parse_status, render_lease, render_status
from token_refresh.errors import StoreUnavailable

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> World:
    return World(rotates_refresh_tokens="always")


def nothing() -> None:
    pass


def test_a_lost_race_for_the_lease_is_run_again(world: World) -> None:
    world.store.before_annotate = [lambda: world.store.note("access-token", "x")]
    assert world.consent().status_code == 200
    assert world.store.newest() == 2


def test_whoever_took_over_the_lease_decides_from_then_on(world: World) -> None:
    theirs = render_lease(Lease("another-run", NOW + 300, 2))
    world.store.before_annotate = [nothing, lambda: world.store.note("lease", theirs)]
    assert world.consent().status_code == 200
    assert world.store.annotation("lease") == theirs
    assert world.store.annotation("status") == render_status(DEAD)
    assert world.store.newest() == 2


def test_metadata_that_keeps_changing_is_left_to_the_next_run(world: World, caplog: pytest.LogCaptureFixture) -> None:
    changes = [lambda n=n: world.store.note("access-token", str(n)) for n in range(20)]
    world.store.before_annotate = [nothing, *changes]
    assert world.consent().status_code == 200
    assert world.store.newest() == 2
    assert len(world.publisher.events) == 1
    assert "keeps changing" in caplog.text
    lease = parse_lease(world.store.annotation("lease"))
    assert lease is not None
    assert lease.until == NOW + 120  # it ends by itself, and the next holder finds version 2 by its number


def test_a_store_that_fails_after_the_add_has_lost_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise StoreUnavailable("down")

    world.store.before_annotate = [nothing, fail]
    assert is_saved(world.consent())
    assert world.store.newest() == 2
    assert world.publisher.refresh_requests == [{"connections": [NAME], "versions": {NAME: 2}}]
    assert "its status is not cleared yet" in caplog.text
    assert NEW_TOKEN not in caplog.text


def test_a_lease_that_cannot_be_given_back_ends_by_itself(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise StoreUnavailable("down")

    world.store.before_annotate = [nothing, fail]
    world.store.faults.fail("add", times=99)
    assert title(world.consent()) == "The new permission could not be saved"
    lease = parse_lease(world.store.annotation("lease"))
    assert lease is not None
    assert not lease.is_held(NOW + 121)
    assert "ends by itself" in caplog.text


def test_events_that_were_owed_go_out_before_the_recovery(world: World) -> None:
    world.store.note("status", render_status(DEAD).replace("}", ', "owed": ["invalid_grant.1"]}'))
    world.consent()
    assert [event.type for event in world.publisher.events] == ["invalid_grant", "recovered"]
    assert world.store.annotation("status") is None


def test_what_is_owed_stays_in_order(world: World) -> None:
    world.store.note("status", render_status(DEAD).replace("}", ', "owed": ["invalid_grant.1"]}'))
    world.publisher.down = True
    world.consent()
    left = parse_status(world.store.annotation("status"))
    assert left is not None
    assert [event_id.partition(".")[0] for event_id in left.owed] == ["invalid_grant", "recovered"]


def test_an_incident_that_nobody_was_told_of_needs_no_recovery(world: World) -> None:
    world.store.note("status", render_status(DEAD).replace(DEAD.event_id, ""))
    world.consent()
    assert world.publisher.events == []
    assert world.store.annotation("status") is None


def test_a_version_added_by_hand_meanwhile_spends_nothing(world: World) -> None:
    world.start()
    world.store.add(SECRET, b"by-hand")
    assert is_saved(world.finish())
    assert world.store.newest() == 3
    assert world.store.annotation("consents") == "1"


def test_a_rotation_between_page_and_lease_spends_nothing(world: World) -> None:
    def rotate() -> None:
        world.store.add(SECRET, b"rotated")

    world.start()
    world.store.before_annotate = [rotate]
    assert is_saved(world.finish())
    assert world.store.newest() == 3
