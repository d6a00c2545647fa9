"""Both Pub/Subs of the local stack keep the same promises: Google's emulator and the embedded one."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import AlreadyExists, NotFound

from infra.local.pubsub.service import PubSub, find_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(90)
PROJECT = "local-project"


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A push endpoint: answers 500 to paths with `bad`, to `flaky` ones only the first time."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)

    def at(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def status(self, path: str) -> int:
        return 500 if "bad" in path or ("flaky" in path and len(self.at(path)) == 1) else 204


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Request(self.path, headers, body))
            self.send_response(receiver.status(self.path))
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        yield receiver
        server.shutdown()
        thread.join(5)


@pytest.fixture(scope="module", params=["emulator", "embedded"])
def pubsub(request: pytest.FixtureRequest) -> Iterator[PubSub]:
    if request.param == "emulator" and find_emulator() is None:
        pytest.skip("no Pub/Sub emulator: gcloud's SDK (component pubsub-emulator) or Java is missing")
    with PubSub(PROJECT, emulator=request.param == "emulator") as pubsub:
        yield pubsub


@pytest.fixture
def topic(pubsub: PubSub, request: pytest.FixtureRequest) -> str:
    name = "topic-" + "".join(char if char.isalnum() else "-" for char in request.node.name)
    pubsub.create_topic(name)
    return name


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_message_is_pulled_once_with_its_attributes(pubsub: PubSub, topic: str) -> None:
    pubsub.create_subscription(f"{topic}-pull", topic)
    pubsub.publish(topic, b"data", {"key": "value"}, ordering_key="k")
    (message,) = pubsub.pull(f"{topic}-pull")
    assert (message.data, dict(message.attributes), message.ordering_key) == (b"data", {"key": "value"}, "k")
    assert pubsub.pull(f"{topic}-pull") == []


def test_every_subscription_gets_every_message(pubsub: PubSub, topic: str) -> None:
    for name in ("one", "two"):
        pubsub.create_subscription(f"{topic}-{name}", topic)
    pubsub.publish(topic, b"1")
    pubsub.publish(topic, attributes={"only": "attributes"})
    for name in ("one", "two"):
        assert sorted(message.data for message in pubsub.pull(f"{topic}-{name}")) == [b"", b"1"]


def test_a_wrapped_push_is_the_json_functions_know(pubsub: PubSub, topic: str, receiver: Receiver) -> None:
    path = f"/projects/{PROJECT}/topics/{topic}"
    name = pubsub.create_subscription(f"{topic}-push", topic, push_to=receiver.url + path)
    sent = pubsub.publish(topic, b'{"force": true}', {"key": "value"})
    assert eventually(lambda: len(receiver.at(path)) == 1)
    envelope = json.loads(receiver.at(path)[0].body)
    assert envelope["subscription"] == name
    assert base64.b64decode(envelope["message"]["data"]) == b'{"force": true}'
    assert envelope["message"]["attributes"] == {"key": "value"}
    assert envelope["message"]["messageId"] == sent


def test_a_bare_push_is_a_binary_cloud_event(pubsub: PubSub, topic: str, receiver: Receiver) -> None:
    pubsub.create_subscription(f"{topic}-bare", topic, push_to=f"{receiver.url}/bare", bare=True)
    attributes = {"ce-id": "7", "ce-type": "some.type", "content-type": "application/json"}
    pubsub.publish(topic, b'{"a": 1}', attributes)
    assert eventually(lambda: len(receiver.at("/bare")) == 1)
    request = receiver.at("/bare")[0]
    assert request.body == b'{"a": 1}'
    assert {name: request.headers[name] for name in attributes} == attributes


def test_a_refused_push_comes_again(pubsub: PubSub, topic: str, receiver: Receiver) -> None:
    pubsub.create_subscription(f"{topic}-flaky", topic, push_to=f"{receiver.url}/flaky")
    pubsub.publish(topic, b"again")
    assert eventually(lambda: len(receiver.at("/flaky")) == 2)


def test_what_is_refused_five_times_becomes_a_dead_letter(pubsub: PubSub, topic: str, receiver: Receiver) -> None:
    pubsub.create_topic(f"{topic}-dead")
    pubsub.create_subscription(f"{topic}-dead-pull", f"{topic}-dead")
    letters = f"{topic}-dead"
    pubsub.create_subscription(f"{topic}-bad", topic, push_to=f"{receiver.url}/bad", dead_letters=letters)
    pubsub.publish(topic, b"hopeless", {"key": "value"})
    found: list[tuple[bytes, str]] = []

    def buried() -> bool:
        found.extend((one.data, one.attributes["key"]) for one in pubsub.pull(f"{topic}-dead-pull"))
        return bool(found)

    assert eventually(buried, seconds=45)
    assert found == [(b"hopeless", "value")]
    assert len(receiver.at("/bad")) >= 5


def test_ordered_messages_arrive_in_order_past_a_refusal(pubsub: PubSub, topic: str, receiver: Receiver) -> None:
    endpoint = f"{receiver.url}/flaky-order"
    pubsub.create_subscription(f"{topic}-ordered", topic, push_to=endpoint, ordered=True, bare=True)
    for number in range(5):
        pubsub.publish(topic, str(number).encode(), ordering_key="same")
    assert eventually(lambda: len({request.body for request in receiver.at("/flaky-order")}) == 5)
    seen = [request.body.decode() for request in receiver.at("/flaky-order")]
    # A refusal may bring later messages of the key along again, but none overtakes another.
    assert list(dict.fromkeys(seen)) == ["0", "1", "2", "3", "4"]


def test_what_exists_or_is_missing_is_named(pubsub: PubSub, topic: str) -> None:
    with pytest.raises(AlreadyExists):
        pubsub.create_topic(topic)
    with pytest.raises(NotFound):
        pubsub.publish("no-such-topic", b"x")
    with pytest.raises(NotFound):
        pubsub.create_subscription("lost", "no-such-topic")
