"""A provider that does not answer: back-off, and word in time (contract 5)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import DAY, DEAD, LIFE, REFUSED, SILENT, RunWorld
from token_refresh.core.incident.events import EventType
from token_refresh.core.incident.notice import Notice
from token_refresh.core.token_endpoint.outcome import TokenOutcome, Unavailable


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("alice")
    return world


def test_a_silent_provider_is_nobody_s_fault_while_there_is_time(world: RunWorld) -> None:
    world.run()
    world.clock.advance(LIFE - 900)
    world.answers["alice-token"] = SILENT
    world.calls()
    assert world.run() == {"alice": "unavailable: http_503"}
    assert world.run() == {"alice": "unavailable: http_503"}
    assert len(world.exchange.sent) == 2, "the second run backs off"
    assert "annotate" not in world.calls()
    assert world.events() == []
    world.healed("alice")
    assert world.later(60) == {"alice": "refreshed: refreshed"}
    assert world.events() == []


def test_a_provider_that_stays_silent_is_told_once_when_half_the_margin_is_gone(world: RunWorld) -> None:
    world.run()
    world.clock.advance(LIFE - 900)
    world.answers["alice-token"] = SILENT
    while world.clock() < world.token("alice")["expires_at"] - 450:
        world.run()
        assert world.events() == []
        world.clock.advance(60)
    world.later(60)
    assert world.events() == ["refresh_failing alice"]
    assert world.last().data["remedy"] == "wait"
    for _ in range(100):
        assert world.later(300) == {"alice": "unavailable: http_503"}
    assert world.events() == ["refresh_failing alice"]
    world.healed("alice")
    world.later(900)
    assert world.events() == ["refresh_failing alice", "recovered alice"]


def test_without_a_token_silence_is_told_at_once(world: RunWorld) -> None:
    world.answers["alice-token"] = SILENT
    world.run()
    assert world.events() == ["refresh_failing alice"]


def test_retry_after_is_honoured_before_and_after_the_state_is_written(world: RunWorld) -> None:
    world.run()
    world.clock.advance(LIFE - 900)
    world.answers["alice-token"] = Unavailable("http_429", retry_after=700)
    world.run()
    assert world.status("alice") is None
    world.later(440)
    assert (len(world.exchange.sent), world.events()) == (2, [])
    world.later(11)
    assert len(world.exchange.sent) == 2
    assert world.events() == ["refresh_failing alice"], "told in time, although its turn has not come"
    status = world.status("alice")
    assert status
    assert (status["state"], status["reason"]) == ("unavailable", "http_429")
    world.later(248)
    assert len(world.exchange.sent) == 2
    world.later(1)
    assert len(world.exchange.sent) == 3
    assert world.events() == ["refresh_failing alice"]


def test_a_restart_releases_nothing_at_once(world: RunWorld) -> None:
    for name, answer in (("alice", SILENT), ("bob", REFUSED), ("carol", DEAD)):
        if name != "alice":
            world.add(name)
        world.answers[f"{name}-token"] = answer
    world.run()
    sent = len(world.exchange.sent)
    world.new_instance()
    world.later(20)
    assert len(world.exchange.sent) == sent


def test_a_newer_version_and_force_skip_the_back_off(world: RunWorld) -> None:
    world.answers["alice-token"] = SILENT
    world.run()
    world.run(force=True)
    assert len(world.exchange.sent) == 2
    world.store.put("alice-refresh-token", "alice-second")
    assert world.run() == {"alice": "refreshed: refreshed"}


@pytest.mark.parametrize("first", [DEAD, REFUSED])
def test_a_new_grant_whose_provider_is_silent_backs_off_as_well(world: RunWorld, first: TokenOutcome) -> None:
    world.answers["alice-token"] = first
    world.run()
    world.store.put("alice-refresh-token", "alice-second")
    world.answers["alice-second"] = Unavailable("http_429", retry_after=600)
    world.run()
    sent = len(world.exchange.sent)
    for _ in range(5):
        world.later(110)
    assert len(world.exchange.sent) == sent
    world.answers.pop("alice-second")
    assert world.later(50) == {"alice": "refreshed: refreshed"}


def test_silence_acquits_no_suspect(world: RunWorld) -> None:
    world.run()
    world.dying("alice")
    world.later(LIFE - 900)
    world.answers["alice-token"] = SILENT
    assert world.later(60) == {"alice": "unavailable: http_503"}
    assert (world.status("alice") or {})["state"] == "suspect"
    world.dying("alice")
    assert world.later(900)["alice"].startswith("needs_consent")


def test_an_incident_that_a_worse_one_has_followed_ends_with_it_each_with_an_end_of_its_own(world: RunWorld) -> None:
    """A pager that has opened an alert for each must be told that each is over; an owner hears only of their own."""
    world.answers["alice-token"] = SILENT
    world.run()
    world.dying("alice")
    world.later(3600)
    assert world.later(3600)["alice"].startswith("needs_consent")
    world.healed("alice")
    world.later(DAY)
    silence, death, *ends = world.publisher.events
    assert (silence.type, death.type) == ("refresh_failing", "invalid_grant")
    assert [(e.type, e.data["incident"], e.data["reason"]) for e in ends] == [
        ("recovered", silence.id, "refresh_failing"),
        ("recovered", death.id, "revoked_or_expired"),
    ]
    assert [Notice(e.id, EventType(e.type), e.subject, e.data).is_for_owner for e in ends] == [False, True]
    assert world.status("alice") is None


def test_silence_that_a_suspicion_has_interrupted_is_told_once(world: RunWorld) -> None:
    world.answers["alice-token"] = SILENT
    world.run()
    world.dying("alice")
    assert world.later(3600)["alice"].startswith("suspect")
    world.answers["alice-token"] = SILENT
    assert world.later(3600) == {"alice": "unavailable: http_503"}
    assert world.events() == ["refresh_failing alice"]
    world.healed("alice")
    world.later(3600)
    assert world.events() == ["refresh_failing alice", "recovered alice"]
