"""Days on a virtual clock, a run every five minutes: what owners hear of a provider's bad moments (contract 5).

The connections of one client are due one after another, as in steady state. A provider that calls all grants dead and
heals is no owner's business; a death among the living is told within twenty minutes.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator

import pytest

from tests.worlds.depth import IN_CI
from tests.worlds.runs import DAY, LIFE, RunWorld

TICK = 300.0
MINUTES = 60.0
PERIOD = 2700  # s between two refreshes of a connection
CLIENT = "oauth-client-google"
COUNTS = [*([1000] if IN_CI else []), 100, 20]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def steady(count: int) -> tuple[RunWorld, list[str]]:
    """Return connections whose access tokens were written one after another."""
    world = RunWorld()
    names = world.add_many(count)
    for place, name in enumerate(names):
        refreshed_at = int(world.clock()) - PERIOD * place // count
        document = {"expires_at": refreshed_at + LIFE, "refreshed_at": refreshed_at, "connection_version": "1"}
        world.store.put(f"{name}-access-token", json.dumps(document))
    pass_time(world, 2 * TICK)
    return world, names


def pass_time(world: RunWorld, seconds: float) -> None:
    for _ in range(round(seconds / TICK)):
        world.later(TICK)


def asked(world: RunWorld) -> list[str]:
    return [e.subject for e in world.publisher.events if e.type == "invalid_grant"]


def told(world: RunWorld) -> list[str]:
    return [e for e in world.events() if not e.startswith("invalid_grant")]


@pytest.mark.parametrize("minutes", [10, 15])
@pytest.mark.parametrize("count", [*COUNTS, 4])
def test_no_owner_is_asked_where_the_provider_heals(count: int, minutes: int) -> None:
    world, names = steady(count)
    world.dying(*names)
    pass_time(world, minutes * MINUTES)
    world.healed(*names)
    pass_time(world, 60 * MINUTES)
    assert asked(world) == []
    incident = [f"client_rejected {CLIENT}", f"recovered {CLIENT}"]
    assert told(world) in ([], incident), "one incident at most, and its end"
    assert told(world) or count < 100, "so many at once are told the operator"
    assert all(world.status(name) is None for name in names)
    assert all(world.token(name)["expires_at"] > world.clock() for name in names)


@pytest.mark.parametrize("count", COUNTS)
def test_where_it_does_not_heal_the_operator_hears_it_once_and_owners_after_an_hour(count: int) -> None:
    world, names = steady(count)
    world.dying(*names)
    pass_time(world, 55 * MINUTES)
    assert asked(world) == []
    assert told(world) == [f"client_rejected {CLIENT}"]
    if count < 1000:  # time passes slowly for so many
        pass_time(world, 60 * MINUTES + PERIOD)
        assert sorted(asked(world)) == sorted(names)
        assert told(world) == [f"client_rejected {CLIENT}"]


def test_four_that_stay_dead_are_four_deaths() -> None:
    world, names = steady(4)
    world.dying(*names)
    pass_time(world, PERIOD + 20 * MINUTES)
    assert sorted(asked(world)) == sorted(names)
    assert told(world) == []


def test_a_death_among_the_living_is_told_within_twenty_minutes() -> None:
    """A day, a death every half hour; and the provider's bad quarter of an hour in the middle of it."""
    world, names = steady(60)
    dice = random.Random(16)
    alive, refused_at, asked_at = set(names), dict[str, float](), dict[str, float]()
    for tick in range(round(DAY / TICK)):
        is_outage = 140 <= tick < 143
        if tick % 6 == 0 and tick < 260 and not 130 <= tick < 155:
            gone = dice.choice(sorted(alive))
            alive.discard(gone)
            world.dying(gone)
        (world.dying if is_outage else world.healed)(*alive)
        world.later(TICK)
        for name in set(names) - alive - refused_at.keys():
            if world.status(name):
                refused_at[name] = world.clock()
        for name in asked(world):
            asked_at.setdefault(name, world.clock())
    assert asked_at.keys() == set(names) - alive == refused_at.keys()
    assert max(asked_at[name] - refused_at[name] for name in asked_at) <= 20 * MINUTES
    assert len(asked(world)) == len(asked_at), "each once"
