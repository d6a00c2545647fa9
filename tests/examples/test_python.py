"""The Python examples, as they stand, against the local stack with a token that ends meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.worlds.cloud import SUBJECTS, Cloud

pytestmark = pytest.mark.timeout(180)


def test_google_client_libraries_use_a_connection_without_a_line_of_code(cloud: Cloud, name: str) -> None:
    first = cloud.connect(name)
    cloud.refresh_meanwhile(name, refused=first)
    credentials = str(cloud.credential_file(name))
    done = cloud.python("python/gmail_with_adc.py", from_nothing=True, GOOGLE_APPLICATION_CREDENTIALS=credentials)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    second = cloud.newest(name)
    assert cloud.tokens_seen(first, second) == [
        ("first", 200),
        ("first", 401),
        ("second", 200),
        ("second", 200),
        ("second", 200),
    ]


def test_without_permission_on_the_secret_there_is_no_token(cloud: Cloud, name: str) -> None:
    cloud.connect(name, allowed=False)
    credentials = str(cloud.credential_file(name))
    done = cloud.python("python/gmail_with_adc.py", GOOGLE_APPLICATION_CREDENTIALS=credentials)
    assert done.returncode == 1
    assert "invalid_target" in done.stderr
    assert not cloud.gmail.calls


def test_on_a_laptop_gcloud_says_who_one_is(cloud: Cloud, name: str, tmp_path: Path) -> None:
    first = cloud.connect(name)
    gcloud = tmp_path / "gcloud"
    token = cloud.world.stack.secret_manager.callers.issue(cloud.account)
    gcloud.write_text(f'#!/bin/sh\n[ "$*" = "auth print-access-token" ] && echo {token}\n')
    gcloud.chmod(0o755)
    done = cloud.python(
        "python/gmail_with_adc.py",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        GOOGLE_APPLICATION_CREDENTIALS=str(cloud.credential_file(name, on_laptop=True)),
        GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES="1",
    )
    assert done.returncode == 0, done.stderr
    assert {seen for seen, _ in cloud.tokens_seen(first)} == {"first"}


def test_a_token_near_its_end_is_read_again_before_it_ends(cloud: Cloud, name: str) -> None:
    """google-auth wants 3 min 45 s of life: this document has less, the next one more."""
    first = cloud.connect(name)
    document = json.loads(cloud.world.read(f"{name}-access-token"))
    cloud.world.add(f"{name}-access-token", json.dumps({**document, "expires_at": document["refreshed_at"] + 200}))
    cloud.refresh_meanwhile(name)
    credentials = str(cloud.credential_file(name))
    done = cloud.python("python/gmail_with_adc.py", GOOGLE_APPLICATION_CREDENTIALS=credentials)
    assert done.returncode == 0, done.stderr
    assert cloud.tokens_seen(first, cloud.newest(name)) == [("first", 200), *[("second", 200)] * 3]


@pytest.mark.parametrize("example", ["google_auth_refresh_handler", "requests_job", "authlib_job"])
def test_after_a_401_the_job_reads_the_newer_token(cloud: Cloud, name: str, example: str) -> None:
    first = cloud.connect(name)
    cloud.refresh_meanwhile(name, refused=first)
    done = run(cloud, example, name, from_nothing=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert cloud.tokens_seen(first, cloud.newest(name)) == [
        ("first", 200),
        ("first", 401),
        *[("second", 200)] * 3,
    ]


@pytest.mark.parametrize("example", ["google_auth_refresh_handler", "requests_job"])
def test_where_there_is_no_newer_one_the_job_asks_through_the_topic(cloud: Cloud, name: str, example: str) -> None:
    first = cloud.connect(name)
    cloud.end_meanwhile(refused=first)
    done = run(cloud, example, name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert cloud.newest(name) != first


@pytest.mark.parametrize("example", ["google_auth_refresh_handler", "requests_job", "authlib_job"])
def test_a_job_that_may_not_ask_fails_and_says_where_to_look(cloud: Cloud, name: str, example: str) -> None:
    first = cloud.connect(name)
    cloud.end_meanwhile(refused=first)
    done = run(cloud, example, name, REFRESH_TOPIC="")
    assert done.returncode == 1
    assert f"{name} is refused" in done.stderr
    assert "token-refresh-events" in done.stderr


def run(
    cloud: Cloud, example: str, name: str, *, from_nothing: bool = False, **more: str
) -> subprocess.CompletedProcess[str]:
    return cloud.python(
        f"python/{example}.py",
        from_nothing=from_nothing,
        CONNECTION=name,
        API="https://gmail.googleapis.com/gmail/v1/users/me/messages",
        **more,
    )
