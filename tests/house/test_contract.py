"""docs/contract.md is what the code does: every "(contract N)" leads to a section, and its tables are the code's."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tests.house.pages import settings_defaults
from tests.worlds.event_schemas import SCHEMAS
from token_refresh.cli.app import app
from token_refresh.core import connection as spec
from token_refresh.core.access_token import build_document
from token_refresh.core.connection import Connection, SecretRecord
from token_refresh.core.incident.events import Event, EventType, remedy_for
from token_refresh.core.incident.incident import build_event
from token_refresh.core.overview.row import Reading, Rules, build_row
from token_refresh.core.provider.definition import Provider
from token_refresh.core.secrecy import Secret
from token_refresh.core.state.policy import wait
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.timing import Margins
from token_refresh.core.status import STATES, Lease, Outcome, State, Status, render_lease
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.core.trigger import Trigger, parse_trigger
from token_refresh.errors import BadRequest
from token_refresh.run.report import Report
from token_refresh.run.run import Claims, Run
from token_refresh.run.visit import Visit
from token_refresh.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/contract.md").read_text(encoding="utf-8")
RECORD = SecretRecord("alice-refresh-token", {"token-refresh": "enabled"}, {}, "etag")
ALICE = Connection("alice", RECORD)
CITED = re.compile(r"contract (\d+(?:(?:, | and )\d+)*)")


def section(number: int) -> str:
    found = re.search(rf"^## {number}\. .*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/contract.md has no section {number}"
    return found[0]


def rows(name: str) -> list[list[str]]:
    """Return the cells of a table between its markers, without its head."""
    found = re.search(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", PAGE, re.DOTALL)
    assert found, f"docs/contract.md has no table {name}"
    lines = [line for line in found[1].splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def names(table: str) -> list[str]:
    """Return the names in code marks of the first column."""
    return [name for row in rows(table) for name in re.findall(r"`([^`]+)`", row[0])]


def files_that_cite() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    paths = [ROOT / name for name in listed.split("\0") if name.endswith((".py", ".md", ".tf", ".toml", ".yaml"))]
    return [path for path in paths if path.is_file()]


def test_the_sections_are_numbered_from_1_to_13() -> None:
    assert re.findall(r"^## (\d+)\.", PAGE, re.MULTILINE) == [str(n) for n in range(1, 14)]


def test_every_reference_to_the_contract_leads_to_a_section() -> None:
    paths = files_that_cite()
    if not paths:
        pytest.skip("not a git checkout")
    cited = {
        int(number)
        for path in paths
        for match in CITED.finditer(path.read_text(encoding="utf-8"))
        for number in re.findall(r"\d+", match[1])
    }
    assert cited
    assert [number for number in sorted(cited) if f"\n## {number}. " not in PAGE] == []


def test_the_entry_points_are_those_of_main() -> None:
    tree = ast.parse((ROOT / "main.py").read_text(encoding="utf-8"))
    found = {
        node.name: ast.unparse(node.decorator_list[0]).removeprefix("functions_framework.")
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("functions_framework" in ast.unparse(d) for d in node.decorator_list)
    }
    kinds = {"HTTP": "http", "CloudEvent": "cloud_event"}
    assert {row[0].strip("`"): kinds[row[1]] for row in rows("entry-points")} == found


def test_the_settings_are_those_of_the_code() -> None:
    documented = [(row[0].strip("`"), row[1]) for row in rows("settings")]
    assert documented == list(settings_defaults())


def test_the_provider_keys_are_those_of_the_code() -> None:
    written = {f.name for f in fields(Provider)}
    assert sorted({*names("provider-keys"), "name", "longer_names"}) == sorted({*written, "extends"})


def test_the_outcomes_are_those_of_the_code() -> None:
    assert sorted(names("outcomes")) == sorted(Outcome)


def test_the_states_are_those_of_the_code() -> None:
    assert sorted(names("states")) == sorted(STATES)


def test_the_request_has_the_keys_that_are_read() -> None:
    with pytest.raises(BadRequest) as fault:
        parse_trigger({"nonsense": 1})
    known = str(fault.value).rsplit("known are ", 1)[1].split(", ")
    assert set(known) == set(names("request"))


def test_the_rows_of_an_answer_have_the_fields_that_are_written() -> None:
    status = Status(State.REJECTED, "invalid_client", 1, next_attempt_at=2)
    visit = Visit(ALICE, Situation("alice", 0), wait(Outcome.REJECTED, "invalid_client"), message="why")
    margins = Margins(900, 0, cannot_keep_fresh=True)
    run = Run(Trigger(), 0, 60, Claims())
    report = Report(run, [visit], lambda _: status, lambda _, __: margins, Settings(), destroyed=1)
    document = report.document()
    written = document["connections"]
    assert isinstance(written, list)
    assert [set(names("report-fields"))] == [set(row) for row in written]
    assert set(document) == {"run_id", "counts", "connections", "destroyed"}
    assert "`destroyed`" in section(4)


def test_the_rows_of_the_status_page_have_the_fields_that_are_written() -> None:
    rules = Rules(refresh_before_expiry=900, run_every=300)
    row = build_row(ALICE, Reading(), providers={}, rules=rules, now=0)
    assert set(names("status-fields")) == set(row.as_json(None))


def test_the_annotations_are_those_that_are_read_and_written() -> None:
    source = (ROOT / "token_refresh/core/connection.py").read_text(encoding="utf-8")
    read = {f"token-refresh.{name}" for name in re.findall(r'note\.get\("([a-z-]+)"\)', source)}
    read |= {f"token-refresh.{name}" for name in re.findall(r'note\.get\("([a-z-]+)", ""\)', source)}
    gone = {"token-refresh.access-token-secret"}
    own = {spec.STATUS, spec.LEASE, spec.ACCESS_TOKEN, spec.CONSENTS}
    assert {*names("annotations"), *gone, *(own & read)} == read
    assert [name for name in own if f"`{name}`" not in section(2)] == []


def test_the_fields_of_the_status_annotation_are_those_of_the_code() -> None:
    assert set(names("status-annotation")) == {f.name for f in fields(Status)}


def test_the_fields_of_the_lease_are_those_of_the_code() -> None:
    assert [f.name for f in fields(Lease)] == [row[0].strip("`") for row in rows("lease")]
    assert "unsaved" in render_lease(Lease("x", 1, 1, unsaved=True))


def test_the_document_that_jobs_read_has_the_fields_that_are_written() -> None:
    refreshed = Refreshed(Secret("t"), expires_at=1, extra={"instance_url": "https://a.example"})
    written = build_document(refreshed, connection="alice", connection_version=1, now=0)
    assert set(names("document")) == set(json.loads(written))


def test_the_event_types_are_those_of_the_code() -> None:
    assert names("event-types") == [Event("", kind, "", 0).attributes("")["ce-type"] for kind in EventType]


def test_the_event_fields_are_those_of_the_published_schemas() -> None:
    published = {name for schema in SCHEMAS.values() for name in schema.schema["properties"]}
    assert {name for row in rows("event-fields") for name in re.findall(r"`([a-z_]+)`", row[0])} == published


def test_an_event_has_no_field_that_is_not_listed() -> None:
    status = Status(State.REJECTED, "invalid_client", 1, version=1, first_failed_at=1, error="e", error_subtype="s")
    status = replace(status, has_unknown_account=True)
    event = build_event(
        "client_rejected.1",
        ALICE,
        status,
        now=0,
        facts=None,
        consent_url="https://a.example",
        error_description="d",
    )
    assert set(event.data) <= set(names("event-fields"))


def test_the_remedies_are_those_of_the_code() -> None:
    table = [line for line in section(8).splitlines() if re.match(r"\| `(reconsent|reauth|ask_|fix_|wait)", line)]
    for line in table:
        remedy, reasons = line.split("|")[1].strip(" `"), re.findall(r"`([a-z_]+)`", line.split("|")[2])
        wrong = [reason for reason in reasons if reason != "admin_errors" and remedy_for(reason) != remedy]
        assert not wrong, f"{remedy}: {wrong}"
    assert len(table) == 6


def test_the_commands_are_those_of_the_code() -> None:
    documented = {name.split()[0] for name in names("commands")}
    assert documented == {name for name, command in app.commands.items() if not command.hidden}
