"""A burst of deaths of one client is the client's trouble until proven otherwise (contract 5)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import DAY, LIFE, RunWorld

HELD = {"suspect: revoked_or_expired"}
ASKED = {"needs_consent: revoked_or_expired"}


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("alice")
    return world


def test_a_burst_of_deaths_is_told_the_operator_once_and_asks_no_owner(world: RunWorld) -> None:
    names = world.add_many(5)
    world.dying(*names)
    assert set(world.run(*names).values()) == HELD
    assert world.events() == ["client_rejected oauth-client-google"]
    data = world.last().data
    assert (data["reason"], data["remedy"]) == ("mass_invalid_grant", "fix_client")
    assert (data["connections"], data["connection_names"]) == (5, names)
    for _ in range(11):
        assert set(world.later(300, *names).values()) == HELD
    assert world.events() == ["client_rejected oauth-client-google"]
    assert len(world.exchange.sent) == 5 * 12, "tried in every run"


def test_after_its_own_hold_each_grant_is_judged_by_itself(world: RunWorld) -> None:
    names = world.add_many(6)
    world.dying(*names)
    world.run(*names[:5])
    world.later(600, "c5")
    assert set(world.later(3000, *names[:5]).values()) == ASKED
    assert world.run("c5") == {"c5": "needs_consent: revoked_or_expired"}, "those that were asked count no more"


def test_the_first_refresh_ends_the_incident_and_all_suspects_are_tried_in_the_same_run(world: RunWorld) -> None:
    names = world.add_many(5)
    world.dying(*names)
    world.run(*names)
    world.healed(*names)
    assert world.later(60, "c0") == {"c0": "refreshed: refreshed"}
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]
    assert world.last().data["incident"] == world.publisher.events[0].id
    assert all(world.status(n) is None for n in names), "tried although only one was named"


def test_those_that_stay_dead_while_the_client_works_are_confirmed_one_by_one(world: RunWorld) -> None:
    names = world.add_many(6)
    world.dying(*names)
    world.run(*names)
    world.healed("c0")
    outcomes = world.later(900, *names)
    assert outcomes.pop("c0") == "refreshed: refreshed"
    assert set(outcomes.values()) == ASKED
    assert sorted(world.events()) == sorted(
        [
            "client_rejected oauth-client-google",
            "recovered oauth-client-google",
            *(f"invalid_grant {n}" for n in names[1:]),
        ]
    )


def test_when_all_recover_the_client_does_once(world: RunWorld) -> None:
    names = world.add_many(7)
    world.dying(*names)
    world.run(*names)
    world.healed(*names)
    assert set(world.later(60, *names).values()) == {"refreshed: refreshed"}
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]
    assert all(world.status(n) is None for n in names)


def test_deaths_that_follow_join_the_incident(world: RunWorld) -> None:
    names = world.add_many(5)
    world.dying(*names, "alice")
    world.run(*names)
    assert world.later(30, "alice") == {"alice": "suspect: revoked_or_expired"}
    assert (world.status("alice") or {})["client_event_id"] == world.last().id
    assert world.events() == ["client_rejected oauth-client-google"]


def test_four_deaths_are_four_deaths(world: RunWorld) -> None:
    names = world.add_many(4)
    world.dying(*names)
    assert set(world.confirmed(*names).values()) == ASKED


def test_a_refresh_after_the_first_refusal_explains_it(world: RunWorld) -> None:
    names = world.add_many(10)
    world.run()
    world.dying(*names[:5])
    assert set(world.later(LIFE, *names[:5]).values()) == HELD
    assert world.events() == ["client_rejected oauth-client-google"]
    assert world.later(60, "c9", force=True) == {"c9": "refreshed: refreshed"}
    assert world.events()[1:] == ["recovered oauth-client-google"]
    assert set(world.later(840, *names[:5]).values()) == ASKED


def test_a_refresh_before_the_first_refusal_explains_nothing(world: RunWorld) -> None:
    names = world.add_many(10)
    world.run()
    world.dying(*names[:5])
    assert set(world.later(600, *names[:5], force=True).values()) == HELD
    assert world.events() == ["client_rejected oauth-client-google"]
    assert set(world.later(900, *names[:5]).values()) == HELD


def test_deaths_spread_over_runs_count_together(world: RunWorld) -> None:
    names = world.add_many(6)
    world.run(*names)
    world.dying(*names)
    world.later(600, *names[:3], force=True)
    assert world.events() == []
    assert set(world.later(60, *names, force=True).values()) == HELD
    assert world.events() == ["client_rejected oauth-client-google"]


def test_the_long_dead_do_not_count(world: RunWorld) -> None:
    names = world.add_many(9)
    world.dying(*names[:4])
    world.confirmed()
    world.clock.advance(DAY)
    world.run(*names[:4])
    world.dying(*names[4:8])
    assert {world.confirmed(*names[4:8])[n] for n in names[4:8]} == ASKED


def test_what_cannot_be_read_proves_nothing_about_a_client(world: RunWorld) -> None:
    names = world.add_many(11)
    world.run()
    world.new_instance()
    world.dying(*names[:5])
    for name in ("alice", *names[5:]):
        world.store.faults.fail("access", secret_id=f"{name}-access-token", times=-1)
    assert set(world.later(600, *names[:5], force=True).values()) == HELD
    assert world.events() == ["client_rejected oauth-client-google"]


def test_the_breaker_is_set_by_the_environment() -> None:
    world = RunWorld(breaker_min=2.0, breaker_hold=1200.0)
    names = world.add_many(2)
    world.dying(*names)
    assert set(world.run().values()) == HELD
    assert set(world.later(900).values()) == HELD
    assert set(world.later(300).values()) == ASKED


def test_the_refresh_that_ends_the_incident_explains_the_refusals_of_the_same_run(world: RunWorld) -> None:
    names = world.add_many(6)
    world.dying(*names)
    world.run(*names)
    assert set(world.later(900, *names).values()) == HELD
    world.healed("c0")
    assert world.later(60, "c0") == {"c0": "refreshed: refreshed"}
    assert {(world.status(n) or {}).get("state") for n in names[1:]} == {"needs_consent"}
