"""The Node examples, as they stand, against the local stack with a token that ends meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers import npm
from tests.worlds.cloud import EXAMPLES, ROOT, SUBJECTS, Cloud

pytestmark = pytest.mark.timeout(360)
SOURCE = EXAMPLES / "node"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := npm.why_missing(SOURCE):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(npm.install(SOURCE) / "node_modules")
    for example in (*SOURCE.glob("*.mjs"), ROOT / "tests" / "examples" / "as_in_the_cloud.mjs"):
        shutil.copy(example, folder)
    return folder


def run(cloud: Cloud, folder: Path, example: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["node", "--import", "./as_in_the_cloud.mjs", example]
    return cloud.run(command, {"METADATA_SERVER_DETECTION": "assume-present", **environment}, cwd=folder)


def test_google_client_libraries_use_a_connection_without_a_line_of_code(cloud: Cloud, name: str, folder: Path) -> None:
    first = cloud.connect(name)
    cloud.refresh_meanwhile(name, refused=first)
    credentials = str(cloud.credential_file(name))
    done = run(cloud, folder, "gmail_with_adc.mjs", GOOGLE_APPLICATION_CREDENTIALS=credentials)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert cloud.tokens_seen(first, cloud.newest(name)) == [("first", 200), ("first", 401), *[("second", 200)] * 3]


def test_without_permission_on_the_secret_there_is_no_token(cloud: Cloud, name: str, folder: Path) -> None:
    cloud.connect(name, allowed=False)
    credentials = str(cloud.credential_file(name))
    done = run(cloud, folder, "gmail_with_adc.mjs", GOOGLE_APPLICATION_CREDENTIALS=credentials)
    assert done.returncode == 1
    assert "invalid_target" in done.stderr
    assert not cloud.gmail.calls


def test_on_a_laptop_gcloud_says_who_one_is(cloud: Cloud, name: str, folder: Path, tmp_path: Path) -> None:
    first = cloud.connect(name)
    gcloud = tmp_path / "gcloud"
    token = cloud.world.stack.secret_manager.callers.issue(cloud.account)
    gcloud.write_text(f'#!/bin/sh\n[ "$*" = "auth print-access-token" ] && echo {token}\n')
    gcloud.chmod(0o755)
    done = run(
        cloud,
        folder,
        "gmail_with_adc.mjs",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        GOOGLE_APPLICATION_CREDENTIALS=str(cloud.credential_file(name, on_laptop=True)),
        GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES="1",
    )
    assert done.returncode == 0, done.stderr
    assert {seen for seen, _ in cloud.tokens_seen(first)} == {"first"}


def test_a_token_near_its_end_is_read_again_before_it_ends(cloud: Cloud, name: str, folder: Path) -> None:
    """google-auth-library wants five minutes of life: this document has less, the next one more."""
    first = cloud.connect(name)
    document = json.loads(cloud.world.read(f"{name}-access-token"))
    soon = {**document, "expires_at": document["refreshed_at"] + 290, "expiry_date": 0}
    soon["expiry_date"] = soon["expires_at"] * 1000
    cloud.world.add(f"{name}-access-token", json.dumps(soon))
    cloud.refresh_meanwhile(name)
    done = run(cloud, folder, "refresh_handler.mjs", CONNECTION=name)
    assert done.returncode == 0, done.stderr
    assert cloud.tokens_seen(first, cloud.newest(name)) == [("first", 200), *[("second", 200)] * 3]


def test_after_a_401_the_job_reads_the_newer_token(cloud: Cloud, name: str, folder: Path) -> None:
    first = cloud.connect(name)
    cloud.refresh_meanwhile(name, refused=first)
    done = run(cloud, folder, "refresh_handler.mjs", CONNECTION=name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert cloud.tokens_seen(first, cloud.newest(name)) == [("first", 200), ("first", 401), *[("second", 200)] * 3]


def test_where_there_is_no_newer_one_the_job_asks_through_the_topic(cloud: Cloud, name: str, folder: Path) -> None:
    first = cloud.connect(name)
    cloud.end_meanwhile(refused=first)
    done = run(cloud, folder, "refresh_handler.mjs", CONNECTION=name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert cloud.newest(name) != first


def test_a_job_that_may_not_ask_fails_and_says_where_to_look(cloud: Cloud, name: str, folder: Path) -> None:
    first = cloud.connect(name)
    cloud.end_meanwhile(refused=first)
    done = run(cloud, folder, "refresh_handler.mjs", CONNECTION=name, REFRESH_TOPIC="")
    assert done.returncode == 1
    assert f"{name} is refused" in done.stderr
    assert "token-refresh-events" in done.stderr
