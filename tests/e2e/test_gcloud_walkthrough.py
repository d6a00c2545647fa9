"""The tool people deploy with, on the local stack: declare a connection, trigger a run, read the token, use it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.worlds.gcloud import warm_path
from tests.worlds.stack import OWNER, StackWorld

pytestmark = [
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is missing"),
    # One call takes about a second, several on a loaded machine.
    pytest.mark.timeout(240),
]


def test_a_connection_is_declared_refreshed_and_read_with_gcloud(world: StackWorld, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": warm_path(),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{world.stack.secret_manager.rest_url}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": world.stack.project,
        "CLOUDSDK_CONFIG": str(tmp_path),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    }

    def gcloud(*arguments: str, data: str | None = None) -> str:
        command = ["gcloud", "secrets", *arguments]
        run = subprocess.run(
            command, env=environment, input=data, capture_output=True, text=True, timeout=60, check=False
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    refresh_token = world.stack.authorization_server.create_grant("mailbox", OWNER)
    world.canaries.add(refresh_token)
    gcloud("create", "gcloud-ada-access-token")
    gcloud(
        "create",
        "gcloud-ada-refresh-token",
        "--labels=token-refresh=enabled,token-refresh-provider=local",
        f"--set-annotations=token-refresh.client=oauth-client-mailbox,token-refresh.owner={OWNER}",
    )
    assert [one["outcome"] for one in world.post({"connections": ["gcloud-ada"]}).json()["connections"]] == [
        "needs_consent"
    ], "declared, and no grant yet"
    gcloud("versions", "add", "gcloud-ada-refresh-token", "--data-file=-", data=f"{refresh_token}\n")
    assert "gcloud-ada-refresh-token" in gcloud(
        "list", "--filter=labels.token-refresh=enabled", "--format=value(name.basename())"
    )
    assert world.run("gcloud-ada")["gcloud-ada"]["outcome"] == "refreshed"
    document = json.loads(gcloud("versions", "access", "latest", "--secret=gcloud-ada-access-token"))
    assert world.userinfo(document["access_token"]).json()["email"] == OWNER
    described = json.loads(gcloud("describe", "gcloud-ada-refresh-token", "--format=json"))
    assert described["annotations"] == {
        "token-refresh.client": "oauth-client-mailbox",
        "token-refresh.owner": OWNER,
    }, "healthy connections carry no status, and the spec is untouched"
