"""docs/events/recipes.md: what gcloud would send, and that recipes name fields, attributes and types that exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.infra.plans import ROOT
from tests.infra.recording import Recording
from token_refresh.core.incident.events import EventType

pytestmark = pytest.mark.timeout(120)
TEXT = (ROOT / "docs/events/recipes.md").read_text()
WORKFLOW = ROOT / "examples/events/jira.yaml"
NAMES = "PROJECT=my-project REGION=europe-west1 NUMBER=123456789012 API_TOKEN=x\n"
LONGEST_FILTER = 256  # bytes; https://cloud.google.com/pubsub/docs/subscription-message-filter


def recipe(name: str) -> str:
    found = re.search(rf"<!-- {name}:begin -->\n```sh\n(.*?)```\n<!-- {name}:end -->", TEXT, re.DOTALL)
    assert found, f"no recipe {name}"
    return found[1]


def recorded(name: str, folder: Path) -> Recording:
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud")
    copy = folder / WORKFLOW.relative_to(ROOT)
    copy.parent.mkdir(parents=True)
    shutil.copy(WORKFLOW, copy)
    # bq speaks to Google alone: its flags are looked at below.
    lines = re.sub(r"^bq (?:.*\\\n)*.*\n", "", recipe(name), flags=re.MULTILINE)
    recording = Recording(NAMES + lines, folder)
    assert not recording.complaints
    return recording


def fields() -> set[str]:
    schemas = [json.loads(path.read_text()) for path in (ROOT / "docs/events").glob("*.schema.json")]
    return {name for schema in schemas for name in schema["properties"]}


def test_a_filter_is_short_enough_and_names_attributes_that_events_have(tmp_path: Path) -> None:
    requests = recorded("filter", tmp_path).sent("PUT", "/subscriptions/")
    assert len(requests) == 2
    for request in requests:
        text = request.body["filter"]
        assert len(text.encode()) <= LONGEST_FILTER
        assert set(re.findall(r'attributes\."?([\w-]+)', text)) <= {"ce-type", "ce-subject", "severity"}
        assert request.body["enableMessageOrdering"] is True


def test_every_event_type_that_a_recipe_names_exists() -> None:
    named = re.findall(r"dev\.token-refresh\.(\w+)\.v1", TEXT + WORKFLOW.read_text())
    assert named
    assert set(named) <= set(EventType)


def test_the_workflow_is_deployed_and_triggered_by_the_events_topic(tmp_path: Path) -> None:
    recording = recorded("jira", tmp_path)
    (workflow,) = recording.sent("PATCH", "/workflows/token-refresh-jira$")
    assert workflow.body["sourceContents"] == WORKFLOW.read_text()
    assert set(workflow.body["userEnvVars"]) == set(re.findall(r'sys\.get_env\("(\w+)"\)', WORKFLOW.read_text()))
    (trigger,) = recording.sent("POST", "/triggers$")
    assert trigger.body["transport"]["pubsub"]["topic"] == "projects/my-project/topics/token-refresh-events"
    assert trigger.body["destination"]["workflow"].endswith("/workflows/token-refresh-jira")
    (secret,) = recording.sent("POST", ":addVersion$")
    assert secret.path.endswith("/jira-login:addVersion")


def test_the_workflow_reads_fields_that_events_have_and_goes_on_at_steps_that_exist() -> None:
    """Workflows itself is Google's alone: its source is looked at, not run."""
    text = WORKFLOW.read_text()
    read = re.findall(r'\bdata\.(\w+)|map\.get\(data, "(\w+)"\)', text.replace("event.data.message.data", ""))
    assert {name for pair in read for name in pair if name} <= fields()
    steps = list(_steps(yaml.safe_load(text)["main"]["steps"]))
    names = {name for name, _ in steps}
    assert len(names) == len(steps)
    targets = set(re.findall(r"next: (\w+)", text)) - {"break"}
    assert targets <= names
    assert "consent_url" not in text, "the link is the owner's alone"


def _steps(steps: list[dict[str, Any]]) -> Any:
    for step in steps:
        ((name, body),) = step.items()
        yield name, body
        inner = body.get("for", {}).get("steps", []) if isinstance(body, dict) else []
        for case in body.get("switch", []) if isinstance(body, dict) else []:
            inner = [*inner, *case.get("steps", [])]
        yield from _steps(inner)


def test_events_are_written_to_the_table_that_the_query_reads(tmp_path: Path) -> None:
    (request,) = recorded("bigquery", tmp_path).sent("PUT", "/subscriptions/")
    config = request.body["bigqueryConfig"]
    assert config["writeMetadata"] is True
    assert re.split("[:.]", config["table"]) == ["my-project", "token_refresh", "events"]
    (query,) = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
    assert set(re.findall(r"JSON_VALUE\(data\.(\w+)\)", query)) <= fields()
    assert "FROM token_refresh.events" in query


def test_bq_knows_every_flag_of_the_recipe(tmp_path: Path) -> None:
    if not shutil.which("bq"):
        pytest.skip("no bq")
    commands = re.findall(r"^bq (?:.*\\\n)*.*\n", recipe("bigquery"), re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        # Without credentials it stops after it has read its flags, and before it sends anything.
        environment = os.environ | {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path / "gcloud")}
        done = subprocess.run(
            ["bash", "-c", NAMES + command], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert "lags parsing error" not in done.stdout + done.stderr
        assert "do not currently have an active account" in done.stdout + done.stderr
