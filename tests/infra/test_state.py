"""What Terraform keeps for itself: no payload, and no say over what the functions write."""

from __future__ import annotations

import json
import re

from tests.infra.plans import CANARY, ROOT, Plan

# Written by the functions (contract of the connection secret's annotations).
STATUS_ANNOTATIONS = {"token-refresh.status", "token-refresh.lease", "token-refresh.access-token"}


def test_no_payload_is_in_a_plan(plan: Plan) -> None:
    assert CANARY not in json.dumps(plan.document)
    for address, version in plan.created("google_secret_manager_secret_version").items():
        assert version["secret_data"] is None, address
        assert version["secret_data_wo"] is None, address


def test_connection_secrets_and_access_token_secrets_get_no_version(plan: Plan) -> None:
    versions = plan.created("google_secret_manager_secret_version", "google_secret_manager_regional_secret_version")
    assert {address.split(".")[-1] for address in versions} <= {"signing_key[0]", "notify_urls[0]"}


def test_an_apply_keeps_the_status_because_its_annotations_are_never_configured(plan: Plan) -> None:
    secrets = plan.created("google_secret_manager_secret", "google_secret_manager_regional_secret")
    configured = {key for secret in secrets.values() for key in secret["annotations"] or {}}
    assert configured.isdisjoint(STATUS_ANNOTATIONS)
    assert all(key.startswith("token-refresh.") for key in configured)


def test_no_ignore_changes_is_needed() -> None:
    for file in (ROOT / "infra").rglob("*.tf"):
        assert not re.search(r"^\s*ignore_changes", file.read_text(), re.MULTILINE), file


def test_a_deleted_version_may_be_delayed_only_where_it_cannot_be_made_again(plan: Plan) -> None:
    secrets = plan.created("google_secret_manager_secret", "google_secret_manager_regional_secret")
    for secret in secrets.values():
        if not secret["secret_id"].endswith("-refresh-token"):
            assert secret["version_destroy_ttl"] is None, secret["secret_id"]
