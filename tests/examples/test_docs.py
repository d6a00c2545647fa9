"""Every command and every code block of docs/consumers.md and docs/invalid-grant.md is carried out as it stands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from infra.local.processes.process import free_port
from tests.peers import npm
from tests.worlds.cloud import AS_IN_THE_CLOUD, EXAMPLES, ROOT, SUBJECTS, Cloud
from tests.worlds.gcloud import warm_path
from tests.worlds.stack import OWNER
from token_refresh.core.http import HttpReply
from token_refresh.core.token_endpoint.classify import Asked, classify_reply
from token_refresh.core.token_endpoint.outcome import GrantDead
from token_refresh.core.token_exchange import build_credential_file
from token_refresh.providers import load_providers

MISSING = [tool for tool in ("gcloud", "curl", "jq", "bash") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} is missing"),
    pytest.mark.timeout(300),
]


def blocks(page: str, kind: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    return [textwrap.dedent(b) for b in re.findall(rf"^ *```{kind}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]


@pytest.fixture
def desk(cloud: Cloud, tmp_path: Path) -> dict[str, str]:
    """A folder with the examples, and an operator's tools; returns the environment."""
    for folder in ("python", "shell", "flows"):
        for example in (EXAMPLES / folder).iterdir():
            (tmp_path / example.name).symlink_to(example)
    tools = tmp_path / "bin"
    tools.mkdir()
    cloud.write_curl(tools)
    for name, command in {"python": str(AS_IN_THE_CLOUD), "token-refresh": "-m token_refresh.cli"}.items():
        (tools / name).write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {command} "$@"\n')
        (tools / name).chmod(0o755)
    caller = tmp_path / "caller"
    caller.write_text(cloud.world.stack.secret_manager.callers.issue(cloud.account))
    s = cloud.world.stack
    return {
        "PATH": f"{tools}:{warm_path()}",
        "HOME": str(tmp_path),
        "JOB": cloud.account,
        "TOKEN_URL": cloud.token_url,
        "SECRET_MANAGER_EMULATOR_HOST": s.secret_manager.grpc_address,
        "PROVIDERS_FILE": s.environment["PROVIDERS_FILE"],
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{s.secret_manager.rest_url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{s.pubsub.address}/",
        "CLOUDSDK_CORE_PROJECT": cloud.project,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        # gcloud is the stack's owner where it changes something, and has the job's token where it is asked for one.
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(caller),
    }


@pytest.mark.parametrize("number", range(len(blocks("consumers.md", "sh"))))
def test_every_command_of_the_page_on_consumers(
    cloud: Cloud, name: str, desk: dict[str, str], tmp_path: Path, number: int
) -> None:
    block = blocks("consumers.md", "sh")[number]
    cloud.connect(name, allowed="add-iam-policy-binding" not in block)
    environment = {**desk, "CONNECTION": name}
    # gmail.sh is a job: its gcloud shows the job's token.
    if "./" in block:
        environment["CLOUDSDK_AUTH_DISABLE_CREDENTIALS"] = "false"
    # On a laptop there is no metadata server.
    if "--for gcloud" in block:
        environment |= {"GCE_METADATA_HOST": "127.0.0.1:1", "GCE_METADATA_IP": "127.0.0.1:1", "NO_GCE_CHECK": "true"}
    started = ["bash", "-euo", "pipefail", "-c", patched(block, cloud)]
    done = cloud.run(started, environment, cwd=tmp_path, seconds=200)
    assert done.returncode == 0, done.stderr
    if "gmail" in block or "refresh_handler" in block:
        assert done.stdout.splitlines()[-3:] == SUBJECTS
    if "jq -r .expiry" in block:
        assert re.search(r"^20\d\d-.*Z$", done.stdout, re.MULTILINE)
    if "explain" in block:
        assert done.stdout.startswith(f"{name}: healthy")


def patched(block: str, cloud: Cloud) -> str:
    """Let the credential file name this machine's metadata server: its name is not in the DNS here."""
    host = cloud.world.stack.metadata.host
    return re.sub(r"(> \$CONNECTION\.json)", rf"\1; sed -i s/metadata.google.internal/{host}/ $CONNECTION.json", block)


def test_the_credential_file_of_the_page_is_the_one_that_the_command_writes() -> None:
    (shown,) = blocks("consumers.md", "json")
    url = "https://token-refresh-token-123456789.europe-west1.run.app/token"
    assert json.loads(shown) == build_credential_file("gmail-alice", url)


def test_the_page_on_invalid_grant_begins_with_a_dead_grant() -> None:
    (shown,) = blocks("invalid-grant.md", "json")
    outcome = classify_reply(HttpReply(400, {}, shown.encode()), load_providers()["google"], Asked(1_800_000_000))
    assert isinstance(outcome, GrantDead)


def test_the_whole_answer_is_shown_and_no_token(cloud: Cloud, desk: dict[str, str], tmp_path: Path) -> None:
    look = blocks("invalid-grant.md", "sh")[0]
    client = json.loads(cloud.world.read("oauth-client-mailbox"))
    token = cloud.world.stack.authorization_server.create_grant("mailbox", OWNER)
    cloud.world.canaries.add(token)
    environment = {
        **desk,
        "CLIENT_ID": client["client_id"],
        "CLIENT_SECRET": client["client_secret"],
        "REFRESH_TOKEN": token,
    }
    done = cloud.run(["bash", "-euo", "pipefail", "-c", look], environment, cwd=tmp_path)
    assert json.loads(done.stdout)["token_type"] == "Bearer"
    assert "access_token" not in done.stdout
    cloud.world.stack.authorization_server.revoke(token)
    done = cloud.run(["bash", "-euo", "pipefail", "-c", look], environment, cwd=tmp_path)
    assert json.loads(done.stdout)["error"] == "invalid_grant"


@pytest.mark.parametrize("number", [1, 2], ids=["Python", "Node"])
def test_the_flows_start_as_the_page_says(
    cloud: Cloud, name: str, desk: dict[str, str], tmp_path: Path, number: int
) -> None:
    block = blocks("invalid-grant.md", "sh")[number]
    server = cloud.world.stack.authorization_server
    port = free_port()
    client = server.create_client(name, redirect_uris=[f"http://127.0.0.1:{port}/callback"])
    cloud.world.canaries.add(client.client_secret)
    web = {**vars(client), "auth_uri": server.authorization_url, "token_uri": server.token_url}
    (tmp_path / "client_secret.json").write_text(json.dumps({"web": web}))
    if block.startswith("python "):
        token = server.create_grant(name, OWNER)
        cloud.world.canaries.add(token)
        (tmp_path / "refresh_token.txt").write_text(token)
        done = cloud.run(["bash", "-euo", "pipefail", "-c", block], desk, cwd=tmp_path)
        assert done.stdout.startswith("valid until "), done.stderr
        return
    if reason := npm.why_missing(EXAMPLES / "node"):
        pytest.skip(reason)
    (tmp_path / "node_modules").symlink_to(npm.install(EXAMPLES / "node") / "node_modules")
    (tmp_path / "code_flow.mjs").unlink()
    shutil.copy(EXAMPLES / "flows" / "code_flow.mjs", tmp_path)
    with subprocess.Popen(
        ["bash", "-c", f"exec {block}"],
        cwd=tmp_path,
        env=cloud.environment(**desk, PORT=str(port)),
        stdout=subprocess.PIPE,
        text=True,
    ) as flow:
        assert flow.stdout is not None
        assert flow.stdout.readline().startswith(f"Open {server.authorization_url}?")
        flow.kill()


def test_there_is_no_command_that_nothing_runs() -> None:
    assert len(blocks("invalid-grant.md", "sh")) == 3
    for page in ("consumers.md", "invalid-grant.md", "which-one.md"):
        text = (ROOT / "docs" / page).read_text()
        assert set(re.findall(r"^ *```(\w+)$", text, re.MULTILINE)) <= {"sh", "json", "mermaid"}
