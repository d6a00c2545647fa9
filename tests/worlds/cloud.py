"""A cloud on this machine for sample jobs: the stack, a machine with a service account, IAM, a Gmail API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from infra.local.stack import REFRESH_TOPIC
from tests.peers.gmail import GmailApi
from tests.worlds import forks
from tests.worlds.stack import StackWorld
from token_refresh.core.token_exchange import build_credential_file

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
AS_IN_THE_CLOUD = ROOT / "tests" / "examples" / "as_in_the_cloud.py"
SUBJECTS = ["Invoice 2026-11", "Re: Invoice 2026-11", "Your weekly report"]


@dataclass
class Cloud:
    """What a job in the cloud has around it; `world` is the operator's side."""

    world: StackWorld
    gmail: GmailApi
    folder: Path

    @property
    def project(self) -> str:
        return self.world.stack.project

    @property
    def account(self) -> str:
        return self.world.stack.metadata.account

    @property
    def token_url(self) -> str:
        return f"{self.world.stack.functions['token'].url}/token"

    @property
    def hosts(self) -> dict[str, str]:
        return {
            "gmail.googleapis.com": self.gmail.url,
            "secretmanager.googleapis.com": self.world.stack.secret_manager.rest_url,
            "pubsub.googleapis.com": f"http://{self.world.stack.pubsub.address}",
            "metadata.google.internal": self.world.stack.metadata.url,
        }

    def connect(self, name: str, *, allowed: bool = True, client: str = "mailbox", **options: object) -> str:
        """Declare a connection, refresh it, let the job read it; returns the access token."""
        self.world.declare(name, client, **options)  # type: ignore[arg-type]
        self.world.run(name)
        if allowed:
            self.allow(name)
        return self.newest(name)

    def allow(self, name: str) -> None:
        """Let the job read the connection's access token, as `gcloud secrets add-iam-policy-binding` does."""
        resource = f"{self.world.project}/secrets/{name}-access-token"
        binding = {"role": "roles/secretmanager.secretAccessor", "members": [f"serviceAccount:{self.account}"]}
        self.world.client.set_iam_policy(request={"resource": resource, "policy": {"bindings": [binding]}})

    def newest(self, name: str) -> str:
        """Read the newest access token."""
        payload = self.world.read(f"{name}-access-token")
        token = json.loads(payload)["access_token"] if payload.startswith("{") else payload
        self.world.canaries.add(token)
        return str(token)

    def credential_file(self, name: str, *, on_laptop: bool = False) -> Path:
        """Write the credential file of a connection."""
        host = self.world.stack.metadata.host
        command = str(EXAMPLES / "shell" / "caller_token.sh") if on_laptop else None
        document = build_credential_file(name, self.token_url, command=command, metadata_host=host)
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(document))
        return path

    def environment(self, **more: str) -> dict[str, str]:
        """Give the environment of a job: a machine in the cloud and nothing of the developer's."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CLOUDSDK_CONFIG": str(self.folder / "gcloud"),
            "GOOGLE_CLOUD_PROJECT": self.project,
            "HOSTS": json.dumps(self.hosts),
            "PUBSUB_EMULATOR_HOST": self.world.stack.pubsub.address,
            "REFRESH_TOPIC": REFRESH_TOPIC,
            "PYTHONWARNINGS": "error::DeprecationWarning:__main__",
            **self.world.stack.metadata.environment,
            **more,
        }

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        seconds: float = 60,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a job to its end; what it says must hold no secret."""
        done = subprocess.run(
            list(command),
            env=self.environment(**(environment or {})),
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        self.world.bodies.append(done.stdout + done.stderr)
        return done

    def write_curl(self, folder: Path) -> None:
        """Write a curl that finds Google's hosts on this machine."""
        curl = folder / "curl"
        urls = {f"{scheme}://{host}": url for host, url in self.hosts.items() for scheme in ("https", "http")}
        # Google's token endpoint has another path here.
        urls = {"https://oauth2.googleapis.com/token": self.world.stack.authorization_server.token_url, **urls}
        rules = "".join(f'a="${{a/#{there.replace("/", chr(92) + "/")}/{here}}}"; ' for there, here in urls.items())
        curl.write_text(
            f'#!/bin/bash\nargs=()\nfor a in "$@"; do {rules} args+=("$a"); done\n'
            f'exec {shutil.which("curl")} --noproxy "*" "${{args[@]}}"\n'
        )
        curl.chmod(0o755)

    def python(
        self, example: str, *, from_nothing: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python example as it stands; once for each `from_nothing`, where it must import all that it uses."""
        command = [str(AS_IN_THE_CLOUD), str(EXAMPLES / example)]
        return self.run([sys.executable, *command], environment) if from_nothing else self.fork(command, environment)

    def fork(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python program to its end, as `run` does."""
        done = forks.run(command, env=self.environment(**(environment or {})), cwd=self.folder, seconds=60)
        self.world.bodies.append(done.stdout + done.stderr)
        return done

    def tokens_seen(self, *tokens: str) -> list[tuple[str, int]]:
        """Tell what Gmail was shown, in order: `first 200`, ..., by the order of `tokens`."""
        names = dict(zip(tokens, ("first", "second", "third"), strict=False))
        return [(names.get(call.token, "unknown"), call.status) for call in self.gmail.calls]

    def refresh_meanwhile(self, name: str, refused: str = "") -> None:
        """Let another token be there after the first call, and one be refused."""

        def meanwhile() -> None:
            self.gmail.refused.add(refused)
            self.world.run(name, force=True)

        self.gmail.meanwhile = meanwhile

    def end_meanwhile(self, refused: str) -> None:
        """Let the token end after the first call, and no other be there."""
        self.gmail.meanwhile = lambda: self.gmail.refused.add(refused)


def owner_of(world: StackWorld, token: str) -> str | None:
    """Ask the authorization server whose access token this is."""
    answer = requests.get(
        world.stack.authorization_server.userinfo_url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
        proxies={"http": ""},
    )
    return str(answer.json()["email"]) if answer.ok else None
