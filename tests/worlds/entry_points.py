"""The entry points with the real clients: Secret Manager, Pub/Sub and a token endpoint on loopback."""

from __future__ import annotations

import base64
import http.server
import json
import logging
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flask
import pytest
from cloudevents.http import CloudEvent
from google.cloud import pubsub_v1
from google.cloud import secretmanager_v1 as sm
from google.pubsub_v1 import types

import main
from infra.local.pubsub.embedded import EmbeddedPubSub
from infra.local.secret_manager import SecretManagerServer
from tests.worlds.event_schemas import validate
from token_refresh import wiring
from token_refresh.core.incident.events import Event

PROJECT = "some-project"
CLIENT = '{"client_id": "some-client", "client_secret": "CANARY-client-secret"}'


@dataclass
class TokenServer:
    """Answers by what is in the refresh token: `dead`, `client`, `down`; `rot` is replaced each time."""

    url: str = ""
    tokens: list[str] = field(default_factory=list)

    def answer(self, token: str) -> tuple[int, dict[str, object]]:
        self.tokens.append(token)
        if "dead" in token:
            return 400, {"error": "invalid_grant", "error_description": f"gone: {token}"}
        if "client" in token:
            return 401, {"error": "invalid_client"}
        if "down" in token:
            return 503, {}
        number = len(self.tokens)
        new = {"refresh_token": f"CANARY-rot-{number}"} if "rot" in token else {}
        return 200, {"access_token": f"CANARY-access-{number}", "expires_in": 3600, "token_type": "bearer", **new}


@dataclass
class EntryPointWorld:
    server: SecretManagerServer
    client: sm.SecretManagerServiceClient
    subscriber: pubsub_v1.SubscriberClient
    tokens: TokenServer
    notices: list[dict[str, str]]

    def add_secret(self, secret_id: str, payload: str | None = None, **fields: Any) -> None:
        secret: Any = {"replication": {"automatic": {}}, **fields}
        self.client.create_secret(parent=f"projects/{PROJECT}", secret_id=secret_id, secret=secret)
        if payload is not None:
            self.put(secret_id, payload)

    def put(self, secret_id: str, payload: str) -> None:
        name = f"projects/{PROJECT}/secrets/{secret_id}"
        self.client.add_secret_version(parent=name, payload=sm.SecretPayload(data=payload.encode()))

    def add(self, name: str, token: str | None, provider: str = "google", **fields: Any) -> None:
        labels = {"token-refresh": "enabled", "token-refresh-provider": provider}
        self.add_secret(f"{name}-refresh-token", token, labels=labels, **fields)
        self.add_secret(f"{name}-access-token")

    def read(self, secret_id: str) -> str:
        name = f"projects/{PROJECT}/secrets/{secret_id}/versions/latest"
        return self.client.access_secret_version(name=name).payload.data.decode()

    def post(self, body: object = b"", method: str = "POST") -> tuple[int, dict[str, Any]]:
        """Call `refresh_http`; returns status and document."""
        self.server.calls.clear()
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        app = flask.Flask("test")
        with app.test_request_context("/", method=method, data=data):
            response = app.make_response(main.refresh_http(flask.request))
        assert "CANARY" not in response.get_data(as_text=True)
        document = response.get_json()
        assert isinstance(document, dict)
        return response.status_code, document

    def outcomes(self, body: object = b"") -> dict[str, str]:
        status, document = self.post(body)
        assert status == 200
        return {e["name"]: e["outcome"] for e in document["connections"]}

    def rpcs(self) -> list[str]:
        return sorted(call.rpc for call in self.server.calls)

    def notice_of_version(self, number: str) -> dict[str, str]:
        """Wait for Secret Manager's notice that a version was added."""
        give_up = time.monotonic() + 5
        while True:
            for notice in self.notices:
                if notice["eventType"] == "SECRET_VERSION_ADD" and notice["versionId"].endswith(f"/{number}"):
                    return notice
            assert time.monotonic() < give_up, "no notice"
            time.sleep(0.01)

    def events(self) -> list[Event]:
        reply = self.subscriber.pull(subscription=f"projects/{PROJECT}/subscriptions/events", max_messages=100)
        found = []
        for message in (m.message for m in reply.received_messages):
            kind = message.attributes["ce-type"].split(".")[2]
            subject = message.attributes["ce-subject"]
            assert message.ordering_key == subject
            assert message.attributes["content-type"] == "application/json"
            event = Event(message.attributes["ce-id"], kind, subject, 0, json.loads(message.data))
            validate(event)
            assert b"CANARY" not in message.data
            found.append(event)
        return found


@contextmanager
def token_server() -> Iterator[TokenServer]:
    tokens = TokenServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            status, document = tokens.answer(form["refresh_token"][0])
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        tokens.url = f"http://127.0.0.1:{web.server_port}/token"
        yield tokens
        web.shutdown()
        thread.join(5)


@contextmanager
def deployed(token_server: TokenServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EntryPointWorld]:
    """Set the environment of the entry points, with Secret Manager and Pub/Sub beside them."""
    providers = folder / "providers.toml"
    providers.write_text(
        f'[google]\ntoken_url = "{token_server.url}"\nrotates_refresh_tokens = "never"\n'
        f'[rotating]\ntoken_url = "{token_server.url}"\nrotates_refresh_tokens = "always"\n'
        '[tenants]\ntoken_url = "https://{tenant}.example.com/token"\nvariables = {tenant = ""}\n'
    )
    logger = logging.getLogger("token_refresh")
    handlers, propagate = list(logger.handlers), logger.propagate
    notices: list[dict[str, str]] = []
    with (
        SecretManagerServer(project=PROJECT, notify=lambda _t, attributes, _d: notices.append(attributes)) as server,
        EmbeddedPubSub() as pubsub,
        server.client() as client,
    ):
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", server.grpc_address)
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        monkeypatch.setenv("PROVIDERS_FILE", str(providers))
        monkeypatch.setenv("CONFIRM_AFTER", "0.001")
        monkeypatch.setattr(wiring, "_parts", None)
        topic = f"projects/{PROJECT}/topics/token-refresh-events"
        pubsub.create_topic(types.Topic(name=topic))
        pubsub.create_subscription(types.Subscription(name=f"projects/{PROJECT}/subscriptions/events", topic=topic))
        with pubsub_v1.SubscriberClient() as subscriber:
            world = EntryPointWorld(server, client, subscriber, token_server, notices)
            world.add_secret("oauth-client-google", CLIENT)
            world.add_secret("oauth-client-rotating", CLIENT)
            yield world
    logger.handlers[:], logger.propagate = handlers, propagate


def event(data: object, **attributes: str) -> CloudEvent:
    raw = base64.b64encode(json.dumps(data).encode()).decode()
    message = {"message": {"data": raw, "attributes": attributes, "messageId": "1"}}
    kind = "google.cloud.pubsub.topic.v1.messagePublished"
    return CloudEvent({"type": kind, "source": "//pubsub.googleapis.com/projects/p/topics/t"}, message)
