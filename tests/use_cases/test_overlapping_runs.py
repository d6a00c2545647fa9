"""Runs of one instance that overlap, as ticks and duplicates do: one refresh, one verdict, one event."""

from __future__ import annotations

import pytest

from tests.worlds.metered import MeteredWorld, with_settings
from token_refresh.core.token_endpoint.outcome import TokenOutcome, Unavailable


@pytest.fixture
def world() -> MeteredWorld:
    """Twenty connections of one host that takes one request a second, so that runs take their time."""
    world = MeteredWorld(settings=with_settings(token_requests_per_second=1.0))
    world.add(20)
    return world


def failing(_: str) -> TokenOutcome:
    return Unavailable("http_503")


def test_what_one_run_has_refreshed_the_other_leaves_alone(world: MeteredWorld) -> None:
    world.time.play(world.timed_run, world.timed_run)
    assert set(world.made.values()) == {1}


def test_what_has_recovered_in_one_run_has_not_recovered_in_the_other_again(world: MeteredWorld) -> None:
    world.answer = failing
    world.run()
    assert len(world.statuses()) == 20
    world.answer = lambda _: None
    world.time.advance(600)
    world.time.play(world.timed_run, world.timed_run)
    assert set(world.made.values()) == {1}
    assert world.publisher.types().count("recovered") == 20
    assert world.statuses() == []


def test_what_has_failed_in_one_run_is_not_asked_again_by_the_other(world: MeteredWorld) -> None:
    world.answer = failing
    world.run()
    world.time.advance(600)
    world.exchange.sent.clear()
    world.time.play(world.timed_run, world.timed_run)
    assert len(world.exchange.sent) == 20
