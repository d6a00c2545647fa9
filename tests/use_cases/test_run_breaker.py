"""A burst of deaths of one client is the client's trouble until proven otherwise (contract 5)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import World


@pytest.fixture
def world() -> World:
    world = World()
    world.add("alice")
    return world


def test_a_burst_of_deaths_is_told_the_operator_once_and_asks_no_owner(world: World) -> None:
    names = world.add_many(5)
    world.dying(*names)
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
    world.dying(*names)
    world.run(*names)
    assert set(world.later(3600, *names).values()) == {"needs_consent: revoked_or_expired"}
    assert sorted(world.events()[1:]) == [f"invalid_grant {n}" for n in names]


def test_one_held_connection_that_is_refreshed_later_frees_the_others(world: World) -> None:
    names = world.add_many(5)
    world.dying(*names)
    world.run(*names)
    world.healed("c0")
    outcomes = world.later(60, *names)
    assert outcomes["c0"] == "refreshed: refreshed"
    assert {outcomes[n] for n in names[1:]} == {"needs_consent: revoked_or_expired"}
    assert sorted(world.events()[1:]) == [f"invalid_grant {n}" for n in names[1:]]


def test_a_hold_that_cannot_be_lifted_now_ends_by_itself(world: World) -> None:
    names = world.add_many(5)
    world.dying(*names)
    world.run(*names)
    world.healed("c0")
    world.store.faults.fail("annotate", secret_id="c1-refresh-token")
    world.later(60, "c0")
    assert (world.status("c1") or {})["hold_until"] > world.clock()
    assert (world.status("c2") or {})["hold_until"] == world.clock()
    assert world.later(3600, "c1") == {"c1": "needs_consent: revoked_or_expired"}


def test_what_cannot_be_read_proves_nothing_about_a_client(world: World) -> None:
    names = world.add_many(11)
    world.run()
    world.new_instance()
    world.dying(*names[:5])
    for name in ("alice", *names[5:]):
        world.store.faults.fail("access", secret_id=f"{name}-access-token", times=-1)
    assert set(world.later(600, *names[:5], force=True).values()) == {"suspect: mass_invalid_grant"}


def test_those_that_were_not_tried_in_that_run_are_judged_in_the_next(world: World) -> None:
    names = world.add_many(5)
    world.dying(*names)
    world.run(*names)
    world.healed("c0")
    world.later(60, "c0")
    assert {world.run(*names)[n] for n in names[1:]} == {"needs_consent: revoked_or_expired"}


def test_when_all_held_connections_recover_the_client_does_once(world: World) -> None:
    names = world.add_many(7)
    world.dying(*names)
    world.run(*names)
    world.healed(*names)
    assert set(world.later(60, *names).values()) == {"refreshed: refreshed"}
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]
    assert all(world.status(n) is None for n in names)


def test_deaths_that_follow_join_the_hold(world: World) -> None:
    names = world.add_many(5)
    world.dying(*names, "alice")
    world.run(*names)
    assert world.later(30, "alice") == {"alice": "suspect: mass_invalid_grant"}
    assert world.events() == ["client_rejected oauth-client-google"]


def test_four_deaths_are_four_deaths(world: World) -> None:
    names = world.add_many(4)
    world.dying(*names)
    assert set(world.run(*names).values()) == {"needs_consent: revoked_or_expired"}


def test_less_than_half_of_those_refreshed_lately_is_no_burst(world: World) -> None:
    """Also of those that the run was not asked about."""
    names = world.add_many(11)
    world.run()
    world.dying(*names[:5])
    assert set(world.later(600, *names[:5], force=True).values()) == {"suspect: revoked_or_expired"}
    assert world.events() == []


def test_those_refreshed_more_than_an_hour_ago_prove_nothing(world: World) -> None:
    names = world.add_many(11)
    world.run()
    world.dying(*names[:5])
    assert set(world.later(3601, *names[:5]).values()) == {"suspect: mass_invalid_grant"}


def test_first_and_confirming_deaths_count_alike(world: World) -> None:
    names = world.add_many(6)
    world.run(*names)
    world.dying(*names)
    world.later(600, *names[:3], force=True)
    assert set(world.later(60, *names, force=True).values()) == {"suspect: mass_invalid_grant"}


def test_the_breaker_is_set_by_the_environment() -> None:
    world = World(breaker_min=2.0, breaker_hold=120.0)
    names = world.add_many(2)
    world.dying(*names)
    assert set(world.run().values()) == {"suspect: mass_invalid_grant"}
    assert set(world.later(120).values()) == {"needs_consent: revoked_or_expired"}
