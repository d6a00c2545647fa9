"""Incidents: announced once, owed until published, ended once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.worlds.statuses import DEAD, NOW, REFUSED
from token_refresh.core.incident.events import EventType
from token_refresh.core.incident.incident import (
    announce,
    announce_client,
    announce_unwritten,
    carry,
    end_client_incident,
    event_type_of,
    forget,
    incident_of,
    is_mass,
    is_of_client,
    join_client,
    leave_client,
    open_incidents,
    owe,
    recover,
    remind,
    rename,
    settle,
    told_beside,
)
from token_refresh.core.status import State, Status


def test_an_announced_incident_owes_its_event() -> None:
    status = announce(DEAD, EventType.INVALID_GRANT, "alice")
    assert status.owed == (status.event_id,)
    assert status == announce(DEAD, EventType.INVALID_GRANT, "alice"), "ids are deterministic"
    assert status.event_id != announce(replace(DEAD, since=NOW + 1), EventType.INVALID_GRANT, "alice").event_id
    assert status.event_id != announce(replace(DEAD, version=6), EventType.INVALID_GRANT, "alice").event_id
    assert status.event_id != announce(DEAD, EventType.INVALID_GRANT, "bob").event_id
    assert (event_type_of(status.event_id), is_of_client(status.event_id)) == ("invalid_grant", False)


def test_two_connections_that_report_one_client_at_the_same_moment_give_one_id() -> None:
    one = announce_client(replace(REFUSED, tried_at=960_000.1), "invalid_client")
    other = announce_client(replace(REFUSED, tried_at=960_059.9, version=9), "invalid_client")
    later = announce_client(replace(REFUSED, tried_at=960_060.0), "invalid_client")
    assert one.client_event_id == other.client_event_id != later.client_event_id
    assert is_of_client(one.client_event_id)
    assert one.owed == (one.client_event_id,)
    assert one.event_id == one.client_event_id


def test_an_incident_that_follows_within_the_minute_of_one_that_is_over_has_an_id_of_its_own() -> None:
    first = announce_client(replace(REFUSED, tried_at=960_000), "invalid_client").client_event_id
    second = announce_client(replace(REFUSED, tried_at=960_059), "invalid_client", {first})
    third = announce_client(replace(REFUSED, tried_at=960_059), "invalid_client", {first, second.client_event_id})
    assert len({first, second.client_event_id, third.client_event_id}) == 3
    assert second.owed == (second.client_event_id,)


def test_who_joins_a_client_s_incident_owes_nothing_and_keeps_an_incident_of_its_own() -> None:
    joined = join_client(REFUSED, "client_rejected.x.client")
    assert (joined.event_id, joined.owed) == ("client_rejected.x.client", ())
    own = join_client(replace(REFUSED, event_id="refresh_failing.y"), "client_rejected.x.client")
    assert (own.event_id, own.client_event_id) == ("refresh_failing.y", "client_rejected.x.client")


def test_an_unhealthy_time_of_many_incidents_keeps_the_last_twenty() -> None:
    status = DEAD
    for n in range(30):
        status = announce(replace(status, since=NOW + n), EventType.REFRESH_FAILING, "s")
    assert len(status.incidents) == 20
    assert list(open_incidents(status))[-1] == status.event_id


def test_an_incident_is_known_by_the_id_that_its_event_was_published_with() -> None:
    status = announce(announce(DEAD, EventType.REFRESH_FAILING, "s"), EventType.INVALID_GRANT, "s")
    first, second = open_incidents(status)
    renamed = rename(rename(status, second, "other"), first, "another")
    assert (renamed.event_id, list(open_incidents(renamed)), renamed.owed) == ("other", ["another", "other"], ())


def test_what_nobody_has_heard_of_is_forgotten() -> None:
    status = announce(announce(DEAD, EventType.REFRESH_FAILING, "s"), EventType.INVALID_GRANT, "s")
    first, second = open_incidents(status)
    assert list(open_incidents(forget(status, [second]))) == [first]
    assert (forget(status, [second]).event_id, forget(status, [second]).owed) == ("", (first,))


def test_what_is_owed_is_owed_once_and_settled_once() -> None:
    status = owe(owe(DEAD, "a"), "b")
    assert owe(status, "a") == status
    assert settle(status, "a").owed == ("b",)


@pytest.mark.parametrize(
    ("status", "types"),
    [
        pytest.param(replace(DEAD, event_id="invalid_grant.x"), ["recovered"], id="of-the-connection"),
        pytest.param(join_client(REFUSED, "c.x.client"), [], id="one-of-the-client-s-many"),
        pytest.param(
            end_client_incident(join_client(REFUSED, "c.x.client"), "c.x.client"), ["recovered"], id="its-end"
        ),
        pytest.param(
            end_client_incident(
                replace(join_client(REFUSED, "c.x.client"), event_id="refresh_failing.x"), "c.x.client"
            ),
            ["recovered", "recovered"],
            id="both",
        ),
        pytest.param(
            announce(announce(DEAD, EventType.REFRESH_FAILING, "s"), EventType.INVALID_GRANT, "s"),
            ["refresh_failing", "invalid_grant", "recovered", "recovered"],
            id="one-after-the-other",
        ),
        pytest.param(Status(State.SUSPECT, "why", NOW), [], id="a-suspicion-nobody-heard-of"),
        pytest.param(
            replace(DEAD, event_id="invalid_grant.x", owed=("invalid_grant.x",)),
            ["invalid_grant", "recovered"],
            id="in-order-after-what-is-still-owed",
        ),
    ],
)
def test_recovery_is_told_once(status: Status, types: list[str]) -> None:
    over = recover(status, NOW + 5)
    assert [event_type_of(i) for i in over.owed] == types
    assert (over.state, over.since, over.event_id, over.client_event_id) == ("healthy", NOW + 5, "", "")
    assert recover(over, NOW + 6).owed == over.owed, "a second recovery says nothing new"


def test_a_recovery_s_id_tells_which_incident_it_ends() -> None:
    status = announce(DEAD, EventType.INVALID_GRANT, "alice")
    (_, recovered) = recover(status, NOW).owed
    assert incident_of(recovered, recover(status, NOW)) == status.event_id
    assert incident_of(status.event_id, status) == status.event_id
    assert incident_of(remind(status, "alice", 24).owed[-1], status) == status.event_id
    assert incident_of("consent_expiring.x", status) is None


def test_a_burst_of_deaths_is_told_by_its_id() -> None:
    status = announce_client(replace(DEAD, client="oauth-client-google", tried_at=NOW), "mass_invalid_grant")
    assert is_mass(status.client_event_id)
    assert is_of_client(status.client_event_id)
    left = leave_client(status)
    assert (left.event_id, left.client_event_id) == ("", "")
    assert not is_mass(announce_client(REFUSED, "invalid_client").client_event_id)


def test_a_state_that_cannot_be_written_has_one_event_a_day() -> None:
    status = announce(DEAD, EventType.INVALID_GRANT, "alice")
    midday = NOW - NOW % 86_400 + 43_200
    ids = [announce_unwritten(status, status.event_id, "alice", midday + s) for s in (0, 43_000, 44_000)]
    assert ids[0] == ids[1] != ids[2]
    again = announce(replace(DEAD, since=NOW + 99), EventType.INVALID_GRANT, "alice")
    assert announce_unwritten(again, again.event_id, "alice", midday) == ids[0]
    client = announce_client(REFUSED, "invalid_client")
    assert is_of_client(announce_unwritten(client, client.client_event_id, "alice", midday))


def test_what_was_told_beside_a_status_is_ended_with_it() -> None:
    written = announce(replace(DEAD, since=NOW - 99), EventType.REFRESH_FAILING, "alice")
    kept = settle(announce(written, EventType.INVALID_GRANT, "alice"), written.event_id)
    other = announce(replace(DEAD, since=NOW + 99), EventType.INVALID_GRANT, "alice")
    told = told_beside(settle(kept, kept.event_id), written, other)
    assert dict(open_incidents(told)) == {kept.event_id: "revoked_or_expired"}, "the rest is written"
    assert told_beside(other, other).incidents == ()
    carried = carry(other, told)
    assert set(open_incidents(carried)) == {kept.event_id, other.event_id}
    assert carried.owed == other.owed
    assert len(recover(carried, NOW).owed) == 3
    over = recover(replace(other, owed=()), NOW)
    assert carry(over, told).owed == (*over.owed, f"recovered.{kept.event_id}"), "it is healthy: at once"


CLIENTS = "client_rejected.c.client"
BOTH = replace(join_client(announce(DEAD, EventType.INVALID_GRANT, "alice"), CLIENTS), reason="invalid_client")
OWN = BOTH.event_id


@pytest.mark.parametrize(
    ("written", "told"),
    [
        pytest.param((), {CLIENTS: "invalid_client", OWN: "revoked_or_expired"}, id="nothing-is-written"),
        pytest.param((None,), {CLIENTS: "invalid_client", OWN: "revoked_or_expired"}, id="what-is-written-is-healthy"),
        pytest.param((replace(DEAD, event_id=OWN),), {CLIENTS: "invalid_client"}, id="its-own-is-written"),
        pytest.param((replace(DEAD, client_event_id=CLIENTS),), {OWN: "revoked_or_expired"}, id="the-client-s"),
        pytest.param((None, BOTH), {}, id="both-are-written"),
    ],
)
def test_what_no_written_status_knows_was_told_beside_it(
    written: tuple[Status | None, ...], told: dict[str, str]
) -> None:
    beside = told_beside(replace(BOTH, owed=(OWN, "recovered.older")), *written)
    assert dict(open_incidents(beside)) == told
    assert (beside.event_id, beside.client_event_id) == ("", ""), "they are ended, and none is its own"
    assert beside.owed == ((OWN,) if OWN in told else ())


@pytest.mark.parametrize(
    ("owed", "told"),
    [
        pytest.param(("recovered.invalid_grant.a",), ["invalid_grant.a"], id="one-end-is-still-owed"),
        pytest.param((), [], id="every-end-was-told"),
    ],
)
def test_what_was_told_beside_a_healthy_status_is_what_its_end_is_still_owed_of(
    owed: tuple[str, ...], told: list[str]
) -> None:
    incidents = ("invalid_grant.a revoked_or_expired", "refresh_failing.b http_503")
    healthy = Status(State.HEALTHY, "healthy", NOW, incidents=incidents, owed=owed)
    assert list(open_incidents(told_beside(healthy))) == told


def test_what_may_not_have_been_told_is_told_unless_its_grant_was_replaced() -> None:
    kept = announce(DEAD, EventType.INVALID_GRANT, "alice")
    told, other = told_beside(kept), replace(DEAD, since=NOW + 99)
    assert carry(other, told).owed == (kept.event_id,)
    replaced = replace(other, version=6)
    assert carry(replaced, told) == replaced
