"""The plans of the examples, where this machine can make them."""

from __future__ import annotations

import shutil

import pytest

from tests.infra.plans import EXAMPLES, OFFLINE, Plan, make_plan


@pytest.fixture
def terraform() -> None:
    """Skip where there is no Terraform, or no stand-in for its providers."""
    if not shutil.which("terraform") or not OFFLINE.exists():
        pytest.skip("no terraform, or no stand-in for its providers: a real plan takes credentials")


@pytest.fixture(params=("minimal", "complete"))
def plan(request: pytest.FixtureRequest, terraform: None) -> Plan:  # noqa: ARG001 - skips
    """Give the plan of an example with names of our own, in turn."""
    return make_plan(request.param)


@pytest.fixture(params=EXAMPLES)
def any_plan(request: pytest.FixtureRequest, terraform: None) -> Plan:  # noqa: ARG001 - skips
    """Give the plan of each example in turn."""
    return make_plan(request.param)


@pytest.fixture
def shards(terraform: None) -> Plan:  # noqa: ARG001 - skips
    """Give the plan of two deployments in one configuration."""
    return make_plan("shards")


@pytest.fixture
def cmek(terraform: None) -> Plan:  # noqa: ARG001 - skips
    """Give the plan with keys and parts of the platform's own."""
    return make_plan("cmek")
