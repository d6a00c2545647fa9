"""The tables of the documentation that are computed: costs, capacity, modules, and the resources of a plan."""

from __future__ import annotations

import re
from os.path import relpath
from pathlib import Path

import pytest

from infra.costs import ACCESS, MONTH, VERSION, WRITE_QUOTA, Load, capacity, dollars, limits, table, usage
from tests.infra.module_docs import MODULES, blocks_of, documented, render
from tests.infra.plans import ROOT, checkout, plan, resource_table


def between(page: str, marker: str) -> str:
    text = (ROOT / page).read_text()
    assert f"<!-- {marker}:begin -->" in text, f"{page} has no {marker}"
    return text.split(f"<!-- {marker}:begin -->")[1].split(f"<!-- {marker}:end -->")[0].strip()


def test_the_page_on_costs_shows_what_the_script_computes() -> None:
    """Made anew by `python -m infra.costs`."""
    assert between("docs/costs.md", "costs") == table()
    assert between("docs/costs.md", "capacity") == limits()


@pytest.mark.parametrize("module", MODULES)
def test_the_readme_of_a_module_has_its_inputs_and_outputs(module: str) -> None:
    """Made anew by `python -m tests.infra.module_docs`."""
    assert documented(ROOT / module) == render(ROOT / module)


@pytest.mark.parametrize("module", MODULES)
def test_every_input_and_output_says_what_it_is(module: str) -> None:
    blocks = [block for block in blocks_of(ROOT / module) if block.kind in ("variable", "output")]
    assert blocks
    assert not [block.labels for block in blocks if len(block.argument("description") or "") < 15]


@pytest.mark.usefixtures("terraform")
@pytest.mark.timeout(600)
def test_the_readme_lists_what_terraform_plans() -> None:
    """Made anew by `python -m tests.infra.plans`."""
    assert between("infra/README.md", "resources") == resource_table()


@pytest.mark.usefixtures("terraform")
@pytest.mark.timeout(600)
def test_the_configurations_of_the_modules_readmes_can_be_planned(tmp_path: Path) -> None:
    """Together: the connection's is another team's, which has the deployment from the first one's outputs."""
    configuration = "".join(
        block
        for page in ("infra/README.md", "infra/modules/connection/README.md")
        for block in re.findall(r"^```hcl\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    )
    here = relpath(checkout(), tmp_path)
    configuration = re.sub(
        r'"git::https://example.com/token-refresh.git//(\S+)\?ref=\S+"', rf'"{here}/\1"', configuration
    )
    configuration = configuration.replace("data.terraform_remote_state.tokens.outputs", "module.token_refresh")
    (tmp_path / "main.tf").write_text(configuration)
    grants = [change["address"] for change in plan(tmp_path)["resource_changes"] if ".grant." in change["address"]]
    assert {address.split(".module.grant")[0] for address in grants} == {
        'module.token_refresh.module.connection["gmail-alice"]',
        "module.calendar_bob",
    }


@pytest.mark.parametrize(("rotates", "connections"), [(False, 13_500), (True, 4_500)])
def test_the_write_quota_bounds_the_connections_of_a_project(rotates: bool, connections: int) -> None:  # noqa: FBT001
    assert capacity(rotates=rotates, writes_per_minute=WRITE_QUOTA) == connections


def test_a_connection_keeps_a_grant_a_token_and_what_is_left_of_the_one_before() -> None:
    """Margin and half a tick, of 45 minutes; the promise of less than $0.16 a connection and month."""
    bill = usage(Load(1, rotates=False))
    assert bill["secret versions"] == [(VERSION, 2 + (900 + 150) / 2700)]
    assert bill["accesses"] == [(ACCESS, MONTH / 2700)]
    assert dollars(bill["secret versions"] + bill["accesses"], after_free=False) < 0.16


def test_more_connections_than_the_pace_allows_are_spread_over_projects() -> None:
    assert [Load(n, rotates=True).projects for n in (3_600, 3_601, 10_000)] == [1, 2, 3]


def test_a_run_fits_between_two_ticks() -> None:
    for load in (Load(10_800, rotates=False), Load(3_600, rotates=True), Load(10_000, rotates=True)):
        assert load.run_seconds <= 300 * 1.01
