"""A connection moves to another project by the commands of the runbook, at a server that forgives no second use.

Two projects of one Secret Manager, runs in processes of their own with the real client, and the installed gcloud. What
is not read by number is hours old from before the pause on.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.api_core.exceptions import FailedPrecondition, NotFound

from infra.local.secret_manager.faults import Fault
from tests.worlds.crashes import OWNER, PATIENCE, PROJECT, CrashWorld, wait_until
from tests.worlds.gcloud import warm_path
from tests.worlds.one_run import OneRun
from token_refresh.core.connection import SUFFIX

pytestmark = [
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is missing"),
    pytest.mark.timeout(300),
]

NEW = "other-project"
CLIENT = "oauth-client-strict"
SUBJECT = "auth0|12,3"
PAGE = Path(__file__).parents[2] / "docs" / "runbook.md"
HOURS = 7200.0
# The wait of the runbook: it begins, and is over when everything that was under way has ended.
SLEEP = "sleep() { touch waiting; until [ -e over ]; do command sleep 0.02; done; }\n"


def blocks() -> list[str]:
    """Return the commands of the chapter, block by block."""
    chapter = PAGE.read_text().split("\n## Move a connection to another project\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)


PAUSE, WAIT, COPY, COPY_CLIENT, WAKE, _, DELETE = blocks()


@dataclass
class Move:
    """One connection, declared in both projects."""

    world: CrashWorld
    name: str
    folder: Path

    @property
    def secret(self) -> str:
        return f"{self.name}{SUFFIX}"

    def start(self, script: str) -> subprocess.Popen[str]:
        """Begin commands of the runbook, as a person in a shell."""
        environment = {
            **os.environ,
            "PATH": warm_path(),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{self.world.secrets.rest_url}/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CONFIG": str(self.folder / "gcloud"),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        }
        names = f"PROJECT={PROJECT} NEW={NEW} CONNECTION={self.name}\n"
        script = names + SLEEP + script.replace("NEW=my-other-project ", "")
        return subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def end(self, shell: subprocess.Popen[str]) -> str:
        """Wait for the end of such commands; what they say holds no secret."""
        said = shell.communicate(timeout=PATIENCE)[0]
        assert shell.returncode == 0, said
        self.world.answers.append(said)
        return said

    def do(self, script: str) -> str:
        return self.end(self.start(script))

    def run(self, project: str, **trigger: object) -> OneRun:
        """Start a run of a project's refresher."""
        topics = {"EVENTS_TOPIC": "token-refresh-events", "REFRESH_TOPIC": "token-refresh"}  # one for both, heard here
        topics = {variable: f"projects/{PROJECT}/topics/{topic}" for variable, topic in topics.items()}
        environ = {**self.world.environ, **topics, "GOOGLE_CLOUD_PROJECT": project}
        return OneRun(environ, {"force": True, **trigger}, logs=self.world.logs)

    def outcome(self, project: str, **trigger: object) -> str:
        with self.run(project, **trigger) as run:
            return self.outcome_of(run)

    def outcome_of(self, run: OneRun) -> str:
        _, answer = run.answer(PATIENCE)
        (outcome,) = [c["outcome"] for c in answer["connections"] if c["name"] == self.name]
        return str(outcome)

    def declare(self, project: str, state: str, payload: str | None = None) -> None:
        """Declare it, as an apply does; with its client's registration."""
        client, parent = self.world.client, f"projects/{project}"
        labels = {"token-refresh": state, "token-refresh-provider": "strict"}
        for secret_id, options in ((self.secret, {"labels": labels}), (f"{self.name}-access-token", {})):
            secret = {"replication": {"automatic": {}}, **options}
            client.create_secret(request={"parent": parent, "secret_id": secret_id, "secret": secret})
        if payload is not None:
            self.world.add(self.secret, payload)

    def newest(self, project: str) -> str:
        """Return the payload of the highest number, read by number."""
        found = b""
        for number in itertools.count(1):
            try:
                name = f"projects/{project}/secrets/{self.secret}/versions/{number}"
                found = self.world.client.access_secret_version(name=name).payload.data
            except FailedPrecondition:  # destroyed
                continue
            except NotFound:
                break
            self.world.canary.learn_payload(found)
        return found.decode()

    def pause_while_a_run_is_under_way(self) -> str:
        """Pause it between the exchange and its save, and wait as the runbook says; returns what it shows then."""
        faults = self.world.secrets.faults
        saving = faults.add(Fault("AddSecretVersion", self.secret, calls=(1,), latency=HOURS))
        with self.run(PROJECT, connections=[self.name]) as under_way:
            wait_until(lambda: saving.hits > 0, "the exchange")
            self.do(PAUSE)
            waiting = self.start(WAIT)
            wait_until((self.folder / "waiting").exists, "the wait")
            faults.replace({"stale": dict(faults.stale)})  # the call goes on
            assert self.outcome_of(under_way) == "refreshed"
            (self.folder / "over").touch()
            return self.end(waiting)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashWorld]:
    with CrashWorld(tmp_path_factory.mktemp("move"), {"strict": 0.0}) as world:
        # The container, as an apply makes it.
        there = {"parent": f"projects/{NEW}", "secret_id": CLIENT}
        world.client.create_secret(request={**there, "secret": {"replication": {"automatic": {}}}})
        yield world
        world.scan()


@pytest.fixture
def move(world: CrashWorld, tmp_path: Path) -> Iterator[Move]:
    """A connection that its project has refreshed twice, and that the other one has been told of."""
    move = Move(world, f"moved-{uuid.uuid4().hex[:8]}", tmp_path)
    move.declare(PROJECT, "enabled", world.server.create_grant("strict", OWNER))
    world.client.update_secret(
        request={
            "secret": {"name": world.path(move.secret), "annotations": {"token-refresh.subject": SUBJECT}},
            "update_mask": {"paths": ["annotations"]},
        }
    )
    for _ in range(2):
        assert move.outcome(PROJECT, connections=[move.name]) == "refreshed"
    move.declare(NEW, "paused")
    move.do(COPY_CLIENT.replace("oauth-client-google", CLIENT))
    world.server.calls(clear=True)
    yield move
    world.secrets.faults.clear()


def test_the_grant_survives_and_one_project_at_a_time_refreshes_it(move: Move) -> None:
    world, named = move.world, {"connections": [move.name]}
    world.secrets.faults.set_stale(latest=HOURS, lists=HOURS)
    shown = move.pause_while_a_run_is_under_way()
    assert "token-refresh: paused" in shown
    assert '"holder": ""' in shown
    assert "token-refresh.status" not in shown
    assert move.outcome(PROJECT) == "paused", "by a list from before the pause"
    assert move.outcome(NEW, **named) == "paused"
    move.do(COPY)
    assert move.newest(NEW) == move.newest(PROJECT)
    assert world.server.is_alive(move.newest(NEW))
    assert move.outcome(NEW, **named) == "paused"
    assert len(world.server.calls()) == 1, "the run that was under way"
    move.do(WAKE)
    assert move.outcome(NEW, **named) == "refreshed"
    assert move.outcome(PROJECT) == move.outcome(PROJECT, **named) == "paused"
    assert move.outcome(NEW, **named) == "refreshed"
    spent = [call["refresh_token_sha256"] for call in world.server.calls()]
    assert len(spent) == len(set(spent)) == 3
    assert world.server.is_alive(move.newest(NEW))
    record = world.client.get_secret(name=f"projects/{NEW}/secrets/{move.secret}")
    assert record.annotations["token-refresh.subject"] == SUBJECT
    assert "token-refresh.status" not in record.annotations
    move.do(DELETE)
    with pytest.raises(NotFound):
        world.client.get_secret(name=world.path(move.secret))
    assert move.outcome(NEW, **named) == "refreshed"
    assert not [event for event in world.events if event["ce-subject"] == move.name], "nobody is asked for anything"


def test_neither_screen_nor_disk_has_seen_the_grant(move: Move) -> None:
    move.do(PAUSE)
    (move.folder / "over").touch()
    said = move.do(WAIT) + move.do(COPY)
    token = move.newest(NEW)
    assert token == move.newest(PROJECT)
    assert token not in said
    written = [file for file in move.folder.rglob("*") if file.is_file()]
    assert len(written) > 2, "gcloud keeps a log of what it does"
    assert not [file for file in written if token.encode() in file.read_bytes()]


def test_what_latest_names_would_have_been_the_end_of_it(move: Move) -> None:
    """That the test above sees a grant that is lost."""
    move.world.secrets.faults.set_stale(latest=HOURS, lists=HOURS)
    move.pause_while_a_run_is_under_way()
    by_number = "gcloud secrets versions access $VERSION"
    assert COPY.count(by_number) == 1
    move.do(COPY.replace(by_number, "gcloud secrets versions access latest"))
    move.do(WAKE)
    assert move.outcome(NEW, connections=[move.name]) == "suspect"
    assert not move.world.server.is_alive(move.newest(PROJECT))
