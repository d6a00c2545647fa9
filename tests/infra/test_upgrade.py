"""The upgrade from 0.1: no secret is destroyed, replaced or even changed, and nobody is locked out on the way.

`first_edition/*.json` are states of the first edition's module (8f47ac1), made by its own `apply` with the stand-in
provider: `global` has two connections, operators, notifications and a signing key that was replaced once, `regional`
one connection. Parts that hold neither payload, message nor grant (metrics, alerts, load balancer) are left out.

The stand-in shows each change as an update in place. What the real provider would replace is told by the argument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.infra.plans import plan_trial

pytestmark = pytest.mark.timeout(600)

STATES = Path(__file__).parent / "first_edition"
OPERATORS = "group:operators@example.com"
JOB = "serviceAccount:job@example-project.iam.gserviceaccount.com"
GLOBAL = {
    "connections": {
        "alice": {"owner": "alice@example.com", "scopes": ["openid", "email"], "consumers": [JOB]},
        "bob": {"provider": "xero", "format": "text"},
    },
    "settings": {"operators": [OPERATORS], "notify_urls_version": 1, "signing_key_version": 2},
}
REGIONAL = {"connections": {"carol": {}}, "settings": {"secret_location": "europe-west1"}}
EDITIONS = {"global": GLOBAL, "regional": REGIONAL}
KINDS = ("grant", "access_token", "client", "signing_key", "notify_urls")
Changes = dict[str, dict[str, Any]]


@pytest.fixture(params=EDITIONS)
def edition(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def upgrade(edition: str, terraform: None) -> Changes:  # noqa: ARG001 - skips
    """Plan the present module over the first edition's state: address -> change, as Terraform tells it."""
    return plan_of(edition)


def plan_of(edition: str) -> Changes:
    document = plan_trial(STATES / f"{edition}.json", json.dumps(EDITIONS[edition]))
    return {change["address"].removeprefix("module.token_refresh."): change for change in document["resource_changes"]}


def with_action(changes: Mapping[str, Any], action: str) -> set[str]:
    return {address for address, change in changes.items() if action in change["change"]["actions"]}


def secrets(edition: str) -> set[str]:
    state = json.loads((STATES / f"{edition}.json").read_text())
    kinds = ("google_secret_manager_secret", "google_secret_manager_regional_secret")
    return {
        instance["attributes"]["secret_id"]
        for resource in state["resources"]
        if resource["type"] in kinds
        for instance in resource["instances"]
    }


def test_no_secret_is_touched(upgrade: Changes, edition: str) -> None:
    """Neither the secret nor its metadata, where leases and states stand."""
    kept = {
        change["change"]["before"]["secret_id"]
        for address, change in upgrade.items()
        if address.split(".")[-2].removeprefix("google_secret_manager_") in ("secret", "regional_secret")
        and change["change"]["actions"] == ["no-op"]
    }
    assert kept == secrets(edition)


def test_no_version_is_destroyed_or_made_anew(upgrade: Changes) -> None:
    versions = {address: change["change"] for address, change in upgrade.items() if "secret_version." in address}
    assert versions
    for address, change in versions.items():
        assert change["actions"] in (["update"], ["forget"]), address
        if change["actions"] == ["update"]:
            # What replaces a version, by the provider's schema.
            for argument in ("secret", "secret_data", "secret_data_wo_version", "is_secret_data_base64"):
                assert change["before"].get(argument) == change["after"].get(argument), argument


def test_only_what_has_a_successor_or_no_use_is_deleted(terraform: None) -> None:  # noqa: ARG001 - skips
    functions = ("consent", "notify", "refresh", "refresh_http", "status")
    assert with_action(plan_of("global"), "delete") == {
        *(f'google_cloudfunctions2_function.function["{name}"]' for name in functions),
        'google_project_iam_member.lister["refresh"]',
        "google_project_iam_member.build_source",
        'google_pubsub_subscription.push["secrets"]',
        'google_pubsub_subscription_iam_binding.dead_letter_forwarder["secrets"]',
        'google_service_account.account["refresh"]',
    }


def test_topics_bucket_and_images_stay(terraform: None) -> None:  # noqa: ARG001 - skips
    upgrade = plan_of("global")
    for address in (
        'google_pubsub_topic.topic["refresh"]',
        'google_pubsub_topic.topic["events"]',
        "google_storage_bucket.source[0]",
        "google_artifact_registry_repository.images[0]",
    ):
        assert upgrade[address]["change"]["actions"] == ["no-op"], address


def test_a_secret_s_policy_is_given_and_its_bindings_are_forgotten_not_taken_away(
    upgrade: Changes, edition: str
) -> None:
    policies = {address for address in with_action(upgrade, "create") if "secret_iam_policy." in address}
    assert {address.split(".")[-3].split("[")[0] for address in policies} >= {"grant", "access_token", "client"}
    bindings = {address for address in upgrade if "secret_iam_binding." in address}
    assert bindings
    assert with_action(upgrade, "forget") >= bindings
    assert len(policies) >= len(secrets(edition))


def test_a_job_reads_its_token_throughout(terraform: None) -> None:  # noqa: ARG001 - skips
    address = 'module.connection["alice"].module.access_token.google_secret_manager_secret_iam_policy.policy[0]'
    policy = json.loads(plan_of("global")[address]["change"]["after"]["policy_data"])
    readers = [binding["members"] for binding in policy["bindings"] if binding["role"].endswith("secretAccessor")]
    assert JOB in readers[0]
