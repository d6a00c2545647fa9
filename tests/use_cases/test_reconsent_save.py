"""Storing a new grant when others write at the same time, or the store fails half-way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fakes.instance import FrozenClock
from tests.worlds.consent_store import NAME, SECRET
from tests.worlds.consents import DEAD, NEW_TOKEN, NOW, ConsentWorld, is_saved, title
from token_refresh.core.status import Lease, parse_lease, parse_status, render_lease, render_status
from token_refresh.errors import StoreUnavailable

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld(rotates_refresh_tokens="always")


def nothing() -> None:
    pass


def test_a_lost_race_for_the_lease_is_run_again(world: ConsentWorld) -> None:
    world.store.before_annotate = [lambda: world.store.note("access-token", "x")]
    assert world.consent().status_code == 200
    assert world.store.newest() == 2


def test_whoever_took_over_the_lease_decides_from_then_on(world: ConsentWorld) -> None:
    theirs = render_lease(Lease("another-run", NOW + 300, 2))
    world.store.before_annotate = [nothing, lambda: world.store.note("lease", theirs)]
    assert world.consent().status_code == 200
    assert world.store.annotation("lease") == theirs
    assert world.store.annotation("status") == render_status(DEAD)
    assert world.store.newest() == 2


def test_metadata_that_keeps_changing_is_left_to_the_next_run(
    world: ConsentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    changes = [lambda n=n: world.store.note("access-token", str(n)) for n in range(20)]
    world.store.before_annotate = [nothing, *changes]
    assert world.consent().status_code == 200
    assert world.store.newest() == 2
    assert world.publisher.events == []  # the run that clears the status tells the news
    assert "keeps changing" in caplog.text
    assert "its status is not cleared yet" in caplog.text
    lease = parse_lease(world.store.annotation("lease"))
    assert lease is not None
    assert lease.until == NOW + 120  # it ends by itself, and the next holder finds version 2 by its number


def test_a_store_that_fails_after_the_add_has_lost_nothing(
    world: ConsentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise StoreUnavailable("down")

    world.store.before_annotate = [nothing, fail]
    assert is_saved(world.consent())
    assert world.store.newest() == 2
    assert world.publisher.refresh_requests == [{"connections": [NAME], "versions": {NAME: 2}}]
    assert "its status is not cleared yet" in caplog.text
    assert NEW_TOKEN not in caplog.text


def test_a_lease_that_cannot_be_given_back_ends_by_itself(
    world: ConsentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise StoreUnavailable("down")

    world.store.before_annotate = [nothing, fail]
    world.store.faults.fail("add", times=99)
    assert title(world.consent()) == "The new permission could not be saved"
    lease = parse_lease(world.store.annotation("lease"))
    assert lease is not None
    assert not lease.is_held(NOW + 121)
    assert "could not release the lease" in caplog.text


def test_events_that_were_owed_go_out_before_the_recovery(world: ConsentWorld) -> None:
    world.store.note("status", render_status(DEAD).replace("}", ', "owed": ["invalid_grant.1"]}'))
    world.consent()
    assert [event.type for event in world.publisher.events] == ["invalid_grant", "recovered"]
    assert world.store.annotation("status") is None


def test_what_is_owed_stays_in_order(world: ConsentWorld) -> None:
    world.store.note("status", render_status(DEAD).replace("}", ', "owed": ["invalid_grant.1"]}'))
    world.publisher.down = True
    world.consent()
    left = parse_status(world.store.annotation("status"))
    assert left is not None
    assert [event_id.partition(".")[0] for event_id in left.owed] == ["invalid_grant", "recovered"]


def test_an_incident_that_nobody_was_told_of_needs_no_recovery(world: ConsentWorld) -> None:
    world.store.note("status", render_status(DEAD).replace(DEAD.event_id, ""))
    world.consent()
    assert world.publisher.events == []
    assert world.store.annotation("status") is None


def test_a_version_added_by_hand_meanwhile_spends_nothing(world: ConsentWorld) -> None:
    world.start()
    world.store.add(SECRET, b"by-hand")
    assert is_saved(world.finish())
    assert world.store.newest() == 3
    assert world.store.annotation("consents") == "1"


def test_a_rotation_between_page_and_lease_spends_nothing(world: ConsentWorld) -> None:
    def rotate() -> None:
        world.store.add(SECRET, b"rotated")

    world.start()
    world.store.before_annotate = [rotate]
    assert is_saved(world.finish())
    assert world.store.newest() == 3


def test_a_lease_marked_unsaved_is_taken_over_at_once(world: ConsentWorld) -> None:
    world.store.note("lease", render_lease(Lease("run", NOW + 600, 1, unsaved=True)))
    assert is_saved(world.consent())
    assert world.clock.now == NOW
    assert world.store.annotation("lease") == render_lease(Lease("", 0, 2))


@pytest.mark.parametrize(
    "before", [Lease("dead-run", NOW - 5, 1), Lease("run", NOW + 600, 1, unsaved=True), Lease("", 0, 7), None]
)
def test_where_nothing_is_stored_the_lease_comes_back_as_it_was(world: ConsentWorld, before: Lease | None) -> None:
    text = render_lease(before) if before else None
    world.store.note("lease", text)
    world.store.faults.fail("add", times=99)
    assert title(world.consent()) == "The new permission could not be saved"
    assert parse_lease(world.store.annotation("lease")) == before
    assert world.store.annotation("consents") is None


def test_status_consents_subject_and_lease_change_in_one_write(world: ConsentWorld) -> None:
    seen: list[dict[str, str]] = []
    world.store.before_annotate = [lambda: seen.append(world.store.annotations(SECRET)) for _ in range(3)]
    assert is_saved(world.consent())
    before, leased, settled = seen
    assert set(leased) - set(before) == {"token-refresh.lease"}
    assert settled["token-refresh.consents"] == "1"
    assert settled["token-refresh.subject"] == "alice-1"
    assert settled["token-refresh.lease"] == render_lease(Lease("", 0, 2))
    status = parse_status(settled["token-refresh.status"])
    assert status is not None
    assert (status.state, status.event_id) == ("healthy", "")  # and owes the news, which goes out next
    assert world.store.annotation("status") is None


def test_a_run_that_has_counted_the_consent_is_not_counted_again(world: ConsentWorld) -> None:
    def run() -> None:
        world.store.note("status", None)
        world.store.note("consents", "1")

    world.store.before_annotate = [nothing, run]
    assert is_saved(world.consent())
    assert world.store.annotation("consents") == "1"


class Freezing(FrozenClock):
    """A clock whose first sleep takes much longer than was asked for; `meanwhile` others act."""

    def __init__(self, now: float, seconds: float, meanwhile: Callable[[], None] = nothing) -> None:
        super().__init__(now)
        self._seconds, self._meanwhile = seconds, meanwhile

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds + self._seconds)
        self._seconds, meanwhile, self._meanwhile = 0.0, self._meanwhile, nothing
        meanwhile()


def test_an_instance_that_was_frozen_gets_the_lease_again_before_it_adds(world: ConsentWorld) -> None:
    world.store.faults.fail("add", times=1)
    world.clock = Freezing(NOW, 115)
    world.reconsent = world.instance()
    assert is_saved(world.consent())
    # To take it, to take it again, to give it back, and to strike off the news that it owed.
    assert [what for what, _ in world.store.journal] == [
        "annotate",
        "annotate",
        "add",
        "annotate",
        "publish",
        "annotate",
    ]
    assert world.store.newest() == 2


def test_an_instance_that_was_frozen_waits_for_who_has_the_lease_now(world: ConsentWorld) -> None:
    theirs = render_lease(Lease("another-run", NOW + 130, 1))
    world.store.faults.fail("add", times=1)
    world.clock = Freezing(NOW, 115, lambda: world.store.note("lease", theirs))
    world.reconsent = world.instance()
    assert is_saved(world.consent())
    assert NOW + 130 <= world.clock.now <= NOW + 135
    assert world.store.newest() == 2
    assert world.store.annotation("lease") == render_lease(Lease("", 0, 2))


def test_every_event_of_a_consent_is_logged_as_published(world: ConsentWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "token_refresh")
    world.consent()
    told = [getattr(record, "json_fields", {}) for record in caplog.records]
    assert [(one["type"], one["subject"]) for one in told if one.get("event") == "published"] == [("recovered", NAME)]
