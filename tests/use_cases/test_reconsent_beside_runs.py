"""A consent while a run is at it, another writes, or store and topics fail: what is waited for, owed and confessed."""

from __future__ import annotations

import pytest

from tests.worlds.consents import DEAD, NOW, ConsentWorld, is_saved, title
from token_refresh.core.incident.incident import event_type_of
from token_refresh.core.status import Lease, parse_status, render_lease, render_status
from token_refresh.core.token_endpoint.outcome import Unavailable

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def test_a_run_in_progress_is_waited_for(world: ConsentWorld) -> None:
    world.store.note("lease", render_lease(Lease("run", NOW + 1, 1)))
    assert world.consent().status_code == 200
    assert NOW + 1 <= world.clock.now <= NOW + 5


def test_a_run_that_does_not_end_is_waited_for_half_a_minute_and_then_the_grant_is_added_all_the_same(
    world: ConsentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    lease = render_lease(Lease("run", NOW + 600, 1))
    world.store.note("lease", lease)
    assert is_saved(world.consent())
    assert world.clock.now == NOW + 30
    assert world.store.newest() == 2
    assert world.store.annotation("lease") == lease  # still the run's
    assert world.store.annotation("consents") == "1"
    assert world.store.annotation("status") is None
    assert sum(what == "get" for what, _ in world.store.calls) < 20
    assert "stays held" in caplog.text


def test_an_abandoned_lease_comes_back_as_it_was_when_nothing_was_stored(world: ConsentWorld) -> None:
    abandoned = render_lease(Lease("dead-run", NOW - 5, 1))
    world.store.note("lease", abandoned)
    world.endpoint.outcome = Unavailable("http_503")
    assert world.consent().status_code == 502
    assert world.store.annotation("lease") == abandoned


def test_a_status_written_meanwhile_is_read_again(world: ConsentWorld) -> None:
    def run() -> None:
        world.store.note("status", render_status(DEAD).replace('"attempts": 2', '"attempts": 3'))

    world.store.before_annotate = [lambda: None, run]
    assert world.consent().status_code == 200
    assert world.store.annotation("status") is None
    assert len(world.publisher.events) == 1


def test_what_the_topic_does_not_take_is_owed(world: ConsentWorld) -> None:
    world.publisher.down = True
    assert world.consent().status_code == 200
    left = parse_status(world.store.annotation("status"))
    assert left is not None
    assert (left.state, len(left.owed), left.event_id) == ("healthy", 1, "")
    assert event_type_of(left.owed[0]) == "recovered"


def test_an_owed_event_has_the_id_that_would_have_been_published(world: ConsentWorld) -> None:
    world.publisher.down = True
    world.consent()
    left = parse_status(world.store.annotation("status"))
    other = ConsentWorld()
    other.consent()
    assert left is not None
    assert left.owed == (other.publisher.events[0].id,)


def test_the_incident_of_a_client_is_left_to_the_run(world: ConsentWorld) -> None:
    status = render_status(DEAD).replace("}", ', "client_event_id": "client_rejected-1.client"}')
    world.store.note("status", status)
    world.consent()
    assert world.store.annotation("status") == status
    assert world.publisher.refresh_requests


def test_a_refresh_topic_that_is_down_is_no_matter_of_the_owners(world: ConsentWorld) -> None:
    world.publisher.refresh_topic_down = True
    assert world.consent().status_code == 200
    assert world.store.newest() == 2


def test_an_add_is_tried_again(world: ConsentWorld) -> None:
    world.store.faults.fail("add", times=3)
    assert world.consent().status_code == 200
    assert world.store.newest() == 2


def test_an_add_that_keeps_failing_is_confessed(world: ConsentWorld) -> None:
    world.store.faults.fail("add", times=99)
    page = world.consent()
    assert (page.status_code, title(page)) == (503, "The new permission could not be saved")
    assert world.is_untouched()


def test_a_store_that_is_down_is_confessed(world: ConsentWorld) -> None:
    link = world.link()
    world.store.down = True
    assert world.open(link).status_code == 503
