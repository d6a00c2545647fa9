"""A dead grant: suspected, confirmed, told once, probed, reminded of and replaced (contract 5 and 8)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import DAY, DEAD, LIFE, REFUSED, SILENT, RunWorld
from token_refresh.core.grant import Grant
from token_refresh.core.token_endpoint.outcome import GrantDead, TokenOutcome


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("alice")
    return world


def test_a_dead_grant_is_confirmed_by_a_second_refusal_whether_or_not_there_is_a_token(world: RunWorld) -> None:
    world.dying("alice")
    assert world.run() == {"alice": "suspect: revoked_or_expired"}
    assert world.events() == []
    assert world.later(900) == {"alice": "needs_consent: revoked_or_expired"}
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


def test_a_dead_grant_with_a_valid_token_is_confirmed_after_confirm_after_due_or_not(world: RunWorld) -> None:
    world.run()
    world.dying("alice")
    assert world.later(LIFE - 900) == {"alice": "suspect: revoked_or_expired"}
    assert world.events() == []
    assert world.run(force=True) == {"alice": "suspect: revoked_or_expired"}
    assert world.later(59, force=True) == {"alice": "suspect: revoked_or_expired"}
    assert len(world.exchange.sent) == 2, "force is no reason to ask at once again"
    assert world.later(1) == {"alice": "suspect: revoked_or_expired"}
    assert world.later(300) == {"alice": "suspect: revoked_or_expired"}
    assert len(world.exchange.sent) == 4, "tried in every run, due or not"
    assert world.events() == []
    assert world.later(540) == {"alice": "needs_consent: revoked_or_expired"}
    assert world.events() == ["invalid_grant alice"]
    assert world.last().data["access_token_expires_at"] == world.token("alice")["expires_at"]


def test_a_token_that_has_run_out_is_no_reason_to_ask_the_owner_at_once(world: RunWorld) -> None:
    world.run()
    world.dying("alice")
    assert world.later(LIFE) == {"alice": "suspect: revoked_or_expired"}
    assert world.events() == []


@pytest.mark.parametrize(("ago", "outcome"), [(899, "suspect"), (900, "needs_consent")])
def test_a_suspicion_with_the_contract_s_fields_alone_is_confirmed_like_any_other(
    world: RunWorld, ago: float, outcome: str
) -> None:
    since = world.clock() - ago
    fields = '"version": 1, "attempts": 1, "next_attempt_at": 0, "event_id": ""'
    note = f'{{"state": "suspect", "reason": "revoked_or_expired", "since": {since}, {fields}}}'
    world.store.set_annotations("alice-refresh-token", {"token-refresh.status": note})
    world.dying("alice")
    assert world.run() == {"alice": f"{outcome}: revoked_or_expired"}


def test_one_wrong_answer_harms_nobody(world: RunWorld) -> None:
    world.run()
    world.dying("alice")
    world.later(LIFE - 900)
    world.healed("alice")
    assert world.later(60) == {"alice": "refreshed: refreshed"}
    assert world.status("alice") is None
    assert world.events() == []


def test_the_second_attempt_reads_the_newest_version_first(world: RunWorld) -> None:
    world.run()
    world.dying("alice")
    world.later(LIFE - 900)
    world.store.put("alice-refresh-token", "alice-second")
    assert world.run() == {"alice": "refreshed: refreshed"}, "a newer version is tried at once"
    assert world.events() == []


@pytest.mark.parametrize("answer", [DEAD, REFUSED, SILENT], ids=["dead", "refused", "silent"])
def test_a_dead_grant_is_probed_soon_then_once_a_day_and_told_once(world: RunWorld, answer: TokenOutcome) -> None:
    world.dying("alice")
    world.confirmed()
    world.answers["alice-token"] = answer
    verdict_at, probed = world.clock(), []
    for _ in range(3 * 24 * 12):
        sent = len(world.exchange.sent)
        world.later(300)
        probed += [(world.clock() - verdict_at) / 3600] * (len(world.exchange.sent) - sent)
    assert probed == [0.25, 1, 4, 28, 52]
    assert world.events().count("invalid_grant alice") == 1
    world.healed("alice")
    assert world.later(DAY) == {"alice": "refreshed: refreshed"}
    assert world.events()[-1] == "recovered alice"
    assert world.status("alice") is None


def test_force_probes_a_dead_grant_at_once(world: RunWorld) -> None:
    world.dying("alice")
    world.confirmed()
    assert world.run(force=True) == {"alice": "needs_consent: revoked_or_expired"}
    assert len(world.exchange.sent) == 3


def test_a_new_grant_is_found_by_the_next_run_and_ends_the_incident(world: RunWorld) -> None:
    world.dying("alice")
    world.confirmed()
    world.store.put("alice-refresh-token", "alice-second")
    world.calls()
    assert world.later(300) == {"alice": "refreshed: refreshed"}
    assert world.events() == ["invalid_grant alice", "recovered alice"]
    assert world.last().data["version"] == 2
    assert world.status("alice") is None


def test_a_consent_that_died_before_its_last_write_is_counted_once(world: RunWorld) -> None:
    world.add("mail", provider="google")
    world.dying("mail")
    world.confirmed("mail")
    lease = f'{{"holder": "consent-1", "until": {world.clock() - 1}, "version": 1}}'
    world.store.set_annotations("mail-refresh-token", {"token-refresh.lease": lease})
    world.store.put("mail-refresh-token", "consented")
    assert world.run("mail") == {"mail": "refreshed: refreshed"}
    assert world.store.annotations("mail-refresh-token") == {"token-refresh.consents": "1"}
    world.answers["consented"] = DEAD
    world.clock.advance(LIFE)
    world.confirmed("mail")
    world.store.put("mail-refresh-token", "by-hand")
    assert world.run("mail") == {"mail": "refreshed: refreshed"}
    assert world.store.annotations("mail-refresh-token") == {"token-refresh.consents": "1"}


def test_a_dead_grant_costs_each_run_one_access(world: RunWorld) -> None:
    world.dying("alice")
    world.confirmed()
    world.calls()
    world.later(300)
    assert world.calls() == ["list_connections", "access"]


def test_a_new_grant_that_is_dead_too_is_told_again(world: RunWorld) -> None:
    world.dying("alice")
    world.confirmed()
    world.answers["alice-second"] = DEAD
    world.store.put("alice-refresh-token", "alice-second")
    assert world.run() == {"alice": "suspect: revoked_or_expired"}
    assert world.later(900) == {"alice": "needs_consent: revoked_or_expired"}
    assert world.events() == ["invalid_grant alice", "invalid_grant alice"]
    assert len({e.id for e in world.publisher.events}) == 2


def test_a_verdict_does_not_wait_for_another_client_s_provider() -> None:
    world = RunWorld(refresh_workers=1.0)
    world.add("dead")
    world.run()
    world.add("slow", "rotating-slow", provider="rotating")
    world.dying("dead")
    world.clock.advance(LIFE)
    seen = []
    normal = world.exchange._answer

    def answer(grant: Grant) -> TokenOutcome:
        seen.append(world.status("dead"))
        return normal(grant)

    world.exchange._answer = answer
    world.run("dead", "slow", versions={"dead": 1})
    assert [s and s["state"] for s in seen] == [None, "suspect"]


def test_nobody_has_consented_yet(world: RunWorld) -> None:
    world.add("new", token=None)
    assert world.run("new") == {"new": "needs_consent: never_consented"}
    assert world.events() == ["invalid_grant new"]
    assert world.last().data["consent_url"] == "https://consent.example/consent/new?ticket=for-consent-0"
    assert world.later(2 * DAY, "new", force=True)["new"] == "needs_consent: never_consented"
    assert world.events()[1:] == ["consent_overdue new"]
    world.store.put("new-refresh-token", "token")
    assert world.run("new") == {"new": "refreshed: refreshed"}
    assert world.events()[-1] == "recovered new"


def test_the_owner_is_reminded_after_one_day_and_three_then_weekly_for_ninety_days(world: RunWorld) -> None:
    world.dying("alice")
    world.confirmed()
    opened, told = world.last(), []
    for hour in range(1, 100 * 24):
        before = len(world.publisher.events)
        world.later(3600)
        told += [hour] * (len(world.publisher.events) - before)
    assert told == [24, 72, *range(240, 2161, 168)]
    assert set(world.events()[1:]) == {"consent_overdue alice"}
    assert world.last().data["consent_url"]
    assert {e.data["incident"] for e in world.publisher.events} == {opened.id}
    assert len({e.id for e in world.publisher.events}) == len(world.publisher.events)


@pytest.mark.parametrize("reason", ["reauth_required", "refresh_token_reused"])
def test_what_the_provider_says_of_a_death_is_passed_on(world: RunWorld, reason: str) -> None:
    world.answers["alice-token"] = GrantDead(reason)
    assert world.confirmed() == {"alice": f"needs_consent: {reason}"}
    assert world.last().data["remedy"] == ("reauthenticate" if reason == "reauth_required" else "reconsent")


def test_a_google_grant_that_dies_after_seven_days_was_in_testing_mode(world: RunWorld) -> None:
    world.clock.advance(7 * DAY + 600)
    world.dying("alice")
    assert world.confirmed() == {"alice": "needs_consent: testing_mode_expiry"}


@pytest.mark.parametrize(
    ("second", "outcome", "events"),
    [
        pytest.param(None, "refreshed: refreshed", [], id="alive-after-all"),
        pytest.param(REFUSED, "rejected: invalid_client", ["client_rejected oauth-client-google"], id="refused"),
        pytest.param(SILENT, "unavailable: http_503", ["refresh_failing alice", "refresh_failing bob"], id="silent"),
    ],
)
def test_the_second_attempt_may_say_something_else(
    world: RunWorld, second: TokenOutcome | None, outcome: str, events: list[str]
) -> None:
    world.add("bob")
    world.dying("alice", "bob")
    world.run()
    for name in ("alice", "bob"):
        world.healed(name)
        world.answers |= {f"{name}-token": second} if second else {}
    assert world.later(900) == {"alice": outcome, "bob": outcome}
    assert sorted(world.events()) == events
