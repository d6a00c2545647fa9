"""A Terraform apply that changes a spec annotation sets the functions' annotations back to what its plan has read.

Terraform's provider sends the whole map and no etag (docs/runbook.md, Change a connection). Whatever it overwrites,
and whenever, no grant may be lost. The authorization server here is as strict as they get: a refresh token that
comes a second time ends the family.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import pytest

from tests.worlds.runs import DEAD, RunWorld
from token_refresh.core.grant import Grant, RefreshTokenGrant
from token_refresh.core.token_endpoint.outcome import TokenOutcome

SECRET = "c-refresh-token"
TICKS = 5
TICK = 3000  # past the due time of the token before, each time


class Strict(RunWorld):
    """A world whose provider revokes the family when it sees a token twice; `during` happens inside an exchange."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: set[str] = set()
        self.is_revoked = False
        self.during: Callable[[], None] = lambda: None
        self.add("c", "rotating-0", provider="rotating")

    def _answer(self, grant: Grant) -> TokenOutcome:
        assert isinstance(grant, RefreshTokenGrant)
        token = grant.refresh_token.reveal()
        self.is_revoked |= token in self.spent
        self.spent.add(token)
        self.during()
        return DEAD if self.is_revoked else super()._answer(grant)

    def read(self) -> dict[str, str]:
        """Read the annotations, as a plan does."""
        return dict(self.store.annotations(SECRET))

    def apply(self, planned: Mapping[str, str]) -> None:
        """Send the whole map as it was read, with one changed key of the spec."""
        gone: dict[str, str | None] = dict.fromkeys(self.store.annotations(SECRET))
        self.store.set_annotations(SECRET, gone | dict(planned) | {"token-refresh.title": "Another"})

    def is_well(self) -> bool:
        """Tell whether two further refreshes work."""
        outcomes = [self.later(TICK)["c"] for _ in range(2)]
        return all(outcome.startswith("refreshed") for outcome in outcomes) and not self.is_revoked


@pytest.mark.parametrize("is_cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("stale", [0, 2 * TICK], ids=["", "latest is stale"])
@pytest.mark.parametrize(("plan", "apply"), list(itertools.combinations(range(TICKS), 2)))
def test_no_grant_is_lost_whenever_plan_and_apply_fall(plan: int, apply: int, stale: float, is_cold: bool) -> None:  # noqa: FBT001
    world = Strict()
    world.clock.advance(stale)  # what was declared has long been seen
    world.store.cloud.stale["latest"] = stale
    planned: dict[str, str] = {}
    for tick in range(TICKS):
        if tick == plan:
            planned = world.read()
        if tick == apply:
            world.apply(planned)
            if is_cold:
                world.new_instance()
        world.later(TICK)
    assert world.is_well()
    assert world.events() == []


@pytest.mark.parametrize("is_cold", [False, True], ids=["warm", "cold"])
def test_a_lease_that_vanishes_in_mid_exchange_loses_no_grant(is_cold: bool) -> None:  # noqa: FBT001
    """The holder takes it again before it stores the new refresh token."""
    world = Strict()
    world.later(TICK)
    planned = world.read()
    world.clock.advance(TICK)
    world.during = lambda: world.apply(planned)
    world.run()
    world.during = lambda: None
    if is_cold:
        world.new_instance()
    assert world.is_well()
    assert world.events() == []


def test_a_lease_that_comes_back_held_keeps_the_connection_busy_until_its_end() -> None:
    world = Strict()
    world.later(TICK)
    world.clock.advance(TICK)
    planned: dict[str, str] = {}
    world.during = lambda: planned.update(world.read())
    world.run()
    world.during = lambda: None
    world.apply(planned)
    world.clock.advance(TICK)
    outcome = world.run()["c"]
    assert outcome.startswith(("busy", "refreshed"))
    assert world.is_well()
