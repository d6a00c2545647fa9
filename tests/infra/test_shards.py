"""One connection moves between projects: what each apply of the example does, by plans over the state before it."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.infra.applied import Applied, actions
from tests.infra.plans import OFFLINE, SHARDS, checkout

pytestmark = pytest.mark.timeout(900)

ALICE, BOB, CAROL = ({"owner": f"{name}@example.com", "scopes": ["openid"]} for name in ("alice", "bob", "carol"))
OTHERS = {"bob": BOB | {"shard": "first"}, "carol": CAROL | {"shard": "second"}}
# The way of alice, as the runbook has it.
STAGES = (
    {"shard": "first"},
    {"shard": "first", "moving_to": "second"},
    {"shard": "second", "moved_from": "first"},
    {"shard": "second"},
)
FOUR = [
    f"module.{module}.google_secret_manager_secret{kind}[0]"
    for module in ("grant", "access_token")
    for kind in (".secret", "_iam_policy.policy")
]
GRANT = "module.grant.google_secret_manager_secret.secret[0]"


def at(shard: str) -> str:
    return f'module.token_refresh["{shard}"].module.connection["alice"].'


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Any]]]:
    """Apply each stage over the one before; returns what their plans were, without what the module keeps for itself."""
    if not shutil.which("terraform") or not OFFLINE.exists():
        pytest.skip("no terraform, or no stand-in for its providers")
    applied = Applied(checkout() / "infra/examples/shards", tmp_path_factory.mktemp("scratch"))
    planned = []
    for stage in STAGES:
        connections = OTHERS | {"alice": ALICE | stage}
        planned.append(
            applied.plan(f"-var=projects={json.dumps(SHARDS)}", f"-var=connections={json.dumps(connections)}")
        )
        if stage is not STAGES[-1]:
            applied.apply_plan()
    return [{a: c for a, c in plan.items() if not a.startswith("module.shards.")} for plan in planned]


def test_while_it_moves_it_is_declared_in_both_projects_and_neither_refreshes_it(
    stages: list[dict[str, dict[str, Any]]],
) -> None:
    moving = stages[1]
    assert actions({a: c for a, c in moving.items() if ".module.connection" in a}) == {
        at("first") + GRANT: ["update"],
        **{at("second") + address: ["create"] for address in FOUR},
    }
    assert not [address for address, what in actions(moving).items() if "delete" in what]
    left, arriving = moving[at("first") + GRANT], moving[at("second") + GRANT]["after"]
    assert left["before"]["labels"]["token-refresh"] == "enabled"
    assert left["after"]["labels"]["token-refresh"] == arriving["labels"]["token-refresh"] == "paused"
    assert left["after"]["annotations"] == left["before"]["annotations"], "labels alone are sent: no lease is set back"
    assert left["after"]["deletion_protection"]
    assert arriving["deletion_protection"]
    assert (left["after"]["project"], arriving["project"]) == (SHARDS["first"], SHARDS["second"])


def test_the_client_registration_gets_its_container_with_the_first_connection_of_a_project(
    stages: list[dict[str, dict[str, Any]]],
) -> None:
    """Here the second project has a connection of that client already."""
    second = 'module.token_refresh["second"]'
    client = f'{second}.module.client["oauth-client-google"].google_secret_manager_secret.secret[0]'
    assert actions(stages[0])[client] == ["create"]
    assert client not in stages[1]


def test_when_it_has_arrived_one_project_refreshes_it_and_the_other_may_destroy_it(
    stages: list[dict[str, dict[str, Any]]],
) -> None:
    arrived = stages[2]
    assert actions(arrived) == {at("first") + GRANT: ["update"], at("second") + GRANT: ["update"]}
    left, woken = arrived[at("first") + GRANT]["after"], arrived[at("second") + GRANT]["after"]
    assert (left["labels"]["token-refresh"], left["deletion_protection"]) == ("paused", False)
    assert (woken["labels"]["token-refresh"], woken["deletion_protection"]) == ("enabled", True)


def test_in_the_end_the_secrets_that_it_has_left_are_destroyed_and_nothing_else(
    stages: list[dict[str, dict[str, Any]]],
) -> None:
    assert actions(stages[3]) == {at("first") + address: ["delete"] for address in FOUR}
    assert stages[3][at("first") + GRANT]["before"]["deletion_protection"] is False
