"""The tables of README.md that are computed: costs, capacity, and the resources of a plan."""

from __future__ import annotations

import pytest

from infra.costs import ACCESS, MONTH, VERSION, WRITE_QUOTA, Load, capacity, limits, table, usage
from tests.infra.plans import ROOT, Plan, resource_table


def between(marker: str) -> str:
    text = (ROOT / "README.md").read_text()
    assert f"<!-- {marker}:begin -->" in text, f"README.md has no {marker}"
    return text.split(f"<!-- {marker}:begin -->")[1].split(f"<!-- {marker}:end -->")[0].strip()


def test_the_readme_shows_what_the_script_computes() -> None:
    """Made anew by `python -m infra.costs`."""
    assert between("costs") == table()
    assert between("capacity") == limits()


@pytest.mark.timeout(400)
def test_the_readme_lists_what_terraform_plans(plan: Plan) -> None:
    """Made anew by `python -m tests.infra.plans`."""
    assert plan.created()
    assert between("resources") == resource_table()


@pytest.mark.parametrize(("rotates", "connections"), [(False, 13_500), (True, 4_500)])
def test_the_write_quota_bounds_the_connections_of_a_project(rotates: bool, connections: int) -> None:  # noqa: FBT001
    assert capacity(rotates=rotates, writes_per_minute=WRITE_QUOTA) == connections


def test_a_connection_costs_three_versions_a_month() -> None:
    bill = usage(Load(1, rotates=False))
    assert bill["secret versions"] == [(VERSION, 3)]
    assert bill["accesses"] == [(ACCESS, MONTH / 2700)]


def test_more_connections_than_the_pace_allows_are_spread_over_projects() -> None:
    assert [Load(n, rotates=True).projects for n in (3_600, 3_601, 10_000)] == [1, 2, 3]
