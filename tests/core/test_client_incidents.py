"""A client's incidents in one run: opened once, joined by the others, ended by the first refresh (contract 5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from token_refresh.core.incident.client import ClientIncidents
from token_refresh.core.incident.incident import announce_client, is_mass
from token_refresh.core.status import State, Status

NOW = 1_000_000.0
MASS = "mass_invalid_grant"
REFUSED = Status(State.REJECTED, "invalid_client", NOW, version=5, tried_at=NOW, client="oauth-client-google")
DYING = replace(REFUSED, state=State.SUSPECT, reason="revoked_or_expired")
HELD = replace(DYING, state=State.NEEDS_CONSENT)
ILL = announce_client(REFUSED, "invalid_client")
BURST = announce_client(DYING, MASS)
ID, BURST_ID = ILL.client_event_id, BURST.client_event_id
OVER = f"recovered.{ID}"
# One that takes part, and has said or owes nothing yet.
MEMBER = replace(ILL, owed=())


def of(*statuses: Status | None, has_refreshed: bool = False, told_before: tuple[str, ...] = ()) -> ClientIncidents:
    return ClientIncidents(statuses, has_refreshed=has_refreshed, told_before=told_before)


@pytest.mark.parametrize(
    ("incidents", "is_open", "is_over"),
    [
        pytest.param(of(), False, False, id="nobody"),
        pytest.param(of(None, REFUSED), False, False, id="nobody-takes-part"),
        pytest.param(of(MEMBER), True, False, id="one-takes-part"),
        pytest.param(of(None, MEMBER, has_refreshed=True), False, True, id="a-refresh-ends-it"),
        pytest.param(of(replace(MEMBER, state=State.HEALTHY)), False, False, id="who-is-healthy-takes-no-part"),
        pytest.param(of(MEMBER, told_before=(ID,)), False, True, id="an-old-list-tells-of-what-was-ended-before"),
        pytest.param(of(MEMBER, told_before=("other",)), True, False, id="what-was-ended-before-is-another"),
    ],
)
def test_an_incident_is_open_until_a_connection_of_the_client_is_refreshed(
    incidents: ClientIncidents, *, is_open: bool, is_over: bool
) -> None:
    assert (incidents.is_open, incidents.is_over(MEMBER)) == (is_open, is_over)
    assert not incidents.is_over(None)
    assert not incidents.is_over(REFUSED)


@pytest.mark.parametrize(
    ("incidents", "reason", "joined"),
    [
        pytest.param(of(), "invalid_client", None, id="nothing-is-open"),
        pytest.param(of(MEMBER), "invalid_client", ID, id="one-is-open-for-this-reason"),
        pytest.param(of(MEMBER), "unauthorized_client", None, id="one-is-open-for-another-reason"),
        pytest.param(of(MEMBER), MASS, None, id="a-burst-is-not-a-refusal"),
        pytest.param(of(BURST), MASS, BURST_ID, id="a-burst-is-open"),
        pytest.param(
            of(replace(BURST, state=State.NEEDS_CONSENT)), MASS, BURST_ID, id="a-burst-whatever-its-members-came-to"
        ),
        pytest.param(of(BURST), "revoked_or_expired", None, id="a-burst-is-not-its-members-reason"),
        pytest.param(of(MEMBER, has_refreshed=True), "invalid_client", None, id="the-open-one-has-ended"),
    ],
)
def test_who_is_refused_joins_the_incident_of_its_reason_or_opens_one(
    incidents: ClientIncidents, reason: str, joined: str | None
) -> None:
    status = incidents.take_part(replace(REFUSED, client_version=9), reason)
    assert is_mass(status.client_event_id) is (reason == MASS)
    if joined:
        assert (status.client_event_id, status.owed) == (joined, ())
    else:
        assert status.client_event_id not in (ID, BURST_ID)
        assert status.owed == (status.client_event_id,)


def test_who_takes_part_already_stays_where_it_is() -> None:
    assert of(BURST).take_part(MEMBER, MASS) is MEMBER


def test_what_has_ended_within_the_minute_is_not_opened_again_under_the_same_id() -> None:
    for incidents in (of(told_before=(ID,)), of(MEMBER, has_refreshed=True)):
        again = incidents.take_part(REFUSED, "invalid_client")
        assert again.client_event_id != ID
        assert again.owed == (again.client_event_id,)
    assert of().take_part(REFUSED, "invalid_client").client_event_id == ID


@pytest.mark.parametrize(
    ("written", "reason", "asked", "joined"),
    [
        pytest.param(ILL, "invalid_client", "invalid_client", ID, id="the-next-joins-what-was-opened"),
        pytest.param(ILL, "invalid_client", "disabled_client", None, id="for-its-own-reason-only"),
        pytest.param(replace(HELD, client_event_id=BURST_ID), MASS, MASS, BURST_ID, id="a-burst-is-joined"),
        pytest.param(REFUSED, "invalid_client", "invalid_client", None, id="nothing-was-opened"),
        pytest.param(None, "invalid_client", "invalid_client", None, id="nothing-was-written"),
    ],
)
def test_what_was_written_is_what_the_next_connections_join(
    written: Status | None, reason: str, asked: str, joined: str | None
) -> None:
    incidents = of()
    incidents.note(written, reason)
    assert incidents.is_open is bool(written and written.client_event_id)
    status = incidents.take_part(replace(REFUSED, client_version=9), asked)
    assert (status.client_event_id, status.owed) == ((joined, ()) if joined else (status.owed[0], status.owed))


def test_the_incident_that_was_open_first_is_the_one_that_is_joined() -> None:
    incidents = of(MEMBER)
    incidents.note(replace(MEMBER, client_event_id="client_rejected.other.client"), "invalid_client")
    assert incidents.take_part(REFUSED, "invalid_client").client_event_id == ID


def test_the_first_that_leaves_owes_the_news_and_the_others_just_leave() -> None:
    incidents = of(MEMBER, MEMBER, has_refreshed=True)
    assert incidents.told == set()
    first, second = incidents.leave(MEMBER), incidents.leave(MEMBER)
    assert (first.owed, second.owed) == ((OVER,), ())
    assert (first.client_event_id, second.client_event_id) == ("", "")
    assert incidents.told == {ID}


def test_two_incidents_have_two_ends() -> None:
    incidents = of(MEMBER, BURST, has_refreshed=True)
    assert incidents.leave(MEMBER).owed == (OVER,)
    assert incidents.leave(replace(BURST, owed=())).owed == (f"recovered.{BURST_ID}",)
    assert incidents.told == {ID, BURST_ID}


@pytest.mark.parametrize(
    ("incidents", "status"),
    [
        pytest.param(of(MEMBER), MEMBER, id="it-is-open"),
        pytest.param(of(MEMBER, has_refreshed=True), REFUSED, id="it-took-no-part"),
        pytest.param(of(MEMBER, has_refreshed=True), BURST, id="its-own-is-another"),
    ],
)
def test_who_takes_no_part_in_what_has_ended_leaves_nothing(incidents: ClientIncidents, status: Status) -> None:
    assert incidents.leave(status) is status


def test_an_end_that_this_instance_has_told_is_not_told_again() -> None:
    incidents = of(MEMBER, told_before=(ID,))
    assert incidents.told == {ID}
    left = incidents.leave(MEMBER)
    assert (left.client_event_id, left.owed) == ("", ())


def test_an_end_that_was_not_written_is_left_to_another_connection() -> None:
    incidents = of(MEMBER, MEMBER, has_refreshed=True)
    incidents.leave(MEMBER)
    incidents.unsay(MEMBER)
    assert incidents.told == set()
    assert incidents.leave(MEMBER).owed == (OVER,)


def test_what_was_not_to_be_told_is_not_taken_back() -> None:
    incidents = of(MEMBER, has_refreshed=True)
    incidents.leave(MEMBER)
    incidents.unsay(REFUSED)
    incidents.unsay(BURST)
    assert incidents.told == {ID}
