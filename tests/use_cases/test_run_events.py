"""Each incident is told once and none is lost; an end that is known is told in time (contract 8)."""

from __future__ import annotations

import json
import logging

import pytest

from tests.fakes.instance import Crash, build_provider
from tests.worlds.runs import DAY, DEAD, LIFE, REFUSED, RunWorld
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import GrantDead, Refreshed
from token_refresh.errors import SecretMissing, StoreDenied, StoreRefused


@pytest.fixture(autouse=True)
def _heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let log lines reach the test, whatever an earlier one has configured."""
    monkeypatch.setattr(logging.getLogger("token_refresh"), "propagate", True)


@pytest.fixture
def world() -> RunWorld:
    """One healthy connection, which no fault of another one may harm."""
    world = RunWorld()
    world.add("good")
    return world


def test_what_the_topic_did_not_take_is_published_by_a_later_run(world: RunWorld) -> None:
    world.add("dead")
    world.add("refused", '{"refresh_token": "refused-token", "client_id": "c", "client_secret": "s"}')
    world.answers |= {"dead-token": DEAD, "refused-token": REFUSED}
    world.publisher.down = True
    world.confirmed()
    assert world.events() == []
    assert len((world.status("dead") or {})["owed"]) == 1
    world.publisher.down = False
    world.new_instance()
    world.later(10)
    assert sorted(world.events()) == ["client_rejected client:c", "invalid_grant dead"]
    world.later(10)
    assert len(world.events()) == 2
    assert "owed" not in (world.status("dead") or {})


def test_an_incident_that_began_and_ended_while_the_topic_was_down_is_told_in_order(world: RunWorld) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.publisher.down = True
    world.confirmed()
    world.store.put("dead-refresh-token", "second")
    assert world.run()["dead"] == "refreshed: refreshed"
    status = world.status("dead")
    assert status
    assert status["state"] == "healthy"
    assert world.later(LIFE - 800)["dead"] == "refreshed: refreshed"
    world.publisher.down = False
    assert world.run()["dead"] == "fresh: not_due"
    assert world.events() == ["invalid_grant dead", "recovered dead"]
    assert world.status("dead") is None
    world.later(LIFE)
    assert len(world.events()) == 2


def test_an_owner_is_not_asked_for_a_grant_that_was_replaced_before_the_topic_came_back(world: RunWorld) -> None:
    world.add("dead")
    world.answers |= {"dead-token": DEAD, "second": DEAD}
    world.publisher.down = True
    world.confirmed()
    world.store.put("dead-refresh-token", "second")
    world.publisher.down = False
    assert world.run("dead") == {"dead": "suspect: revoked_or_expired"}
    assert world.later(10, "dead")["dead"].startswith("suspect")
    assert world.events() == [], "the new grant was refused once, which may be a bad moment"
    assert world.later(world.settings.confirm_after, "dead")["dead"].startswith("needs_consent")
    assert world.events() == ["invalid_grant dead"]
    assert world.last().data["version"] == 2


def test_and_hears_of_a_replaced_grant_when_the_rotation_was_lost_and_nobody_was_told(world: RunWorld) -> None:
    world.add("dead")
    world.answers |= {"dead-token": GrantDead("lost_rotation"), "late": DEAD}
    world.publisher.down = True
    world.confirmed()
    world.store.put("dead-refresh-token", "late")
    world.publisher.down = False
    assert world.confirmed("dead") == {"dead": "needs_consent: lost_rotation"}
    assert world.events() == ["invalid_grant dead"]


def test_a_connection_that_still_owes_an_event_may_fall_ill_again(world: RunWorld) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.confirmed()
    world.publisher.down = True
    world.answers.clear()
    world.later(DAY)
    world.publisher.down = False
    world.answers["dead-token"] = DEAD
    world.clock.advance(LIFE)
    assert world.confirmed()["dead"].startswith("needs_consent")
    assert world.events() == ["invalid_grant dead", "recovered dead", "invalid_grant dead"]
    assert len({e.id for e in world.publisher.events}) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_around_a_publication_repeats_it_with_the_same_id_at_worst(world: RunWorld, when: str) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.publisher.faults.fail("publish", Crash(), when=when)
    with pytest.raises(Crash):
        world.confirmed()
    world.publisher.faults.dead = False
    world.new_instance()
    world.later(60)
    assert set(world.events()) == {"invalid_grant dead"}
    assert len({e.id for e in world.publisher.events}) == 1


def test_a_defect_met_while_telling_harms_no_other_and_loses_nothing(
    world: RunWorld, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("dead", "gone"):
        world.add(name)
        world.answers[f"{name}-token"] = DEAD
    world.publisher.faults.fail("publish", RuntimeError("CANARY"), secret_id="dead")
    world.confirmed()
    assert world.events() == ["invalid_grant gone"]
    assert "CANARY" not in caplog.text
    world.run()
    assert world.events() == ["invalid_grant gone", "invalid_grant dead"]


def test_a_status_that_could_not_be_written_is_decided_again(world: RunWorld) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.store.faults.fail("annotate", secret_id="dead-refresh-token")
    world.run()
    assert (world.events(), world.status("dead")) == ([], None)
    world.later(60)
    world.later(900)
    assert world.events() == ["invalid_grant dead"]


@pytest.mark.parametrize("fault", [StoreDenied("no"), StoreRefused("full"), SecretMissing("gone")])
def test_a_death_whose_state_cannot_be_written_is_told_all_the_same_once_a_day(
    world: RunWorld, fault: Exception
) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.store.faults.fail("annotate", fault, secret_id="dead-refresh-token", times=10**9)
    for _ in range(12):
        world.later(300)
    assert world.events() == ["invalid_grant dead"]
    world.new_instance()
    world.store.faults.fail("annotate", fault, secret_id="dead-refresh-token", times=10**9)
    for _ in range(12):
        world.later(300)
    assert world.events() == ["invalid_grant dead"] * 2
    assert len({e.id for e in world.publisher.events}) == 1, "whoever finds it out that day"
    world.healed("dead")
    world.later(DAY)
    assert world.events()[-1] == "recovered dead"
    assert world.last().data["incident"] == world.publisher.events[0].id


def test_an_owner_is_warned_before_a_grant_ends_by_itself(world: RunWorld) -> None:
    ends = int(world.clock()) + 30 * DAY
    payload = json.dumps({"refresh_token": "t", "issued_at": ends - 100 * DAY, "expires_at": ends})
    world.add("limited", payload)
    told = []
    for hour in range(30 * 24):
        before = len(world.publisher.events)
        world.run()
        told += [(ends - world.clock()) / DAY] * (len(world.publisher.events) - before)
        if hour == 10:
            assert world.calls().count("annotate") == 0, "a warning needs no memory"
        world.clock.advance(3600)
    assert [round(t, 1) for t in told] == [7.0, 1.0]
    assert world.events() == ["consent_expiring limited"] * 2
    assert len({e.id for e in world.publisher.events}) == 2
    data = world.last().data
    assert data["consent_url"] == "https://consent.example/consent/limited?ticket=for-consent-0"
    assert data["version"] == 1
    assert "ends in about 24 hours" in str(data["message"])


def test_a_warning_that_the_topic_did_not_take_is_published_later(world: RunWorld) -> None:
    world.add("limited", json.dumps({"refresh_token": "t", "expires_at": world.clock() + 3 * DAY}))
    world.publisher.down = True
    assert world.run()["limited"] == "refreshed: refreshed"
    world.publisher.down = False
    assert world.run()["limited"] == "fresh: not_due"
    assert world.events() == ["consent_expiring limited"]
    assert "about 3 days" in str(world.last().data["message"])
    assert world.status("limited") is None


@pytest.mark.parametrize(("seconds", "words"), [(4000, "about 67 minutes"), (-1, "about 1 minute")])
def test_an_end_that_is_near_is_told_in_minutes(world: RunWorld, seconds: float, words: str) -> None:
    world.add("limited", json.dumps({"refresh_token": "t", "expires_at": world.clock() + seconds}))
    world.run()
    assert words in str(world.last().data["message"])


def test_a_recovery_and_a_warning_at_once_are_both_told(world: RunWorld) -> None:
    world.add("limited")
    world.answers["limited-token"] = DEAD
    world.confirmed()
    world.store.put("limited-refresh-token", json.dumps({"refresh_token": "t", "expires_at": world.clock() + 3 * DAY}))
    world.publisher.down = True
    world.run()
    world.publisher.down = False
    world.run()
    assert world.events() == ["invalid_grant limited", "recovered limited", "consent_expiring limited"]
    assert world.status("limited") is None


def test_the_end_of_a_rotated_grant_is_written_into_its_payload() -> None:
    world = RunWorld()
    world.providers = [build_provider(refresh_token_lifetime=90 * DAY)]
    world.new_instance()
    world.add("r", json.dumps({"refresh_token": "first", "note": "kept", "expires_at": 5}), provider="rotating")
    world.answers["first"] = Refreshed(Secret("t"), int(world.clock()) + LIFE, scope="a", refresh_token=Secret("next"))
    world.run()
    now = int(world.clock())
    assert json.loads(world.store.payloads("r-refresh-token")[2]) == {
        "refresh_token": "next",
        "note": "kept",
        "issued_at": now,
        "expires_at": now + 90 * DAY,
        "scope": "a",
    }


@pytest.mark.parametrize("key", ["issued_at", "consented_at", "expires_at"])
def test_a_rotated_grant_is_stored_although_a_time_in_its_payload_is_no_number(key: str) -> None:
    world = RunWorld()
    world.providers = [build_provider(refresh_token_lifetime=90 * DAY, refresh_token_lifetime_from="consent")]
    world.new_instance()
    world.add("r", json.dumps({"refresh_token": "first", key: float("inf")}), provider="rotating")
    world.answers["first"] = Refreshed(Secret("t"), int(world.clock()) + LIFE, refresh_token=Secret("next"))
    assert world.run() == {"r": "refreshed: refreshed"}
    assert json.loads(world.store.payloads("r-refresh-token")[2])["refresh_token"] == "next"


def test_the_owner_of_a_paused_connection_is_not_reminded(world: RunWorld) -> None:
    world.add("alice")
    world.dying("alice")
    world.confirmed("alice")
    record = world.store.cloud.secrets["alice-refresh-token"].record
    world.store.cloud.write(type(record)(record.secret_id, {"token-refresh": "paused"}, record.annotations, ""))
    world.later(2 * DAY)
    assert world.events() == ["invalid_grant alice"]
    record = world.store.cloud.secrets["alice-refresh-token"].record
    world.store.cloud.write(type(record)(record.secret_id, {"token-refresh": "enabled"}, record.annotations, ""))
    world.run()
    assert world.events() == ["invalid_grant alice", "consent_overdue alice"]


def test_a_reminder_that_is_told_after_the_end_says_of_which_incident(world: RunWorld) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.confirmed()
    world.publisher.down = True
    world.later(2 * DAY)
    world.store.put("dead-refresh-token", "second")
    world.run()
    world.publisher.down = False
    world.later(10)
    opened, overdue, recovered = world.publisher.events
    assert [e.type for e in (opened, overdue, recovered)] == ["invalid_grant", "consent_overdue", "recovered"]
    assert overdue.data["incident"] == recovered.data["incident"] == opened.id
