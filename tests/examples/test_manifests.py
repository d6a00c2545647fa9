"""Manifests and configurations: held against the schemas of the tools that read them, where those can be had."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from cloudevents.http import CloudEvent

from infra.local.secret_manager.server import SecretManagerServer
from tests.infra.plans import OFFLINE
from tests.peers import kubernetes_models
from tests.worlds.cloud import EXAMPLES, ROOT

pytestmark = pytest.mark.timeout(360)


def objects(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / path).read_text()))


@pytest.mark.parametrize("path", ["kubernetes/external-secret.yaml", "kubernetes/secret-provider-class.yaml"])
def test_kubernetes_objects_fit_their_schemas(path: str) -> None:
    if reason := kubernetes_models.why_missing():
        pytest.skip(reason)
    assert kubernetes_models.faults(objects(path)) == []


def test_the_schemas_would_find_a_mistake() -> None:
    if reason := kubernetes_models.why_missing():
        pytest.skip(reason)
    store, secret = objects("kubernetes/external-secret.yaml")
    secret["spec"]["data"][0]["remoteRef"]["key"] = 7
    assert len(kubernetes_models.faults([store, secret])) == 1


def test_external_secrets_are_read_more_often_than_tokens_end() -> None:
    secret = objects("kubernetes/external-secret.yaml")[1]
    assert secret["spec"]["refreshInterval"] == "5m", "the default is an hour"


def unknown(node: object, schema: dict[str, Any], schemas: dict[str, Any], where: str = "") -> list[str]:
    """List the fields that Google's discovery document does not know."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    if isinstance(node, list):
        return [
            fault for n, one in enumerate(node) for fault in unknown(one, schema["items"], schemas, f"{where}[{n}]")
        ]
    if not isinstance(node, dict):
        return []
    if "additionalProperties" in schema:
        return []
    known = schema.get("properties", {})
    found = [f"{where}.{key}" for key in node if key not in known]
    for key, value in node.items():
        if key in known:
            found += unknown(value, known[key], schemas, f"{where}.{key}")
    return found


def test_the_cloud_run_job_has_only_fields_that_cloud_run_knows() -> None:
    import googleapiclient.discovery_cache  # type: ignore[import-untyped]  # noqa: PLC0415 - only this test needs it

    folder = Path(googleapiclient.discovery_cache.__file__).parent / "documents"
    schemas = json.loads((folder / "run.v1.json").read_text())["schemas"]
    (job,) = objects("cloud-run/job.yaml")
    assert unknown(job, {"$ref": "Job"}, schemas) == []
    job["spec"]["template"]["spec"]["template"]["spec"]["volumes"][0]["secret"]["version"] = "latest"
    assert len(unknown(job, {"$ref": "Job"}, schemas)) == 1
    items = job["spec"]["template"]["spec"]["template"]["spec"]["volumes"][0]["secret"]["items"]
    assert [item["key"] for item in items] == ["latest"]


def test_the_github_workflow_fits_its_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run(
        [*command, str(EXAMPLES / "github" / "mailbox.yaml")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "::add-mask::" in (EXAMPLES / "github" / "mailbox.yaml").read_text()


# https://cloud.google.com/workflows/docs/reference/syntax
_STEP = "assign call args result switch condition next return raise try retry except for parallel steps as"
STEP = frozenset(_STEP.split(" "))


def steps(node: Any) -> list[str]:
    """Check the steps of a workflow; returns what is not one."""
    wrong = [key for key in node if key not in STEP] if isinstance(node, dict) else ["no mapping"]
    if isinstance(node, dict):
        for inner in ("try", "except"):
            if inner in node and "steps" in node[inner]:
                wrong += [w for step in node[inner]["steps"] for w in steps(next(iter(step.values())))]
    return wrong


def test_the_workflow_is_made_of_steps_and_calls_what_it_defines() -> None:
    (workflow,) = objects("workflows/mailbox.yaml")
    assert set(workflow) == {"main", "list_messages"}
    for routine in workflow.values():
        for step in routine["steps"]:
            assert len(step) == 1
            assert steps(next(iter(step.values()))) == []
    text = (EXAMPLES / "workflows" / "mailbox.yaml").read_text()
    assert text.count("${") == text.count("}") - text.count("{") + text.count("${"), "expressions are closed"


def test_the_terraform_example_is_valid(tmp_path: Path) -> None:
    terraform = str(OFFLINE) if OFFLINE.exists() else shutil.which("terraform")
    if terraform is None or shutil.which("terraform") is None:
        pytest.skip("terraform is missing")
    shutil.copy(EXAMPLES / "terraform" / "main.tf", tmp_path)
    for command in (("init", "-backend=false", "-input=false"), ("validate",)):
        done = subprocess.run(
            [terraform, f"-chdir={tmp_path}", *command],
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_dbt_follows_googles_default_credentials() -> None:
    (profiles,) = objects("dbt/profiles.yml")
    output = profiles["reports"]["outputs"]["prod"]
    assert (output["type"], output["method"]) == ("bigquery", "oauth")


class Kubernetes:
    """The two modules of the client that the function uses; keeps what it is asked to patch."""

    def __init__(self) -> None:
        self.patched: list[dict[str, Any]] = []
        self.client = types.SimpleNamespace(CustomObjectsApi=lambda: self)
        self.config = types.SimpleNamespace(load_config=lambda: None)

    def patch_namespaced_custom_object(self, **patch: Any) -> None:
        self.patched.append(patch)


def test_a_new_version_syncs_its_external_secret_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notification is that of Secret Manager, the CloudEvent that of the framework."""
    kubernetes = Kubernetes()
    monkeypatch.setitem(sys.modules, "kubernetes", kubernetes)
    sent: list[dict[str, str]] = []
    topics = [{"name": "projects/local-project/topics/tokens"}]
    secret: dict[str, Any] = {"replication": {"automatic": {}}, "topics": topics}
    parent, secret_id = "projects/local-project", "gmail-alice-access-token"
    with (
        SecretManagerServer(notify=lambda _topic, attributes, _data: sent.append(dict(attributes))) as server,
        server.client() as client,
    ):
        client.create_secret(request={"parent": parent, "secret_id": secret_id, "secret": secret})
        version = {"parent": f"{parent}/secrets/{secret_id}", "payload": {"data": b"{}"}}
        client.add_secret_version(request=version)
    function = runpy.run_path(str(EXAMPLES / "kubernetes" / "sync" / "main.py"))["sync"]
    for attributes in sent:
        event = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub.googleapis.com/x"}
        function(CloudEvent(event, {"message": {"attributes": attributes, "data": ""}}))
    assert "SECRET_VERSION_ADD" in [attributes["eventType"] for attributes in sent]
    (patch,) = kubernetes.patched
    assert (patch["group"], patch["plural"], patch["name"]) == ("external-secrets.io", "externalsecrets", "gmail-alice")
    assert float(patch["body"]["metadata"]["annotations"]["force-sync"]) > 0


def test_every_example_says_what_to_do_on_a_401() -> None:
    # What only gets the token, or is told when there is a new one, never sees a 401.
    others = {"package.json", "package-lock.json", "requirements.txt", "caller_token.sh", "token.sh", "sync/main.py"}
    silent = [
        str(path.relative_to(ROOT))
        for path in EXAMPLES.rglob("*")
        if path.is_file()
        and not {"flows", "events"}
        & set(path.relative_to(EXAMPLES).parts)  # those who get tokens, and who hear of events
        and not str(path).endswith(tuple(others))
        and "401" not in path.read_text()
    ]
    assert silent == []
