"""The states of a connection over several runs, and what is published about them (contract 5 and 8)."""

from __future__ import annotations

import pytest

from tests.world import DAY, DEAD, LIFE, REFUSED, SILENT, World
from token_refresh.core.grant import Grant, RefreshTokenGrant
from token_refresh.core.outcome import GrantDead, TokenOutcome, Unavailable
from token_refresh.core.trigger import Trigger


@pytest.fixture
def world() -> World:
    world = World()
    world.add("alice")
    return world


def dying(world: World, *names: str) -> None:
    world.answers |= {f"{n}-token": DEAD for n in names}


def healed(world: World, *names: str) -> None:
    for name in names:
        world.answers.pop(f"{name}-token", None)


# -- suspect and needs_consent -----------------------------------------------------------------------------------------


def test_a_dead_grant_without_a_token_is_confirmed_in_the_same_run(world: World) -> None:
    dying(world, "alice")
    assert world.run() == {"alice": "needs_consent: revoked_or_expired"}
    assert len(world.exchange.sent) == 2
    assert world.events() == ["invalid_grant alice"]
    data = world.last().data
    assert data["consent_url"] == "https://consent.example/consent/alice?ticket=for-version-1"
    assert data["error_description"] == "Token has been expired or revoked."
    assert data["version"] == 1
    status = world.status("alice")
    assert status
    assert status["event_id"] == world.last().id
    assert "owed" not in status


def test_a_dead_grant_with_a_valid_token_is_confirmed_after_confirm_after_due_or_not(world: World) -> None:
    world.run()
    dying(world, "alice")
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
    dying(world, "alice")
    assert world.later(LIFE) == {"alice": "needs_consent: revoked_or_expired"}


def test_one_wrong_answer_harms_nobody(world: World) -> None:
    world.run()
    dying(world, "alice")
    world.later(LIFE - 900)
    healed(world, "alice")
    assert world.later(60) == {"alice": "refreshed: refreshed"}
    assert world.status("alice") is None
    assert world.events() == []


def test_the_second_attempt_reads_the_newest_version_first(world: World) -> None:
    world.run()
    dying(world, "alice")
    world.later(LIFE - 900)
    world.store.put("alice-refresh-token", "alice-second")
    assert world.run() == {"alice": "refreshed: refreshed"}, "a newer version is tried at once"
    assert world.events() == []


def test_a_dead_grant_is_probed_once_a_day_and_told_once(world: World) -> None:
    dying(world, "alice")
    world.run()
    sent = len(world.exchange.sent)
    for _ in range(24 * 12 - 1):
        world.later(300)
    assert len(world.exchange.sent) == sent
    assert world.later(300) == {"alice": "needs_consent: revoked_or_expired"}
    assert len(world.exchange.sent) == sent + 1
    assert world.events().count("invalid_grant alice") == 1
    healed(world, "alice")
    assert world.later(DAY) == {"alice": "refreshed: refreshed"}
    assert world.events()[-1] == "recovered alice"
    assert world.status("alice") is None


def test_force_probes_a_dead_grant_at_once(world: World) -> None:
    dying(world, "alice")
    world.run()
    assert world.run(force=True) == {"alice": "needs_consent: revoked_or_expired"}
    assert len(world.exchange.sent) == 3


def test_a_new_grant_is_found_by_the_next_run_and_ends_the_incident(world: World) -> None:
    dying(world, "alice")
    world.run()
    world.store.put("alice-refresh-token", "alice-second")
    world.calls()
    assert world.later(300) == {"alice": "refreshed: refreshed"}
    assert world.events() == ["invalid_grant alice", "recovered alice"]
    assert world.last().data["version"] == 2
    assert world.status("alice") is None


def test_a_dead_grant_costs_each_run_one_access(world: World) -> None:
    dying(world, "alice")
    world.run()
    world.calls()
    world.later(300)
    assert world.calls() == ["list_connections", "access"]


def test_a_new_grant_that_is_dead_too_is_told_again(world: World) -> None:
    dying(world, "alice")
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
    assert world.last().data["consent_url"] == "https://consent.example/consent/new?ticket=for-version-0"
    assert world.later(2 * DAY, "new", force=True)["new"] == "needs_consent: never_consented"
    assert world.events()[1:] == ["consent_overdue new"]
    world.store.put("new-refresh-token", "token")
    assert world.run("new") == {"new": "refreshed: refreshed"}
    assert world.events()[-1] == "recovered new"


def test_the_owner_is_reminded_after_one_day_and_three_and_never_again(world: World) -> None:
    dying(world, "alice")
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
    dying(world, "alice")
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
    dying(world, "alice")
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


# -- rejected ----------------------------------------------------------------------------------------------------------


def test_a_refused_client_is_told_once_for_all_its_connections(world: World) -> None:
    names = ["alice", *world.add_many(4)]
    world.answers |= {f"{n}-token": REFUSED for n in names}
    assert set(world.run().values()) == {"rejected: invalid_client"}
    assert world.events() == ["client_rejected oauth-client-google"]
    assert world.last().data["reason"] == "invalid_client"
    world.add("late")
    world.answers["late-token"] = REFUSED
    world.later(7200)
    assert world.events() == ["client_rejected oauth-client-google"]
    healed(world, *names, "late")
    world.later(3600, "alice", "c0")
    assert world.events() == ["client_rejected oauth-client-google"], "others still wait"
    world.later(3600)
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]
    assert all(world.status(n) is None for n in names)


def test_recovery_of_a_client_waits_for_nobody_who_is_paused_or_gone(world: World) -> None:
    names = ["alice", *world.add_many(2)]
    world.answers |= {f"{n}-token": REFUSED for n in names}
    world.run()
    healed(world, *names)
    secrets = world.store.cloud.secrets
    record = secrets["c0-refresh-token"].record
    world.store.cloud.write(type(record)(record.secret_id, {"token-refresh": "paused"}, record.annotations, ""))
    world.store.cloud.stale["lists"] = 60.0
    del secrets["c1-refresh-token"]
    world.run("alice", force=True)
    assert world.events()[-1] == "recovered oauth-client-google"


def test_a_stale_list_does_not_hide_that_a_client_has_recovered(world: World) -> None:
    world.add("bob")
    world.answers |= {"alice-token": REFUSED, "bob-token": REFUSED}
    world.run()
    healed(world, "alice", "bob")
    world.clock.advance(60)
    world.store.cloud.stale["lists"] = 30.0
    world.run("alice", force=True)
    world.new_instance()
    world.run("bob", force=True)
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]


def test_two_instances_that_recover_the_last_connections_at_the_same_moment_tell_it(world: World) -> None:
    world.add("bob")
    world.answers |= {"alice-token": REFUSED, "bob-token": REFUSED}
    world.run()
    healed(world, "alice", "bob")
    first, faults, strike = world.runner, world.store.faults, world.store.faults.strike
    second = world.new_instance()
    told = world.events()

    def interrupted(operation: str, secret_id: str, when: str) -> None:
        strike(operation, secret_id, when)
        if (operation, secret_id, when) == ("annotate", "alice-refresh-token", "after") and world.events() == told:
            second.run(Trigger(("bob",), force=True))

    setattr(faults, "strike", interrupted)  # noqa: B010 - a fake
    first.run(Trigger(("alice",), force=True))
    assert set(world.events()[1:]) == {"recovered oauth-client-google"}
    assert len({e.id for e in world.publisher.events[1:]}) == 1, "repeated with the same id, if at all"
    assert (world.status("alice"), world.status("bob")) == (None, None)


def test_a_refused_client_is_tried_again_after_one_minute_doubling_to_an_hour(world: World) -> None:
    world.answers["alice-token"] = REFUSED
    world.run()
    gaps, last = list[float](), world.clock()
    while len(gaps) < 8:
        sent = len(world.exchange.sent)
        world.later(30)
        if len(world.exchange.sent) > sent:
            gaps.append(world.clock() - last)
            last = world.clock()
    assert gaps == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert world.events() == ["client_rejected oauth-client-google"]


@pytest.mark.parametrize("secret", ["alice-refresh-token", "oauth-client-google"])
def test_a_newer_version_ends_a_refusal_at_once(world: World, secret: str) -> None:
    world.answers["alice-token"] = REFUSED
    world.run()
    assert world.later(10) == {"alice": "rejected: invalid_client"}
    healed(world, "alice")
    world.store.put(secret, "alice-token" if "alice" in secret else '{"client_id": "i", "client_secret": "s"}')
    assert world.run() == {"alice": "refreshed: refreshed"}
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]


def test_a_client_secret_that_was_replaced_meanwhile_is_not_blamed(world: World) -> None:
    world.run()
    answers = iter([REFUSED])
    normal = world.exchange._answer
    world.exchange._answer = lambda grant: next(answers, None) or normal(grant)
    world.store.put("oauth-client-google", '{"client_id": "i", "client_secret": "new"}')
    assert world.later(LIFE) == {"alice": "refreshed: refreshed"}
    assert world.events() == []


def test_a_refused_client_never_needs_consent(world: World) -> None:
    world.answers["alice-token"] = REFUSED
    for _ in range(50):
        assert world.later(3600) == {"alice": "rejected: invalid_client"}


def test_a_payload_with_its_own_client_is_the_subject_of_its_event(world: World) -> None:
    payload = '{"refresh_token": "own-token", "client_id": "own-client", "client_secret": "s"}'
    world.add("adc", payload)
    world.answers["own-token"] = REFUSED
    world.run("adc")
    assert world.events() == ["client_rejected client:own-client"]
    world.answers.clear()
    world.later(60, "adc")
    assert world.events()[-1] == "recovered client:own-client"


# -- unavailable -------------------------------------------------------------------------------------------------------


def test_a_silent_provider_is_nobody_s_fault_while_there_is_time(world: World) -> None:
    world.run()
    world.clock.advance(LIFE - 900)
    world.answers["alice-token"] = SILENT
    world.calls()
    assert world.run() == {"alice": "unavailable: http_503"}
    assert world.run() == {"alice": "unavailable: http_503"}
    assert len(world.exchange.sent) == 2, "the second run backs off"
    assert "annotate" not in world.calls()
    assert world.events() == []
    healed(world, "alice")
    assert world.later(60) == {"alice": "refreshed: refreshed"}
    assert world.events() == []


def test_a_provider_that_stays_silent_is_told_once_when_half_the_margin_is_gone(world: World) -> None:
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
    healed(world, "alice")
    world.later(900)
    assert world.events() == ["refresh_failing alice", "recovered alice"]


def test_without_a_token_silence_is_told_at_once(world: World) -> None:
    world.answers["alice-token"] = SILENT
    world.run()
    assert world.events() == ["refresh_failing alice"]


def test_retry_after_is_honoured_before_and_after_the_state_is_written(world: World) -> None:
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


def test_a_restart_releases_nothing_at_once(world: World) -> None:
    for name, answer in (("alice", SILENT), ("bob", REFUSED), ("carol", DEAD)):
        if name != "alice":
            world.add(name)
        world.answers[f"{name}-token"] = answer
    world.run()
    sent = len(world.exchange.sent)
    world.new_instance()
    world.later(20)
    assert len(world.exchange.sent) == sent


def test_a_newer_version_and_force_skip_the_back_off(world: World) -> None:
    world.answers["alice-token"] = SILENT
    world.run()
    world.run(force=True)
    assert len(world.exchange.sent) == 2
    world.store.put("alice-refresh-token", "alice-second")
    assert world.run() == {"alice": "refreshed: refreshed"}


@pytest.mark.parametrize("first", [DEAD, REFUSED])
def test_a_new_grant_whose_provider_is_silent_backs_off_as_well(world: World, first: TokenOutcome) -> None:
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


def test_silence_acquits_no_suspect(world: World) -> None:
    world.run()
    dying(world, "alice")
    world.later(LIFE - 900)
    world.answers["alice-token"] = SILENT
    assert world.later(60) == {"alice": "unavailable: http_503"}
    assert (world.status("alice") or {})["state"] == "suspect"
    dying(world, "alice")
    assert world.later(900)["alice"].startswith("needs_consent")


# -- the breaker -------------------------------------------------------------------------------------------------------


def test_a_burst_of_deaths_is_told_the_operator_once_and_asks_no_owner(world: World) -> None:
    names = world.add_many(5)
    dying(world, *names)
    outcomes = world.run(*names)
    assert set(outcomes.values()) == {"suspect: mass_invalid_grant"}
    assert len(world.exchange.sent) == 5, "this outranks the second attempt in the same run"
    assert world.events() == ["client_rejected oauth-client-google"]
    assert world.last().data["reason"] == "mass_invalid_grant"
    for _ in range(58):
        world.later(60, *names)
    assert world.events() == ["client_rejected oauth-client-google"]
    assert 5 * 5 < len(world.exchange.sent) < 5 * 10, "tried with back-off"


def test_after_the_hold_each_grant_is_judged_by_itself(world: World) -> None:
    names = world.add_many(6)
    dying(world, *names)
    world.run(*names)
    assert set(world.later(3600, *names).values()) == {"needs_consent: revoked_or_expired"}
    assert sorted(world.events()[1:]) == [f"invalid_grant {n}" for n in names]


def test_one_held_connection_that_is_refreshed_later_frees_the_others(world: World) -> None:
    names = world.add_many(5)
    dying(world, *names)
    world.run(*names)
    healed(world, "c0")
    outcomes = world.later(60, *names)
    assert outcomes["c0"] == "refreshed: refreshed"
    assert {outcomes[n] for n in names[1:]} == {"needs_consent: revoked_or_expired"}
    assert sorted(world.events()[1:]) == [f"invalid_grant {n}" for n in names[1:]]


def test_a_hold_that_cannot_be_lifted_now_ends_by_itself(world: World) -> None:
    names = world.add_many(5)
    dying(world, *names)
    world.run(*names)
    healed(world, "c0")
    world.store.faults.fail("annotate", secret_id="c1-refresh-token")
    world.later(60, "c0")
    assert (world.status("c1") or {})["hold_until"] > world.clock()
    assert (world.status("c2") or {})["hold_until"] == world.clock()
    assert world.later(3600, "c1") == {"c1": "needs_consent: revoked_or_expired"}


def test_what_cannot_be_read_proves_nothing_about_a_client(world: World) -> None:
    names = world.add_many(11)
    world.run()
    world.new_instance()
    dying(world, *names[:5])
    for name in ("alice", *names[5:]):
        world.store.faults.fail("access", secret_id=f"{name}-access-token", times=-1)
    assert set(world.later(600, *names[:5], force=True).values()) == {"suspect: mass_invalid_grant"}


def test_those_that_were_not_tried_in_that_run_are_judged_in_the_next(world: World) -> None:
    names = world.add_many(5)
    dying(world, *names)
    world.run(*names)
    healed(world, "c0")
    world.later(60, "c0")
    assert {world.run(*names)[n] for n in names[1:]} == {"needs_consent: revoked_or_expired"}


def test_when_all_held_connections_recover_the_client_does_once(world: World) -> None:
    names = world.add_many(7)
    dying(world, *names)
    world.run(*names)
    healed(world, *names)
    assert set(world.later(60, *names).values()) == {"refreshed: refreshed"}
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]
    assert all(world.status(n) is None for n in names)


def test_deaths_that_follow_join_the_hold(world: World) -> None:
    names = world.add_many(5)
    dying(world, *names, "alice")
    world.run(*names)
    assert world.later(30, "alice") == {"alice": "suspect: mass_invalid_grant"}
    assert world.events() == ["client_rejected oauth-client-google"]


def test_four_deaths_are_four_deaths(world: World) -> None:
    names = world.add_many(4)
    dying(world, *names)
    assert set(world.run(*names).values()) == {"needs_consent: revoked_or_expired"}


def test_less_than_half_of_those_refreshed_lately_is_no_burst(world: World) -> None:
    """Also of those that the run was not asked about."""
    names = world.add_many(11)
    world.run()
    dying(world, *names[:5])
    assert set(world.later(600, *names[:5], force=True).values()) == {"suspect: revoked_or_expired"}
    assert world.events() == []


def test_those_refreshed_more_than_an_hour_ago_prove_nothing(world: World) -> None:
    names = world.add_many(11)
    world.run()
    dying(world, *names[:5])
    assert set(world.later(3601, *names[:5]).values()) == {"suspect: mass_invalid_grant"}


def test_first_and_confirming_deaths_count_alike(world: World) -> None:
    names = world.add_many(6)
    world.run(*names)
    dying(world, *names)
    world.later(600, *names[:3], force=True)
    assert set(world.later(60, *names, force=True).values()) == {"suspect: mass_invalid_grant"}


def test_the_breaker_is_set_by_the_environment() -> None:
    world = World(breaker_min=2.0, breaker_hold=120.0)
    names = world.add_many(2)
    dying(world, *names)
    assert set(world.run().values()) == {"suspect: mass_invalid_grant"}
    assert set(world.later(120).values()) == {"needs_consent: revoked_or_expired"}
