"""What Terraform keeps for itself: no payload, and no say over what the functions write."""

from __future__ import annotations

import re

from tests.infra.plans import ROOT, Plan

# Written by the functions (contract of the connection secret's annotations).
STATUS_ANNOTATIONS = {
    "token-refresh.status",
    "token-refresh.lease",
    "token-refresh.access-token",
    "token-refresh.consents",
}


def test_no_payload_is_in_a_plan(any_plan: Plan) -> None:
    versions = any_plan.created("google_secret_manager_secret_version")
    assert versions
    for address, version in versions.items():
        assert version["secret_data"] is None, address
        assert version["secret_data_wo"] is None, address


def test_no_secret_but_the_signing_key_gets_a_version(any_plan: Plan) -> None:
    versions = any_plan.created("google_secret_manager_secret_version", "google_secret_manager_regional_secret_version")
    assert {address.split(".")[-1] for address in versions} == {"signing_key[0]"}


def test_no_variable_is_ephemeral_so_that_a_saved_plan_can_be_applied() -> None:
    """Terraform 1.11: one that was set for the plan "must also be set during the apply phase"."""
    for file in (ROOT / "infra").rglob("*.tf"):
        assert "ephemeral   = true" not in file.read_text(), file


def test_an_apply_keeps_the_status_because_its_annotations_are_never_configured(plan: Plan) -> None:
    secrets = plan.created("google_secret_manager_secret", "google_secret_manager_regional_secret")
    configured = {key for secret in secrets.values() for key in secret["annotations"] or {}}
    assert configured.isdisjoint(STATUS_ANNOTATIONS)
    assert all(key.startswith("token-refresh.") for key in configured)


def test_nothing_is_left_unchanged_but_the_first_signing_key_s_number_and_where_a_connection_lives() -> None:
    found = {
        (file.relative_to(ROOT / "infra").as_posix(), ignored)
        for file in (ROOT / "infra").rglob("*.tf")
        for ignored in re.findall(r"^\s*ignore_changes\s*=\s*(.*)$", file.read_text(), re.MULTILINE)
    }
    assert found == {("secrets.tf", "[secret_data_wo_version]"), ("modules/shards/main.tf", "[input]")}


def test_a_deleted_version_may_be_delayed_only_where_it_cannot_be_made_again(plan: Plan) -> None:
    secrets = plan.created("google_secret_manager_secret", "google_secret_manager_regional_secret")
    for secret in secrets.values():
        if not secret["secret_id"].endswith("-refresh-token"):
            assert secret["version_destroy_ttl"] is None, secret["secret_id"]
