"""What an apply changes once a deployment stands: by plans over a state, made with the stand-in provider."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.infra.applied import Applied, actions
from tests.infra.plans import OFFLINE, checkout

pytestmark = pytest.mark.timeout(600)

ALICE = {"owner": "alice@example.com", "scopes": ["openid", "email"]}
BOB = {"owner": "bob@example.com"}
BEFORE = {"alice": ALICE, "bob": BOB, "carol": {}}
# In one plan: alice is paused, bob goes, carol loses her protection, dave comes.
AFTER = {"alice": ALICE | {"paused": True}, "carol": {"deletion_protection": False}, "dave": {}}
FOUR = [
    f"module.{module}.google_secret_manager_secret{kind}[0]"
    for module in ("grant", "access_token")
    for kind in (".secret", "_iam_policy.policy")
]
GRANT = "module.grant.google_secret_manager_secret.secret[0]"


class Deployment:
    """A deployment that was applied once; each plan is against that state."""

    def __init__(self, scratch: Path, connections: dict[str, Any]) -> None:
        self._applied = Applied(checkout() / "tests/infra/trial", scratch)
        self._applied.apply(*_variables(connections, {}))

    def changes(self, connections: dict[str, Any], **settings: object) -> dict[str, dict[str, Any]]:
        """Return what a plan would change: address -> actions, before and after."""
        planned = self._applied.plan(*_variables(connections, settings))
        return {address.removeprefix("module.token_refresh."): change for address, change in planned.items()}


def _variables(connections: dict[str, Any], settings: dict[str, object]) -> list[str]:
    return [f"-var=connections={json.dumps(connections)}", f"-var=settings={json.dumps(settings)}"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Apply once."""
    if not shutil.which("terraform") or not OFFLINE.exists():
        pytest.skip("no terraform, or no stand-in for its providers")
    return Deployment(tmp_path_factory.mktemp("scratch"), BEFORE)


@pytest.fixture(scope="module")
def changed(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Plan the four changes of connections."""
    return deployment.changes(AFTER)


def test_the_same_configuration_changes_nothing(deployment: Deployment) -> None:
    assert actions(deployment.changes(BEFORE)) == {}


def test_a_removed_or_new_connection_is_four_resources_and_each_change_concerns_its_connection_only(
    changed: dict[str, dict[str, Any]],
) -> None:
    assert actions(changed) == {
        **{f'module.connection["bob"].{address}': ["delete"] for address in FOUR},
        **{f'module.connection["dave"].{address}': ["create"] for address in FOUR},
        f'module.connection["carol"].{GRANT}': ["update"],
        f'module.connection["alice"].{GRANT}': ["update"],
    }


def test_unprotecting_a_connection_changes_its_protection(changed: dict[str, dict[str, Any]]) -> None:
    change = changed[f'module.connection["carol"].{GRANT}']
    assert (change["before"]["deletion_protection"], change["after"]["deletion_protection"]) == (True, False)


def test_pausing_changes_the_label_and_no_annotation(changed: dict[str, dict[str, Any]]) -> None:
    """Labels alone are sent, so that no lease can be set back."""
    change = changed[f'module.connection["alice"].{GRANT}']
    assert change["after"]["labels"]["token-refresh"] == "paused"
    assert change["after"]["annotations"] == change["before"]["annotations"]


def test_another_signing_key_changes_functions_and_no_secret(deployment: Deployment) -> None:
    """The version in use stays: it is neither destroyed nor replaced."""
    changes = actions(deployment.changes(BEFORE, signing_key_version=2))
    signers = ("consent", "refresh_http", "status")
    assert changes == {f'google_cloud_run_v2_service.function["{signer}"]': ["update"] for signer in signers}


def test_notification_urls_come_to_a_container_that_is_there(deployment: Deployment) -> None:
    changes = actions(deployment.changes(BEFORE, notify_urls_version=1))
    assert changes['google_cloud_run_v2_service.function["notify"]'] == ["create"]
    assert not [address for address, what in changes.items() if "delete" in what]
    assert not [
        address for address in changes if address.startswith("module.notify_urls.google_secret_manager_secret.")
    ]
