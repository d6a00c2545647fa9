"""The running stack as the tests use it: declare connections, send requests, and look whether a secret was said."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.pubsub_v1.types import PubsubMessage

from infra.local.processes.functions import Function
from infra.local.secret_manager.server import Call
from infra.local.stack import DEAD_LETTERS_SUBSCRIPTION, EVENTS_SUBSCRIPTION, REFRESH_TOPIC, Stack

OWNER = "ada@example.com"
# By client: its provider. `brief` issues access tokens that are due after a second.
CLIENTS = {"mailbox": "local", "crm": "local-rotating", "brief": "local", "brief-crm": "local-rotating"}
_SECRET_FIELDS = ("access_token", "refresh_token", "client_secret", "private_key")


@dataclass(repr=False)
class StackWorld:
    """One stack for all tests; every test declares connections of its own."""

    stack: Stack
    client: SecretManagerServiceClient
    session: requests.Session
    bodies: list[str] = field(default_factory=list)
    events: list[PubsubMessage] = field(default_factory=list)
    dead_letters: list[PubsubMessage] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    canaries: set[str] = field(default_factory=set)

    @property
    def project(self) -> str:
        return f"projects/{self.stack.project}"

    # -- what an operator does ---------------------------------------------------------------------------------------

    def prepare(self) -> None:
        self.stack.authorization_server.create_user(OWNER)
        for name, provider in CLIENTS.items():
            registered = self.stack.authorization_server.create_client(
                name,
                rotates_refresh_tokens=provider == "local-rotating",
                access_token_seconds=1 if name.startswith("brief") else 3600,
            )
            self.create(f"oauth-client-{name}")
            self.add(f"oauth-client-{name}", json.dumps({**vars(registered), "provider": provider}))
            pair = f"{registered.client_id}:{registered.client_secret}"
            self.canaries |= {registered.client_secret, base64.b64encode(pair.encode()).decode()}

    def declare(  # noqa: PLR0913 - one keyword for each thing that may be odd
        self,
        name: str,
        client: str = "mailbox",
        *,
        provider: str = "",
        annotations: Mapping[str, str] | None = None,
        payload: bytes | None = None,
        announced: bool = False,
        access_token_secret: bool = True,
    ) -> str:
        """Declare a connection; returns its refresh token. `announced` lets Secret Manager notify the topic."""
        refresh_token = self.stack.authorization_server.create_grant(client, OWNER)
        self.canaries.add(refresh_token)
        if access_token_secret:
            self.create(f"{name}-access-token")
        topics = [{"name": self.stack.pubsub.topic_name(REFRESH_TOPIC)}] if announced else []
        self.create(
            f"{name}-refresh-token",
            labels={"token-refresh": "enabled", "token-refresh-provider": provider or CLIENTS[client]},
            annotations={"token-refresh.client": f"oauth-client-{client}", **(annotations or {})},
            topics=topics,
            rotation={"next_rotation_time": {"seconds": int(time.time()) + 7200}} if announced else None,
        )
        self.add(f"{name}-refresh-token", refresh_token if payload is None else payload)
        return refresh_token

    def create(self, secret_id: str, **settings: Any) -> None:
        secret = {"replication": {"automatic": {}}, **{k: v for k, v in settings.items() if v}}
        self.client.create_secret(request={"parent": self.project, "secret_id": secret_id, "secret": secret})

    def add(self, secret_id: str, payload: str | bytes) -> int:
        data = payload.encode() if isinstance(payload, str) else payload
        version = self.client.add_secret_version(
            request={"parent": f"{self.project}/secrets/{secret_id}", "payload": {"data": data}}
        )
        return int(version.name.rpartition("/")[2])

    # -- what callers do ---------------------------------------------------------------------------------------------

    def post(self, body: object = None, *, to: str = "", **options: Any) -> requests.Response:
        """POST to refresh_http (or `to`): bytes as they are, anything else as JSON, None as no body."""
        if body is not None:
            options["data"] = body if isinstance(body, bytes) else json.dumps(body)
        return self.send("POST", to or self.stack.functions["refresh_http"].url, **options)

    def send(self, method: str, url: str, **options: Any) -> requests.Response:
        answer = self.session.request(method, url, timeout=60, **options)
        self.bodies.append(answer.text)
        return answer

    def run(self, *names: str, **options: object) -> dict[str, dict[str, Any]]:
        """Run the named connections; returns what the report says, by name."""
        answer = self.post({"connections": list(names), **options})
        assert answer.status_code == 200, answer.text
        return {one["name"]: one for one in answer.json()["connections"]}

    # -- what downstream jobs do -------------------------------------------------------------------------------------

    def read(self, secret_id: str, version: int | str = "latest") -> str:
        name = f"{self.project}/secrets/{secret_id}/versions/{version}"
        return self.client.access_secret_version(request={"name": name}).payload.data.decode()

    def document(self, connection: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.read(f"{connection}-access-token"))
        self.canaries.add(document["access_token"])
        return document

    def versions(self, secret_id: str) -> list[str]:
        """List the states of a secret's versions, oldest first."""
        listed = self.client.list_secret_versions(request={"parent": f"{self.project}/secrets/{secret_id}"})
        return [version.state.name for version in listed][::-1]

    def userinfo(self, access_token: str) -> requests.Response:
        url = self.stack.authorization_server.userinfo_url
        return self.session.get(url, headers={"Authorization": f"Bearer {access_token}"}, timeout=30)

    def assert_token_works(self, connection: str) -> dict[str, Any]:
        document = self.document(connection)
        answer = self.userinfo(document["access_token"])
        assert answer.status_code == 200, f"userinfo answers {answer.status_code}"
        assert answer.json()["email"] == OWNER
        return document

    # -- what can be observed ----------------------------------------------------------------------------------------

    @contextmanager
    def calls(self, *names: str) -> Iterator[list[Call]]:
        """Collect the calls of Secret Manager meanwhile: lists, and those about secrets of the named connections."""
        began, seen = len(self.stack.secret_manager.calls), list[Call]()
        yield seen
        for call in list(self.stack.secret_manager.calls)[began:]:
            if not call.secret or not names or any(f"{call.secret}-".startswith(f"{name}-") for name in names):
                seen.append(call)

    def sent(self, client: str) -> list[str]:
        """Tell which refresh tokens of a client the token endpoint has seen, hashed, oldest first."""
        calls = self.stack.authorization_server.calls()
        return [call["refresh_token_sha256"] for call in calls if call["client_id"] == client]

    def pull_events(self) -> list[PubsubMessage]:
        self.events += self.stack.pubsub.pull(EVENTS_SUBSCRIPTION)
        return self.events

    def pull_dead_letters(self) -> list[PubsubMessage]:
        self.dead_letters += self.stack.pubsub.pull(DEAD_LETTERS_SUBSCRIPTION)
        return self.dead_letters

    def log_lines(self, function: str, began: int = 0) -> list[dict[str, Any]]:
        """Read the JSON log lines of a function from character `began` on."""
        text = self.stack.functions[function].log()[began:]
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def assert_nothing_said(self) -> None:
        """Look for every secret of the project in logs, HTTP bodies, events, dead letters and annotations."""
        said = "\n".join(
            (
                self.stack.log(),
                *(path.read_text(errors="replace") for folder in self.logs for path in folder.glob("*.log")),
                *self.bodies,
                *(f"{message.data!r} {dict(message.attributes)}" for message in self.events),
                *(f"{secret.annotations} {secret.labels}" for secret in self._all_secrets()),
            )
        )
        found = [canary for canary in self.canaries | self._stored() if canary in said]
        assert not found, [f"...{said[max(said.index(c) - 200, 0) : said.index(c)]}" for c in found]

    def _all_secrets(self) -> list[Any]:
        return list(self.client.list_secrets(request={"parent": self.project}))

    def _stored(self) -> set[str]:
        stored = set()
        for secret in self._all_secrets():
            for version in self.client.list_secret_versions(request={"parent": secret.name}):
                if version.state.name == "ENABLED":
                    data = self.client.access_secret_version(request={"name": version.name}).payload.data
                    stored |= set(_secrets_in(data))
        return stored

    def other(self, name: str, logs: Path, environment: Mapping[str, str]) -> Function:
        """Prepare another instance of a function, in this stack, with a few variables of its own."""
        self.logs.append(logs)
        return Function(name, environment={**self.stack.environment, **environment}, logs=logs)


def _secrets_in(payload: bytes) -> Iterator[str]:
    try:
        document = json.loads(payload)
    except ValueError:
        text = payload.decode(errors="replace").strip()
        if len(text) >= 16:
            yield text
        return
    if isinstance(document, dict):
        yield from (v for k in _SECRET_FIELDS if isinstance(v := document.get(k), str) and len(v) >= 16)


@contextmanager
def running(stack: Stack) -> Iterator[StackWorld]:
    """Run a stack as a prepared world; at the end no secret may have been said anywhere."""
    with stack, stack.secret_manager.client() as client, requests.Session() as session:
        session.trust_env = False
        # A server that is asked to stop waits for idle connections.
        session.headers["Connection"] = "close"
        world = StackWorld(stack, client, session)
        world.prepare()
        yield world
        stack.secret_manager.faults.clear()
        world.pull_events()
        world.assert_nothing_said()


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Wait until the condition holds, at most so long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def rpcs(calls: Sequence[Call]) -> list[str]:
    """Name the RPCs, lists left out."""
    return [call.rpc for call in calls if call.rpc != "ListSecrets"]
