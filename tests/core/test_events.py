"""The CloudEvents: attributes of the binary mode, deterministic ids, published schemas and table of remedies."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.worlds.event_schemas import SCHEMAS, validate
from token_refresh.core.incident.events import (
    REMEDIES,
    Event,
    EventType,
    build_event_id,
    present,
    remedy_for,
    rfc3339,
    words_for,
)

README = Path(__file__).parents[2] / "docs/events/README.md"
EVENT = Event("invalid_grant.1", "invalid_grant", "alice", 1_800_000_000.25, {"message": "ü", "version": 3})


def test_an_event_is_a_binary_cloudevent() -> None:
    assert EVENT.attributes("//secretmanager.googleapis.com/projects/p") == {
        "ce-id": "invalid_grant.1",
        "ce-source": "//secretmanager.googleapis.com/projects/p",
        "ce-specversion": "1.0",
        "ce-type": "dev.token-refresh.invalid_grant.v1",
        "ce-subject": "alice",
        "ce-time": "2027-01-15T08:00:00.250Z",
        "content-type": "application/json",
    }
    urgent = Event("1", "recovered", "alice", 0, {"severity": "info"})
    assert urgent.attributes("//x")["severity"] == "info"
    assert json.loads(EVENT.body()) == {"message": "ü", "version": 3}


def test_the_same_incident_always_has_the_same_id() -> None:
    assert build_event_id("recovered", "a", 1) == build_event_id("recovered", "a", 1)
    parts = [("a", 1), ("a", 2), ("a1",), ("a", "", 1)]
    ids = {build_event_id("recovered", *p) for p in parts} | {build_event_id("x", "a", 1)}
    assert len(ids) == 5
    assert build_event_id("recovered", "a").startswith("recovered.")


def test_what_does_not_apply_is_absent() -> None:
    assert present({"a": None, "b": "", "c": 0, "d": "x"}) == {"c": 0, "d": "x"}


def test_times_are_written_in_utc() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        *[pytest.param(r, "reconsent", id=r) for r in ("revoked_or_expired", "never_consented", "testing_mode_expiry")],
        *[pytest.param(r, "reconsent", id=r) for r in ("idle_expiry", "lost_rotation", "refresh_token_reused")],
        pytest.param("reauth_required", "reauthenticate", id="reauth_required"),
        *[pytest.param(r, "ask_admin", id=r) for r in ("admin_policy_enforced", "org_internal", "access_denied")],
        *[pytest.param(r, "fix_client", id=r) for r in ("invalid_client", "unauthorized_client", "mass_invalid_grant")],
        *[pytest.param(r, "fix_configuration", id=r) for r in ("invalid_scope", "invalid_request", "misconfigured")],
        pytest.param("unsupported_grant_type", "fix_configuration", id="unsupported_grant_type"),
        pytest.param("refresh_failing", "wait", id="refresh_failing"),
        pytest.param("some_new_code", "fix_client", id="an-unknown-code-is-the-operator-s-matter"),
    ],
)
def test_every_reason_has_its_remedy(reason: str, remedy: str) -> None:
    assert remedy_for(reason) == remedy
    assert words_for(reason).endswith(".")


def remedies_table() -> str:
    rows = ["| reason | remedy | what it means |", "| --- | --- | --- |"]
    rows += [f"| `{reason}` | `{remedy}` | {words} |" for reason, (remedy, words) in REMEDIES.items()]
    return "\n".join(rows) + "\n"


def test_the_published_table_is_the_one_in_the_code() -> None:
    found = re.search(r"<!-- remedies:begin -->\n(.*)<!-- remedies:end -->", README.read_text(), re.DOTALL)
    assert found
    assert found[1] == remedies_table()


def test_every_type_has_a_schema_and_every_schema_is_linked() -> None:
    assert set(SCHEMAS) == set(EventType)
    text = README.read_text()
    assert all(f"({name}.schema.json)" in text and f"dev.token-refresh.{name}.v1" in text for name in EventType)


def test_a_schema_refuses_what_the_contract_does_not_know() -> None:
    data = {"provider": "google", "reason": "x", "message": "m"}
    validate(Event("1", "recovered", "alice", 0, data))
    with pytest.raises(AssertionError, match="access_token"):
        validate(Event("1", "recovered", "alice", 0, {**data, "access_token": "CANARY"}))
    with pytest.raises(AssertionError, match="connection_secret"):
        validate(Event("1", "recovered", "alice", 0, {**data, "connection": "alice"}))
