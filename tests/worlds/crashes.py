"""Where instances are killed: real servers, runs in processes of their own, and all that they have written."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from google.cloud.secretmanager_v1 import Secret, SecretManagerServiceClient

from infra.local.authorization_server import AuthorizationServer, Client
from infra.local.pubsub.service import PubSub
from infra.local.secret_manager import SecretManagerServer
from tests.peers.oidc_provider import OidcProvider
from tests.worlds.canary import Canary
from tests.worlds.one_run import OneRun
from token_refresh.core.connection import LEASE, STATUS

PROJECT = "crashes"
OWNER = "ada@example.com"
GRACE = {"strict": 0.0, "lenient": 600.0}  # seconds by provider; without grace, reuse kills the grant
PATIENCE = 60.0


class CrashWorld:
    """Secret Manager, Pub/Sub and an authorization server; a context manager."""

    def __init__(self, directory: Path, grace: Mapping[str, float] = GRACE) -> None:
        """Prepare it; `grace` names the providers, which are clients of one server with so many seconds of grace."""
        self.directory = directory
        self._grace = grace
        self.logs = directory / "runs.log"
        self.canary = Canary()
        self.secrets = SecretManagerServer(PROJECT)
        self.server = AuthorizationServer(logs=directory)
        self.pubsub = PubSub(PROJECT, emulator=False)
        self.events: list[dict[str, Any]] = []
        self.answers: list[str] = []
        self.clients: dict[str, Client] = {}
        self._exits = ExitStack()
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for part in (self.secrets, self.server, self.pubsub):
                exits.enter_context(part)
            self.client: SecretManagerServiceClient = exits.enter_context(self.secrets.client())
            self.server.create_user(OWNER)
            self._declare_providers()
            for topic in ("token-refresh-events", "token-refresh"):
                self.pubsub.create_topic(topic)
            self.pubsub.create_subscription("events", "token-refresh-events")
            listener = threading.Thread(target=self._listen)
            listener.start()
            exits.callback(listener.join, 30)
            exits.callback(self._stopped.set)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _declare_providers(self) -> None:
        tables = []
        for provider, grace in self._grace.items():
            client = self.server.create_client(
                provider, rotates_refresh_tokens=True, grace_seconds=grace, reuse_protection=not grace
            )
            self.clients[provider] = client
            self.canary.learn(client.client_secret)
            payload = {"client_id": client.client_id, "client_secret": client.client_secret}
            self.create(f"oauth-client-{provider}", json.dumps(payload))
            tables.append(
                f'[{provider}]\ntoken_url = "{self.server.token_url}"\nrotates_refresh_tokens = "always"\n'
                'client_auth = "client_secret_basic"\n'
            )
        providers = self.directory / "providers.toml"
        providers.write_text("\n".join(tables))
        self.environ = {
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "SECRET_MANAGER_EMULATOR_HOST": self.secrets.grpc_address,
            "PUBSUB_EMULATOR_HOST": self.pubsub.address,
            "PROVIDERS_FILE": str(providers),
            "REFRESH_WORKERS": "4",
            "TOKEN_REQUESTS_PER_SECOND": "10000",
            "SECRET_WRITES_PER_MINUTE": "1000000",
            "SECRET_READS_PER_MINUTE": "1000000",
            "CONFIRM_AFTER": "60",
            "BREAKER_MIN": "1000",  # many deaths of one client are what these tests are made of
        }

    def declare_peer(self, peer: OidcProvider) -> dict[str, str]:
        """Declare the provider `oidc-provider`; return the environment of functions that know it and no other."""
        secret = "CANARY-secret-of-the-client-at-the-peer"
        peer.create_client(peer.name, secret)
        self.canary.learn(secret)
        if f"oauth-client-{peer.name}" not in {s.name.rsplit("/", 1)[-1] for s in self.list_secrets()}:
            self.create(f"oauth-client-{peer.name}", json.dumps({"client_id": peer.name, "client_secret": secret}))
        path = self.directory / "peer.toml"
        path.write_text(
            f'[{peer.name}]\ntoken_url = "{peer.token_url}"\nclient_auth = "client_secret_basic"\n'
            'rotates_refresh_tokens = "always"\n'
        )
        return {**self.environ, "PROVIDERS_FILE": str(path)}

    def _listen(self) -> None:
        while not self._stopped.is_set():
            for message in self.pubsub.pull("events"):
                self.events.append({**message.attributes, "data": json.loads(message.data)})

    # -- secrets -------------------------------------------------------------------------------------------------------

    def create(self, secret_id: str, payload: str | None = None, **metadata: Any) -> None:
        """Create a secret, with a first version when there is a payload."""
        secret: Any = {"replication": {"automatic": {}}, **metadata}
        self.client.create_secret(parent=f"projects/{PROJECT}", secret_id=secret_id, secret=secret)
        if payload is not None:
            self.add(secret_id, payload)

    def add(self, secret_id: str, payload: str) -> None:
        """Add a version."""
        self.client.add_secret_version(request={"parent": self.path(secret_id), "payload": {"data": payload.encode()}})

    def path(self, secret_id: str) -> str:
        return f"projects/{PROJECT}/secrets/{secret_id}"

    def payloads(self, secret_id: str) -> dict[int, bytes]:
        """Return the payloads of the enabled versions by number, oldest first."""
        versions = self.client.list_secret_versions(parent=self.path(secret_id))
        found = {}
        for version in versions:
            if version.state.name == "ENABLED":
                payload = self.client.access_secret_version(name=version.name).payload.data
                self.canary.learn_payload(payload)
                found[int(version.name.rsplit("/", 1)[-1])] = payload
        return dict(sorted(found.items()))

    def annotations(self, name: str) -> dict[str, str]:
        return dict(self.client.get_secret(name=self.path(f"{name}-refresh-token")).annotations)

    def status(self, name: str) -> dict[str, Any] | None:
        text = self.annotations(name).get(STATUS)
        return json.loads(text) if text else None

    def lease(self, name: str) -> dict[str, Any]:
        lease: dict[str, Any] = json.loads(self.annotations(name).get(LEASE, "{}"))
        return lease

    # -- runs ----------------------------------------------------------------------------------------------------------

    def start(self, *names: str, later: float = 0, **trigger: object) -> OneRun:
        """Start a run over these connections, `later` seconds in the future."""
        body = {"connections": list(names), **trigger}
        return OneRun(self.environ, body, logs=self.logs, later=later)

    def run(self, *names: str, later: float = 0, **trigger: object) -> dict[str, str]:
        """Carry out a run and return the outcomes by connection."""
        with self.start(*names, later=later, **trigger) as run:
            status, body = run.answer(PATIENCE)
        self.answers.append(json.dumps(body))
        return {c["name"]: c["outcome"] for c in body.get("connections", [])} or {"": str(status)}

    def heard(self, subject: str, event_type: str) -> list[dict[str, Any]]:
        """Return the events of a type about a connection, as far as they have arrived."""
        full = f"dev.token-refresh.{event_type}.v1"
        return [e for e in list(self.events) if e["ce-type"] == full and e["ce-subject"] == subject]

    def list_secrets(self) -> Iterable[Secret]:
        return self.client.list_secrets(parent=f"projects/{PROJECT}")

    def scan(self) -> None:
        """Scan everything that was written for secrets."""
        self.canary.scan("the log", self.logs.read_text())
        self.canary.scan("an answer", "\n".join(self.answers))
        self.canary.scan("an event", json.dumps(self.events))
        notes = [dict(s.annotations) for s in self.list_secrets()]
        self.canary.scan("an annotation", json.dumps(notes))


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in time"
        time.sleep(0.005)
