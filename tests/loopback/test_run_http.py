"""Whole runs from the entry points, with the real clients: Secret Manager, Pub/Sub and HTTP on loopback."""

from __future__ import annotations

import base64
import http.server
import json
import logging
import threading
import time
import urllib.parse
from collections.abc import Iterator
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
from token_refresh.errors import BadEnvironment, BadRequest, StoreDenied, StoreUnavailable

pytestmark = pytest.mark.timeout(60)
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
class World:
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


@pytest.fixture
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


@pytest.fixture
def world(token_server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    providers = tmp_path / "providers.toml"
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
            world = World(server, client, subscriber, token_server, notices)
            world.add_secret("oauth-client-google", CLIENT)
            world.add_secret("oauth-client-rotating", CLIENT)
            yield world
    logger.handlers[:], logger.propagate = handlers, propagate


def test_a_run_refreshes_what_can_be_refreshed_and_tells_the_rest(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    world.add("alice", "CANARY-refresh-1")
    world.add("rotating", "CANARY-rot-0", "rotating")
    world.add("dead", "CANARY-dead")
    world.add("never", None)
    world.add("refused", "CANARY-client-1")
    world.add("refused-too", "CANARY-client-2")
    world.add("waiting", "CANARY-down")
    world.add("empty", " ")
    world.add("odd", "x", annotations={"token-refresh.format": "yaml"})
    world.add("variable", "x", "tenants", annotations={"token-refresh.variables": '{"tenant": "evil.example/"}'})
    status, document = world.post()
    assert status == 200
    assert {e["name"]: f"{e['outcome']}: {e['reason']}" for e in document["connections"]} == {
        "alice": "refreshed: refreshed",
        "rotating": "refreshed: refreshed",
        "dead": "suspect: revoked_or_expired",
        "never": "needs_consent: never_consented",
        "refused": "rejected: invalid_client",
        "refused-too": "rejected: invalid_client",
        "waiting": "unavailable: http_503",
        "empty": "misconfigured: misconfigured",
        "odd": "misconfigured: misconfigured",
        "variable": "misconfigured: misconfigured",
    }
    assert sum(document["counts"].values()) == len(document["connections"])
    assert json.loads(world.read("alice-access-token"))["access_token"].startswith("CANARY-access-")
    assert world.read("rotating-refresh-token") != "CANARY-rot-0"
    told = world.events()
    assert sorted(f"{e.type} {e.subject}" for e in told) == [
        "client_rejected empty",
        "client_rejected oauth-client-google",
        "client_rejected odd",
        "client_rejected variable",
        "invalid_grant never",
        "refresh_failing waiting",
    ]
    outcomes = world.outcomes()
    assert (outcomes["alice"], outcomes["dead"]) == ("fresh", "needs_consent")
    (dead,) = world.events()
    assert (dead.type, dead.subject) == ("invalid_grant", "dead")
    assert dead.data["error_description"] == "gone: ***"
    written = capfd.readouterr()
    assert "CANARY" not in written.out + written.err
    for secret in world.client.list_secrets(parent=f"projects/{PROJECT}"):
        assert "CANARY" not in str(dict(secret.annotations))

    assert world.outcomes()["dead"] == "needs_consent"
    assert world.events() == [], "each incident is told once"


def test_the_calls_of_a_warm_instance(world: World) -> None:
    world.add("alice", "CANARY-refresh-1")
    for _ in range(2):
        world.outcomes({"force": True})
    world.outcomes()
    assert set(world.rpcs()) == {"ListSecrets"}
    world.put("oauth-client-google", CLIENT)
    world.outcomes({"force": True})
    calls = [c for c in world.rpcs() if c != "ListSecrets"]
    # `force` reads the client registration afresh; without it there is one access less.
    assert calls == ["AccessSecretVersion", "AccessSecretVersion", "AddSecretVersion", "DestroySecretVersion"]


def test_the_calls_of_a_rotating_refresh(world: World) -> None:
    world.add("rotating", "CANARY-rot-0", "rotating")
    for _ in range(3):
        world.outcomes({"force": True})
    writes = [c for c in world.rpcs() if c not in ("ListSecrets", "AccessSecretVersion", "GetSecret")]
    assert writes == [
        *["AddSecretVersion"] * 2,
        *["DestroySecretVersion"] * 2,
        *["UpdateSecret"] * 2,
    ]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        pytest.param(b"{", 400, "not JSON", id="no-json"),
        pytest.param({"conections": []}, 400, "unknown key", id="unknown-key"),
        pytest.param({"connections": ["nobody"]}, 404, "no such connection: nobody", id="unknown-connection"),
        pytest.param({"connections": ["alice", "../alice"]}, 404, "../alice", id="a-path"),
        pytest.param({"message": {"data": "*"}}, 400, "base64", id="odd-push"),
    ],
)
def test_a_request_that_cannot_be_served_names_the_fault_and_runs_nothing(
    world: World, body: object, status: int, words: str
) -> None:
    world.add("alice", "CANARY-refresh-1")
    found, document = world.post(body)
    assert found == status
    assert words in document["message"]
    assert world.tokens.tokens == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_any_method_but_post_is_refused(world: World, method: str) -> None:
    assert world.post(b"", method)[0] == 405


def test_when_secret_manager_is_down_the_caller_should_try_again(world: World) -> None:
    world.add("alice", "CANARY-refresh-1")
    fault = world.server.faults.add(rpc="ListSecrets", code="PERMISSION_DENIED")
    assert world.post()[0] == 503
    with pytest.raises(StoreDenied, match=r"grant secretmanager\.secrets\.list"):
        main.refresh(event({}))
    world.server.faults.active.remove(fault)
    world.server.faults.add(rpc="AccessSecretVersion", code="PERMISSION_DENIED")
    status, document = world.post()
    assert status == 200, "one connection is that one's matter"
    assert "grant secretmanager.versions.access" in document["connections"][0]["message"]
    world.add("bob", "CANARY-refresh-2")
    assert world.post()[0] == 503
    with pytest.raises(StoreUnavailable):
        main.refresh(event({}))
    world.server.faults.clear()
    assert world.outcomes() == {"alice": "refreshed", "bob": "refreshed"}


def test_a_wrong_environment_is_told_with_every_problem(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_TIMEOUT", "soon")
    monkeypatch.setenv("CONSENT_URL", "https://c.example")
    status, document = world.post()
    assert status == 500
    assert "HTTP_TIMEOUT" in document["message"]
    assert "CONSENT_SIGNING_KEY" in document["message"]
    with pytest.raises(BadEnvironment):
        main.refresh(event({}))
    monkeypatch.delenv("HTTP_TIMEOUT")
    monkeypatch.delenv("CONSENT_URL")
    assert world.post()[0] == 200, "the next call may find it mended"


# -- as CloudEvents ----------------------------------------------------------------------------------------------------


def event(data: object, **attributes: str) -> CloudEvent:
    raw = base64.b64encode(json.dumps(data).encode()).decode()
    message = {"message": {"data": raw, "attributes": attributes, "messageId": "1"}}
    kind = "google.cloud.pubsub.topic.v1.messagePublished"
    return CloudEvent({"type": kind, "source": "//pubsub.googleapis.com/projects/p/topics/t"}, message)


def test_a_message_refreshes_what_it_names(world: World) -> None:
    world.add("alice", "CANARY-refresh-1")
    world.add("bob", "CANARY-refresh-2")
    main.refresh(event({"connections": ["alice", "nobody"]}))
    assert world.tokens.tokens == ["CANARY-refresh-1"]


def test_a_malformed_message_raises(world: World) -> None:  # noqa: ARG001 - the environment
    with pytest.raises(BadRequest):
        main.refresh(event({"all": True}))


def test_a_version_added_by_somebody_is_refreshed_and_our_own_is_ignored(world: World) -> None:
    """With the attributes that Secret Manager really sends: full names with the project's number."""
    topics = [{"name": f"projects/{PROJECT}/topics/token-refresh"}]
    world.add("rotating", "CANARY-rot-0", "rotating", topics=topics)
    world.outcomes()
    ours = world.notice_of_version("2")
    for notice in list(world.notices):
        main.refresh(event({}, **notice))
    assert len(world.tokens.tokens) == 1, "no loop"
    assert ours["secretId"].startswith("projects/")
    assert f"projects/{PROJECT}/" not in ours["secretId"]

    world.put("rotating-refresh-token", "CANARY-rot-new")
    added = ours | {"versionId": f"{ours['secretId']}/versions/3"}
    push = {"message": {"attributes": added, "messageId": "9"}, "subscription": "projects/p/subscriptions/s"}
    status, document = world.post(push)
    assert (status, document["counts"]) == (200, {"refreshed": 1})
    assert world.tokens.tokens[-1] == "CANARY-rot-new"

    main.refresh(event({}, eventType="SECRET_ROTATE", secretId=ours["secretId"]))
    assert len(world.tokens.tokens) == 3


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"eventType": "TOPIC_CONFIGURED", "secretId": "projects/1/secrets/alice"}, id="other-event"),
        pytest.param({"eventType": "SECRET_ROTATE", "secretId": "projects/1/secrets/mine"}, id="no-connection"),
    ],
)
def test_what_is_none_of_our_business_is_acknowledged(world: World, attributes: dict[str, str]) -> None:
    world.add("alice", "CANARY-refresh-1")
    main.refresh(event({}, **attributes))
    push = {"message": {"attributes": attributes, "messageId": "9"}, "subscription": "s"}
    assert world.post(push)[0] == 200
    assert world.tokens.tokens == []


def test_annotations_near_the_limit_are_refused_before_anything_is_spent(world: World) -> None:
    world.add("alice", "CANARY-rot-0", "rotating", annotations={"note": "x" * 15_000})
    world.add("bob", "CANARY-refresh-2")
    status, document = world.post()
    assert status == 200
    alice, bob = document["connections"]
    assert (alice["outcome"], bob["outcome"]) == ("misconfigured", "refreshed")
    assert "16 KiB" in alice["message"]
    assert world.tokens.tokens == ["CANARY-refresh-2"]


def test_a_recovered_client_and_a_new_grant_are_told(world: World) -> None:
    world.add("refused", "CANARY-client-1")
    world.add("dead", "CANARY-dead")
    world.outcomes()
    assert world.outcomes()["dead"] == "needs_consent"
    world.put("refused-refresh-token", "CANARY-refresh-1")
    world.put("dead-refresh-token", "CANARY-refresh-2")
    assert world.outcomes() == {"refused": "refreshed", "dead": "refreshed"}
    told = [f"{e.type} {e.subject}" for e in world.events()]
    assert sorted(told) == [
        "client_rejected oauth-client-google",
        "invalid_grant dead",
        "recovered dead",
        "recovered oauth-client-google",
    ]


@pytest.mark.parametrize(
    ("provider", "annotations", "words"),
    [
        pytest.param("google", {"client": "oauth-client-rotating"}, "does not belong", id="another-provider-s-client"),
        pytest.param("tenants", {"variables": '{"tenant": "evil"}'}, "stands in a host", id="variable-in-a-host"),
        pytest.param("google", {"client": "x-access-token"}, "named as client registration", id="own-client"),
    ],
)
def test_a_dry_run_names_what_would_stop_a_grant_that_is_not_there_yet(
    world: World, provider: str, annotations: dict[str, str], words: str
) -> None:
    world.add_secret("oauth-client-tenants", CLIENT)
    notes = {f"token-refresh.{key}": value for key, value in annotations.items()}
    world.add("x", None, provider, annotations=notes)
    (row,) = world.post({"dry_run": True, "connections": ["x"]})[1]["connections"]
    assert row["outcome"] == "misconfigured"
    assert words in row["message"]
    world.add("bob", None)
    (row,) = world.post({"dry_run": True, "connections": ["bob"]})[1]["connections"]
    assert row["outcome"] == "planned"


@pytest.mark.parametrize("value", ["enabled", "paused", "off"])
@pytest.mark.parametrize("body", [b"", {"connections": ["alice"]}], ids=["all", "named"])
def test_a_secret_that_carries_the_label_never_receives_an_access_token(world: World, value: str, body: object) -> None:
    world.add_secret("alice-refresh-token", "CANARY-refresh-1", labels={"token-refresh": "enabled"})
    world.add_secret("alice-access-token", labels={"token-refresh": value})
    status, document = world.post(body)
    assert status == 200
    row = next(row for row in document["connections"] if row["name"] == "alice")
    assert row["outcome"] == "misconfigured"
    assert "is a connection secret itself" in row["message"]
    assert world.tokens.tokens == []
