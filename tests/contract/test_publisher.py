"""The publisher's promises, kept by the fake in memory and by the real client over the local Pub/Sub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import pytest
from google.cloud import pubsub_v1
from google.pubsub_v1 import types

from infra.local.pubsub.embedded import EmbeddedPubSub
from tests.fakes.instance import FakePublisher
from token_refresh.adapters.pubsub import PubSub
from token_refresh.core.incident.events import Event
from token_refresh.errors import PublishError
from token_refresh.ports import Publisher

PROJECT = "some-project"
SOURCE = f"//secretmanager.googleapis.com/projects/{PROJECT}"
EVENT = Event("invalid_grant.1", "invalid_grant", "alice", 1_800_000_000.0, {"connection": "alice", "message": "ü"})


@dataclass
class Message:
    """What a subscriber gets."""

    data: dict[str, object]
    attributes: dict[str, str] = field(default_factory=dict)
    ordering_key: str = ""


class Topics(Protocol):
    publisher: Publisher

    def events(self) -> list[Message]: ...
    def refresh_requests(self) -> list[Message]: ...
    def go_down(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.fake = FakePublisher()
        self.publisher: Publisher = self.fake

    def events(self) -> list[Message]:
        return [Message(json.loads(e.body()), e.attributes(SOURCE), e.subject) for e in self.fake.events]

    def refresh_requests(self) -> list[Message]:
        return [Message(message) for message in self.fake.refresh_requests]

    def go_down(self) -> None:
        self.fake.down = True


class Local:
    def __init__(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        self.publisher: Publisher = PubSub(PROJECT, "events", f"projects/{PROJECT}/topics/refresh")
        self.admin, self.subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        for topic in ("events", "refresh"):
            name = f"projects/{PROJECT}/topics/{topic}"
            self.admin.create_topic(name=name)
            spec = types.Subscription(name=self.subscription(topic), topic=name, enable_message_ordering=True)
            self.subscriber.create_subscription(spec)

    def subscription(self, topic: str) -> str:
        return f"projects/{PROJECT}/subscriptions/{topic}"

    def pull(self, topic: str) -> list[Message]:
        reply = self.subscriber.pull(subscription=self.subscription(topic), max_messages=10)
        received = [m.message for m in reply.received_messages]
        return [Message(json.loads(m.data), dict(m.attributes), m.ordering_key) for m in received]

    def events(self) -> list[Message]:
        return self.pull("events")

    def refresh_requests(self) -> list[Message]:
        return self.pull("refresh")

    def go_down(self) -> None:
        for topic in ("events", "refresh"):
            self.admin.delete_topic(topic=f"projects/{PROJECT}/topics/{topic}")


@pytest.fixture(params=["in-memory", "local-stack"])
def topics(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Topics]:
    if request.param == "in-memory":
        yield InMemory()
        return
    with EmbeddedPubSub() as pubsub:
        local = Local(pubsub.address, monkeypatch)
        yield local
        local.subscriber.close()
        local.admin.transport.close()


class TestPublisher:
    """What the use cases rely on."""

    def test_an_event_arrives_as_a_binary_cloudevent_ordered_by_its_subject(self, topics: Topics) -> None:
        topics.publisher.publish(EVENT)
        (message,) = topics.events()
        assert message.attributes == EVENT.attributes(SOURCE)
        assert message.ordering_key == "alice"
        assert message.data == EVENT.data

    def test_a_request_for_a_run_arrives(self, topics: Topics) -> None:
        topics.publisher.request_refresh({"connections": ["alice"], "versions": {"alice": 2}})
        (message,) = topics.refresh_requests()
        assert message.data == {"connections": ["alice"], "versions": {"alice": 2}}

    def test_what_the_topic_does_not_take_is_told(self, topics: Topics) -> None:
        topics.go_down()
        for _ in range(2):
            with pytest.raises(PublishError) as caught:
                topics.publisher.publish(EVENT)
            assert "ü" not in str(caught.value)
        with pytest.raises(PublishError):
            topics.publisher.request_refresh({})
