"""A fault of our own side means the same for whoever meets it: a look, an attempt, a dry run."""

from __future__ import annotations

import pytest

from tests.worlds.runs import RunWorld
from token_refresh.errors import (
    SecretMissing,
    StoreDenied,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)

FAULTS = {
    "denied": (StoreDenied("grant a permission"), "misconfigured: misconfigured"),
    "refused": (StoreRefused("a limit"), "misconfigured: misconfigured"),
    "gone": (SecretMissing("no such secret"), "misconfigured: misconfigured"),
    "outage": (StoreUnavailable("later"), "unavailable: secret_manager"),
}


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("x", "x-token")
    return world


@pytest.mark.parametrize(("fault", "outcome"), FAULTS.values(), ids=FAULTS)
def test_an_attempt_judges_it(world: RunWorld, fault: StoreError, outcome: str) -> None:
    world.store.faults.fail("access", fault, secret_id="x-refresh-token")
    assert world.run() == {"x": outcome}


@pytest.mark.parametrize(("fault", "outcome"), [pair for name, pair in FAULTS.items() if name != "gone"])
def test_a_look_judges_it_likewise(world: RunWorld, fault: StoreError, outcome: str) -> None:
    world.store.faults.fail("access", fault, secret_id="x-access-token")
    assert world.run() == {"x": outcome}
