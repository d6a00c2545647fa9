"""A dead grant: suspected, confirmed, told once, probed, reminded of and replaced (contract 5 and 8)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import DAY, DEAD, LIFE, REFUSED, SILENT, World
from token_refresh.core.grant import Grant, RefreshTokenGrant
from token_refresh.core.token_endpoint.outcome import GrantDead, TokenOutcome
from token_refresh.core.trigger import Trigger


@pytest.fixture
def world() -> World:
    world = World()
    world.add("alice")
    return world


def test_a_dead_grant_without_a_token_is_confirmed_in_the_same_run(world: World) -> None:
    world.dying("alice")
    assert world.run() == {"alice": "needs_consent: revoked_or_expired"}
    assert len(world.exchange.sent) == 2
    assert world.events() == ["invalid_grant alice"]
    data = world.last().data
    assert data["consent_url"] == "https://consent.example/consent/alice?ticket=for-consent-0"
    assert data["error_description"] == "Token has been expired or revoked."
    assert data["version"] == 1
    status = world.status("alice")
    assert status
    assert status["event_id"] == world.last().id
    assert "owed" not in status


def test_a_dead_grant_with_a_valid_token_is_confirmed_after_confirm_after_due_or_not(world: World) -> None:
    world.run()
    world.dying("alice")
    assert world.later(LIFE - 900) == {"alice": "suspect: revoked_or_expired"}
    assert world.events() == []
    assert world.run(force=True) == {"alice": "suspect: revoked_or_expired"}
    assert world.later(59, force=True) == {"alice": "suspect: revoked_or_expired"}
    assert len(world.exchange.sent) == 2
    assert world.later(1) == {"alice": "needs_consent: revoked_or_expired"}
    assert world.events() == ["invalid_grant alice"]
    assert world.last().data["access_token_expires_at"] == world.token("alice")["expires_at"]


def test_a_token_that_has_run_out_is_no_reason_to_wait(world: World) -> None:
    world.run()
    world.dying("alice")
    assert world.later(LIFE) == {"alice": "needs_consent: revoked_or_expired"}


def test_one_wrong_answer_harms_nobody(world: World) -> None:
    world.run()
    world.dying("alice")
    world.later(LIFE - 900)
    world.healed("alice")
    assert world.later(60) == {"alice": "refreshed: refreshed"}
    assert world.status("alice") is None
    assert world.events() == []


def test_the_second_attempt_reads_the_newest_version_first(world: World) -> None:
    world.run()
    world.dying("alice")
    world.later(LIFE - 900)
    world.store.put("alice-refresh-token", "alice-second")
    assert world.run() == {"alice": "refreshed: refreshed"}, "a newer version is tried at once"
    assert world.events() == []


def test_a_dead_grant_is_probed_once_a_day_and_told_once(world: World) -> None:
    world.dying("alice")
    world.run()
    sent = len(world.exchange.sent)
    for _ in range(24 * 12 - 1):
        world.later(300)
    assert len(world.exchange.sent) == sent
    assert world.later(300) == {"alice": "needs_consent: revoked_or_expired"}
    assert len(world.exchange.sent) == sent + 1
    assert world.events().count("invalid_grant alice") == 1
    world.healed("alice")
    assert world.later(DAY) == {"alice": "refreshed: refreshed"}
    assert world.events()[-1] == "recovered alice"
    assert world.status("alice") is None


def test_force_probes_a_dead_grant_at_once(world: World) -> None:
    world.dying("alice")
    world.run()
    assert world.run(force=True) == {"alice": "needs_consent: revoked_or_expired"}
    assert len(world.exchange.sent) == 3


def test_a_new_grant_is_found_by_the_next_run_and_ends_the_incident(world: World) -> None:
    world.dying("alice")
    world.run()
    world.store.put("alice-refresh-token", "alice-second")
    world.calls()
    assert world.later(300) == {"alice": "refreshed: refreshed"}
    assert world.events() == ["invalid_grant alice", "recovered alice"]
    assert world.last().data["version"] == 2
    assert world.status("alice") is None


def test_a_dead_grant_costs_each_run_one_access(world: World) -> None:
    world.dying("alice")
    world.run()
    world.calls()
    world.later(300)
    assert world.calls() == ["list_connections", "access"]


def test_a_new_grant_that_is_dead_too_is_told_again(world: World) -> None:
    world.dying("alice")
    world.run()
    world.answers["alice-second"] = DEAD
    world.store.put("alice-refresh-token", "alice-second")
    assert world.run() == {"alice": "needs_consent: revoked_or_expired"}
    assert world.events() == ["invalid_grant alice", "invalid_grant alice"]
    assert len({e.id for e in world.publisher.events}) == 2


def test_nobody_has_consented_yet(world: World) -> None:
    world.add("new", token=None)
    assert world.run("new") == {"new": "needs_consent: never_consented"}
    assert world.events() == ["invalid_grant new"]
    assert world.last().data["consent_url"] == "https://consent.example/consent/new?ticket=for-consent-0"
    assert world.later(2 * DAY, "new", force=True)["new"] == "needs_consent: never_consented"
    assert world.events()[1:] == ["consent_overdue new"]
    world.store.put("new-refresh-token", "token")
    assert world.run("new") == {"new": "refreshed: refreshed"}
    assert world.events()[-1] == "recovered new"


def test_the_owner_is_reminded_after_one_day_and_three_and_never_again(world: World) -> None:
    world.dying("alice")
    world.run()
    told = []
    for hour in range(1, 5 * 24):
        before = len(world.publisher.events)
        world.later(3600)
        told += [hour] * (len(world.publisher.events) - before)
    assert told == [24, 72]
    assert world.events() == ["invalid_grant alice", "consent_overdue alice", "consent_overdue alice"]
    assert world.last().data["consent_url"]
    assert len({e.id for e in world.publisher.events}) == 3


def test_of_two_instances_that_judge_a_grant_at_the_same_moment_one_tells(world: World) -> None:
    world.dying("alice")
    first = world.runner
    second = world.new_instance()
    pending = [second]
    normal = world.exchange._answer

    def answer(grant: Grant) -> TokenOutcome:
        if pending:
            pending.pop().run(Trigger())
        return normal(grant)

    world.exchange._answer = answer
    first.run(Trigger())
    assert world.events() == ["invalid_grant alice"]
    world.later(60)
    assert world.events() == ["invalid_grant alice"]


@pytest.mark.parametrize("reason", ["reauth_required", "refresh_token_reused"])
def test_what_the_provider_says_of_a_death_is_passed_on(world: World, reason: str) -> None:
    world.answers["alice-token"] = GrantDead(reason)
    assert world.run() == {"alice": f"needs_consent: {reason}"}
    assert world.last().data["remedy"] == ("reauthenticate" if reason == "reauth_required" else "reconsent")


def test_a_google_grant_that_dies_after_seven_days_was_in_testing_mode(world: World) -> None:
    world.clock.advance(7 * DAY + 600)
    world.dying("alice")
    assert world.run() == {"alice": "needs_consent: testing_mode_expiry"}


@pytest.mark.parametrize(
    ("second", "outcome", "events"),
    [
        pytest.param(None, "refreshed: refreshed", [], id="alive-after-all"),
        pytest.param(REFUSED, "rejected: invalid_client", ["client_rejected oauth-client-google"], id="refused"),
        pytest.param(SILENT, "unavailable: http_503", ["refresh_failing alice", "refresh_failing bob"], id="silent"),
    ],
)
def test_the_second_attempt_of_a_run_may_say_something_else(
    world: World, second: TokenOutcome | None, outcome: str, events: list[str]
) -> None:
    world.add("bob")
    answers = {"alice-token": [DEAD, second], "bob-token": [DEAD, second]}
    normal = world.exchange._answer

    def answer(grant: Grant) -> TokenOutcome:
        assert isinstance(grant, RefreshTokenGrant)
        return answers[grant.refresh_token.reveal()].pop(0) or normal(grant)

    world.exchange._answer = answer
    assert world.run() == {"alice": outcome, "bob": outcome}
    assert sorted(world.events()) == events
