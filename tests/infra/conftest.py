"""The plans of the examples, where this machine can make them."""

from __future__ import annotations

import shutil

import pytest

from tests.infra.plans import EXAMPLES, OFFLINE, Plan, make_plan


@pytest.fixture(params=EXAMPLES)
def plan(request: pytest.FixtureRequest) -> Plan:
    """Give the plan of each example in turn."""
    if not shutil.which("terraform") or not OFFLINE.exists():
        pytest.skip("no terraform, or no stand-in for its providers: a real plan takes credentials")
    return make_plan(request.param)
