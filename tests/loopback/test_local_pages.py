"""The commands of local.md and status.md, run as they stand against the local stack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.stack import Stack
from tests.house.pages import blocks
from tests.worlds.gcloud import warm_path
from tests.worlds.stack import OWNER, StackWorld, running

MISSING = [tool for tool in ("gcloud", "curl", "jq", "bash") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} is missing"),
    pytest.mark.timeout(240),
]
ASKED = {"token-refresh.owner": OWNER, "token-refresh.scopes": "openid email"}


@pytest.fixture(scope="module")
def world() -> Iterator[StackWorld]:
    with running(Stack(functions=("refresh_http", "status", "consent"), emulator=False)) as world:
        world.declare("gmail-ada", annotations=ASKED)
        world.run("gmail-ada")
        # Never consented: what a person is to look at.
        world.create("gmail-alice-access-token")
        world.create(
            "gmail-alice-refresh-token",
            labels={"token-refresh": "enabled", "token-refresh-provider": "local"},
            annotations={"token-refresh.client": "oauth-client-mailbox", **ASKED},
        )
        world.run("gmail-alice")
        world.stack.pubsub.create_subscription("asked", "token-refresh")
        yield world


def run(world: StackWorld, script: str, folder: Path, **names: str) -> str:
    """Run a script of a page; raises `AssertionError` with what it said where it fails."""
    environment = os.environ | {
        "PATH": warm_path(),
        "CLOUDSDK_CONFIG": str(folder),
        "no_proxy": "127.0.0.1",
        **names,
    }
    started = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(started, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    world.bodies.append(done.stderr)
    return done.stdout


def test_gcloud_is_pointed_at_the_local_secret_manager(world: StackWorld, tmp_path: Path) -> None:
    (shown,) = blocks("docs/local.md", "sh")
    ports, _, commands = shown.partition("\n")
    assert ports.split()[:2] == ["SECRETS=http://127.0.0.1:PORT", "REFRESHER=http://127.0.0.1:PORT"]
    stack = world.stack
    said = run(
        world, commands, tmp_path, SECRETS=stack.secret_manager.rest_url, REFRESHER=stack.functions["refresh_http"].url
    )
    assert "gmail-ada-refresh-token" in said
    assert '"outcome":"refreshed"' in said
    document = json.loads(said.splitlines()[-1])
    world.canaries.add(document["access_token"])
    assert document["connection"] == "gmail-ada"


# Where a function is and who asks: Google's to tell.
IN_THE_CLOUD = """
gcloud() {
  case "$*" in
    "run services describe token-refresh-status --project="*" --region=$REGION --format=value(status.url)")
      echo "$STATUS" ;;
    "auth print-identity-token") echo e30.e30.c2ln ;;
    *) return 1 ;;
  esac
}
"""


def test_the_status_page_is_asked_by_a_script(world: StackWorld, tmp_path: Path) -> None:
    shown = next(block for block in blocks("docs/status.md", "sh") if "consent_url" in block)
    names = {"STATUS": world.stack.functions["status"].url, "PROJECT": "my-project", "REGION": "europe-west1"}
    attention, link, requested = run(world, IN_THE_CLOUD + shown, tmp_path, **names).splitlines()
    assert attention == '"gmail-alice"'
    assert link.startswith(f"{world.stack.environment['CONSENT_URL']}/consent/gmail-alice?ticket=")
    assert json.loads(requested) == {"requested": ["gmail-alice"]}
    asked = [json.loads(message.data) for message in world.stack.pubsub.pull("asked")]
    assert asked == [{"connections": ["gmail-alice"], "force": True}]


def test_several_status_pages_are_read_as_one(world: StackWorld, tmp_path: Path) -> None:
    shown = next(block for block in blocks("docs/status.md", "sh") if "for PROJECT in" in block)
    names = {"STATUS": world.stack.functions["status"].url, "REGION": "europe-west1"}
    rows = [line.split("\t") for line in run(world, IN_THE_CLOUD + shown, tmp_path, **names).splitlines()]
    expected = [[f"shard-{n}", "gmail-alice", "needs_consent", "never_consented"] for n in (1, 2, 3)]
    assert [row[:4] for row in rows] == expected


def test_the_page_is_opened_by_the_proxy_of_gcloud(world: StackWorld, tmp_path: Path) -> None:
    """The proxy would run until it is stopped: gcloud reads the command's words, and shows its help."""
    shown = next(block for block in blocks("docs/status.md", "sh") if "proxy" in block).partition("#")[0]
    said = run(world, f"{shown.strip()} --help", tmp_path, PROJECT="my-project", REGION="europe-west1")
    assert "gcloud run services proxy" in said
