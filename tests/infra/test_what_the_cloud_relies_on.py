"""Names that stand both in the code and in `infra/`: the events' fields, and the log lines that metrics are made of."""

from __future__ import annotations

import ast
import json
import re
from contextlib import nullcontext
from zipfile import ZipFile

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message_factory import GetMessageClass

from tests.infra.plans import PROJECT, ROOT, SHARDS, Plan, checkout
from token_refresh.core.incident.events import REMEDIES


def fields_logged() -> set[str]:
    """Return the string keys of every dictionary in the modules that log events, displayed or assigned to."""
    keys: set[str] = set()
    modules = [text for file in (ROOT / "token_refresh").rglob("*.py") if '"event": ' in (text := file.read_text())]
    for node in (node for module in modules for node in ast.walk(ast.parse(module))):
        if isinstance(node, ast.Dict):
            keys |= {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
        ):
            keys.add(node.slice.value)
    return keys


def test_the_schema_of_the_events_topic_has_the_fields_that_events_have() -> None:
    """A field more in an event, and the topic would refuse it. What is published is held against the JSON schemas."""
    published = [json.loads(path.read_text()) for path in (ROOT / "docs/events").glob("*.schema.json")]
    assert {name for schema in published for name in schema["properties"]} == {name for _, _, name, _ in proto_fields()}


def proto_fields() -> list[tuple[str, str, str, str]]:
    """Read the fields of the Protocol Buffers schema: repeated or not, kind, name, number."""
    text = (ROOT / "infra/event.proto").read_text()
    return re.findall(r"^  (repeated |)(\w+) (\w+) = (\d+);$", text, re.MULTILINE)


def test_every_field_that_a_metric_reads_is_one_that_the_code_logs(plan: Plan) -> None:
    metrics = plan.created("google_logging_metric")
    read = {
        field
        for metric in metrics.values()
        for text in [metric["filter"], metric["value_extractor"], *(metric["label_extractors"] or {}).values()]
        for field in re.findall(r"jsonPayload\.(\w+)", text or "")
    }
    assert read <= fields_logged()


def test_every_event_that_a_metric_counts_is_one_that_the_code_logs(plan: Plan) -> None:
    filters = [metric["filter"] for metric in plan.created("google_logging_metric").values()]
    counted = {event for text in filters for event in re.findall(r'jsonPayload\.event="(\w+)"', text)}
    sources = [file.read_text() for file in (ROOT / "token_refresh").rglob("*.py")]
    logged = {event for text in sources for event in re.findall(r'"event": "(\w+)"', text)}
    assert "rotated_token_not_saved" in counted
    assert counted <= logged
    runbook = (ROOT / "docs/runbook.md").read_text()
    assert {event for event in logged if f"| `{event}` |" not in runbook} == set()


def test_the_runbook_names_every_metric(plan: Plan) -> None:
    runbook = (ROOT / "docs/runbook.md").read_text()
    for metric in plan.created("google_logging_metric").values():
        assert f"`{metric['name'].removeprefix('token-refresh/')}`" in runbook


def test_every_query_of_dashboard_and_alerts_is_of_a_metric_that_exists(plan: Plan) -> None:
    names = {metric["name"] for metric in plan.created("google_logging_metric").values()}
    exist = {"logging_googleapis_com:user_" + re.sub(r"[^A-Za-z0-9]", "_", name) for name in names}
    dashboard = next(iter(plan.created("google_monitoring_dashboard").values()))["dashboard_json"]
    alerts = json.dumps(list(plan.created("google_monitoring_alert_policy").values()))
    queried = set(re.findall(r"logging_googleapis_com:user_\w+", dashboard + alerts))
    assert queried
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in queried} <= exist


@pytest.mark.parametrize(
    ("data", "is_accepted"),
    [
        (
            {
                "connection": "gmail-alice",
                "version": 7,
                "access_token_expires_at": 1_795_179_781,
                "error": "invalid_grant",
            },
            True,
        ),
        ({"version": "7", "first_failed_at": 1_795_179_781.5}, True),
        ({"connections": 40, "connection_names": ["gmail-alice", "gmail-bob"]}, True),
        ({}, True),
        ({"refresh_token": "never"}, False),
        ({"version": "x"}, False),
        ({"connection": 5}, False),
        ({"connections": 42, "connection_names": ["a", "b"], "severity": "error"}, True),
        ({"connection_names": "a"}, False),
    ],
)
def test_an_event_is_plain_json_and_yet_valid_under_the_schema(data: dict[str, object], is_accepted: bool) -> None:  # noqa: FBT001
    """By the JSON mapping of Protocol Buffers, which Pub/Sub applies; its emulator knows Avro only."""
    types = {"string": FieldDescriptorProto.TYPE_STRING, "int64": FieldDescriptorProto.TYPE_INT64}
    types |= {"double": FieldDescriptorProto.TYPE_DOUBLE}
    file = FileDescriptorProto(name="event.proto", syntax="proto3")
    message = file.message_type.add(name="Event")
    for repeated, kind, name, number in proto_fields():
        label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
        message.field.add(name=name, number=int(number), type=types[kind], label=label)
    pool = DescriptorPool()
    pool.Add(file)
    event = GetMessageClass(pool.FindMessageTypeByName("Event"))()
    with nullcontext() if is_accepted else pytest.raises(ParseError):
        Parse(json.dumps(data), event)


def test_the_source_that_is_deployed_is_the_whole_package_and_nothing_else(plan: Plan) -> None:
    assert plan.created("google_storage_bucket_object")
    package = {str(file.relative_to(ROOT)) for file in (ROOT / "token_refresh").rglob("*") if file.is_file()}
    package = {name for name in package if "__pycache__" not in name}
    with ZipFile(checkout() / f"infra/.terraform/{PROJECT}-token-refresh-source.zip") as archive:
        assert set(archive.namelist()) - {"extra_providers.toml"} == package | {"main.py", "requirements.txt"}


def test_two_deployments_of_one_configuration_ship_each_its_own_providers(shards: Plan) -> None:
    objects = shards.created("google_storage_bucket_object")
    assert len({values["source"] for values in objects.values()}) == len(SHARDS)
    shipped = {}
    for values in objects.values():
        with ZipFile(checkout() / "infra/examples/shards" / values["source"]) as archive:
            shipped[values["bucket"].split("-token-refresh")[0]] = "extra_providers.toml" in archive.namelist()
    assert shipped == {SHARDS["first"]: False, SHARDS["second"]: True}


def test_a_connection_lives_in_the_project_that_it_names(shards: Plan) -> None:
    projects = {
        values["secret_id"]: values["project"]
        for values in shards.created("google_secret_manager_secret").values()
        if values["secret_id"].endswith("-refresh-token")
    }
    first, second = SHARDS["first"], SHARDS["second"]
    assert projects == {
        "gmail-alice-refresh-token": first,
        "gmail-bob-refresh-token": first,
        "gmail-carol-refresh-token": second,
    }


def test_one_deployment_for_each_project_and_location(any_plan: Plan) -> None:
    """A secret whose name does not depend on the prefix: a second deployment cannot make it."""
    markers = [
        (values["project"], values.get("location"))
        for values in any_plan.created("google_secret_manager_secret", "google_secret_manager_regional_secret").values()
        if values["secret_id"] == "token-refresh-deployment"
    ]
    assert markers
    assert len(markers) == len(set(markers))


def test_the_reasons_that_metrics_know_are_those_of_the_code() -> None:
    """Bounded: whatever else a provider says is counted under the empty label."""
    text = (ROOT / "infra/metrics.tf").read_text()
    known = re.search(r"known_reasons = \[(.*?)\]", text, re.DOTALL)
    assert known
    listed = set(re.findall(r'"(\w+)"', re.sub(r"#.*", "", known[1])))
    assert listed >= set(REMEDIES)
    assert listed >= reasons_in_code()
    sources = "\n".join(file.read_text() for file in (ROOT / "token_refresh").rglob("*.py"))
    assert not [reason for reason in listed if f'"{reason}"' not in sources]


GIVE_A_REASON = ("Unavailable", "UnknownOutcome", "Verdict", "left")


def reasons_in_code() -> set[str]:
    """Return the constants that the code gives as a `reason`, by name or by place."""
    found: set[str] = set()
    for file in (ROOT / "token_refresh").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
                found.add(str(node.value.value))
            elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in GIVE_A_REASON:
                found |= {str(c.value) for arg in node.args for c in ast.walk(arg) if isinstance(c, ast.Constant)}
    return {reason for reason in found if re.fullmatch(r"[a-z_]+", reason)}
