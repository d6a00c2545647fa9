"""The shell examples, as they stand, with the real gcloud, curl and jq against the local stack."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.worlds.cloud import EXAMPLES, SUBJECTS, Cloud
from tests.worlds.gcloud import warm_path

MISSING = [tool for tool in ("gcloud", "curl", "jq", "bash") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} is missing"),
    # One call of gcloud takes about a second, several on a loaded machine.
    pytest.mark.timeout(300),
]
SHELL = EXAMPLES / "shell"


@pytest.fixture
def tools(cloud: Cloud, tmp_path: Path) -> dict[str, str]:
    """Give an environment where curl finds Google's hosts on this machine, and gcloud is the job's service account."""
    tools = tmp_path / "bin"
    tools.mkdir()
    cloud.write_curl(tools)
    caller = tmp_path / "caller"
    caller.write_text(cloud.world.stack.secret_manager.callers.issue(cloud.account))
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": f"{tools}:{warm_path()}",
        "HOME": str(home),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{cloud.world.stack.secret_manager.rest_url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{cloud.world.stack.pubsub.address}/",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(caller),
        "CLOUDSDK_CORE_PROJECT": cloud.project,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
    }


def run(cloud: Cloud, script: str, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return cloud.run([str(EXAMPLES / script), *arguments], environment, seconds=200)


def test_a_mailbox_is_read_and_a_401_costs_one_more_read(cloud: Cloud, name: str, tools: dict[str, str]) -> None:
    first = cloud.connect(name)
    cloud.refresh_meanwhile(name, refused=first)
    done = run(cloud, "shell/gmail.sh", {**tools, "CONNECTION": name})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert ("first", 200) in cloud.tokens_seen(first)


def test_where_there_is_no_newer_one_the_job_asks_through_the_topic(
    cloud: Cloud, name: str, tools: dict[str, str]
) -> None:
    first = cloud.connect(name)
    cloud.gmail.refused.add(first)
    done = run(cloud, "shell/gmail.sh", {**tools, "CONNECTION": name})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert cloud.newest(name) != first


def test_a_job_that_may_not_ask_fails_and_says_where_to_look(cloud: Cloud, name: str, tools: dict[str, str]) -> None:
    cloud.gmail.refused.add(cloud.connect(name))
    done = run(cloud, "shell/gmail.sh", {**tools, "CONNECTION": name, "REFRESH_TOPIC": ""})
    assert done.returncode != 0
    assert f"{name} is refused" in done.stderr


def test_without_permission_gcloud_is_refused(cloud: Cloud, name: str, tools: dict[str, str]) -> None:
    cloud.connect(name, allowed=False)
    done = run(cloud, "shell/gmail.sh", {**tools, "CONNECTION": name})
    assert done.returncode != 0
    assert "PERMISSION_DENIED" in done.stderr


def test_curl_alone_gets_a_token_from_token(cloud: Cloud, name: str, tools: dict[str, str]) -> None:
    first = cloud.connect(name)
    environment = {**tools, "CONNECTION": name, "TOKEN_URL": cloud.token_url}
    answer = subprocess.run(
        [SHELL / "token.sh"], env=cloud.environment(**environment), capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == first
    done = run(cloud, "shell/token.sh", {**environment, "CONNECTION": "unknown"})
    assert done.returncode == 1
    assert done.stderr.startswith("invalid_target: ")


def test_gcloud_works_with_the_token_of_a_connection(cloud: Cloud, name: str, tools: dict[str, str]) -> None:
    """The local Secret Manager is the API that is called; it accepts its own tokens, so the connection holds one."""
    cloud.world.create(f"{name}-access-token")
    cloud.world.add(f"{name}-access-token", cloud.world.stack.secret_manager.callers.issue("alice@example.com"))
    cloud.allow(name)
    resource = f"{cloud.world.project}/secrets/{name}-access-token"
    policy = {
        "bindings": [
            {"role": "roles/secretmanager.secretAccessor", "members": [f"serviceAccount:{cloud.account}"]},
            {"role": "roles/secretmanager.viewer", "members": ["user:alice@example.com"]},
        ]
    }
    cloud.world.client.set_iam_policy(request={"resource": resource, "policy": policy})
    describe = ("secrets", "describe", f"{name}-access-token", "--format=value(name)")
    done = run(cloud, "shell/gcloud.sh", {**tools, "CONNECTION": name}, *describe)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(f"{name}-access-token")


@pytest.mark.parametrize(
    ("script", "file", "more", "line", "others"),
    [
        (
            "netrc.sh",
            ".netrc",
            {"HOST": "github.com", "LOGIN": "x-access-token"},
            "machine github.com login x-access-token password {token}",
            "machine github.com login old password old\nmachine example.com login me password kept\n",
        ),
        (
            "npmrc.sh",
            ".npmrc",
            {"REGISTRY": "npm.example.com/team"},
            "//npm.example.com/team/:_authToken={token}",
            "//npm.example.com/team/:_authToken=old\nfund=false\n",
        ),
    ],
    ids=["netrc", "npmrc"],
)
def test_other_shapes_are_made_at_the_readers_side(  # noqa: PLR0913, PLR0917 - one column each
    cloud: Cloud,
    name: str,
    tools: dict[str, str],
    script: str,
    file: str,
    more: dict[str, str],
    line: str,
    others: str,
) -> None:
    token = cloud.connect(name)
    path = Path(tools["HOME"], file)
    path.write_text(others)
    for _ in range(2):
        done = run(cloud, f"shell/{script}", {**tools, "CONNECTION": name, **more})
        assert done.returncode == 0, done.stderr
    assert path.read_text().splitlines() == [others.splitlines()[1], line.format(token=token)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"


@pytest.mark.skipif(shutil.which("rclone") is None, reason="rclone is missing")
def test_the_document_is_a_token_of_rclone_as_it_stands(cloud: Cloud, name: str, tools: dict[str, str]) -> None:
    cloud.connect(name)
    config = Path(tools["HOME"], "rclone.conf")
    environment = {**tools, "CONNECTION": name, "REMOTE": "alice", "RCLONE_CONFIG": str(config)}
    declare = "rclone config create alice drive scope=drive.readonly config_is_local=false token={} --non-interactive"
    assert declare.replace("{}", "'{}'") in (EXAMPLES / "rclone" / "rclone.sh").read_text()
    assert cloud.run(declare.split(), environment).returncode == 0
    done = run(cloud, "rclone/rclone.sh", environment, "listremotes")
    assert (done.returncode, done.stdout) == (0, "alice:\n"), done.stderr
    written = next(line for line in config.read_text().splitlines() if line.startswith("token = "))
    document = json.loads(cloud.world.read(f"{name}-access-token"))
    assert json.loads(written.removeprefix("token = ")) == document


def test_the_executable_says_who_one_is_as_the_libraries_want_it(
    cloud: Cloud, tools: dict[str, str], tmp_path: Path
) -> None:
    gcloud = tmp_path / "bin" / "gcloud"
    gcloud.write_text('#!/bin/sh\n[ "$*" = "auth print-access-token" ] && echo ya29.me\n')
    gcloud.chmod(0o755)
    done = run(cloud, "shell/caller_token.sh", tools)
    answer = json.loads(done.stdout)
    assert (answer["version"], answer["success"], answer["id_token"]) == (1, True, "ya29.me")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is missing")
def test_shellcheck_finds_nothing() -> None:
    scripts = sorted(str(path) for path in EXAMPLES.glob("*/*.sh"))
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
