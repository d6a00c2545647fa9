"""Pub/Sub on a laptop: Google's emulator where gcloud's SDK has it, a small embedded one otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import grpc
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from infra.local.processes.process import Process, free_port
from infra.local.pubsub.embedded import EmbeddedPubSub

# It lives too shortly for what the second compiler costs.
QUICKLY = {"JDK_JAVA_OPTIONS": f"-XX:TieredStopAtLevel=1 {os.environ.get('JDK_JAVA_OPTIONS', '')}"}
EMULATOR = Path("platform", "pubsub-emulator", "bin", "cloud-pubsub-emulator")
# The emulator holds an empty pull until about a second before the caller's deadline.
PULL_TIMEOUT = 3.0


def find_emulator() -> Path | None:
    """Find Google's emulator in the SDK of the installed gcloud; None without it or without Java."""
    gcloud = shutil.which("gcloud")
    if gcloud is None or shutil.which("java") is None:
        return None
    # Where gcloud itself lies, as a rule; to ask it takes two seconds.
    path = Path(gcloud).resolve().parents[1] / EMULATOR
    if path.is_file():
        return path
    command = [gcloud, "info", "--format=value(installation.sdk_root)"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - fixed words
    path = Path(told.stdout.strip()) / EMULATOR
    return path if path.is_file() else None


class PubSub:
    """Pub/Sub for one project; a context manager. Topics and subscriptions are named by their short ids."""

    def __init__(self, project: str, *, emulator: bool | None = None) -> None:
        """Prepare it; `emulator` None (default) takes Google's where it is found.

        Raises FileNotFoundError on start when `emulator` is True and there is none.
        """
        self.project = project
        self.address = ""
        self.kind = ""
        self._emulator = emulator
        self.logs: Path | None = None
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            path = None if self._emulator is False else find_emulator()
            if path is not None:
                self.kind, self.address = "Google's emulator", self._start(path, exits)
            elif self._emulator:
                raise FileNotFoundError("gcloud's SDK has no Pub/Sub emulator here, or Java is missing")
            else:
                self.kind, self.address = "embedded", exits.enter_context(EmbeddedPubSub()).address
            channel = grpc.insecure_channel(self.address, options=[("grpc.enable_http_proxy", 0)])
            exits.callback(channel.close)
            self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            self._subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def create_topic(self, topic: str) -> str:
        """Create a topic; answers its full name."""
        return self._publisher.create_topic(name=self.topic_name(topic)).name

    def create_subscription(  # noqa: PLR0913 - one keyword per feature
        self,
        subscription: str,
        topic: str,
        *,
        push_to: str = "",
        bare: bool = False,
        ordered: bool = False,
        ack_deadline: int = 60,
        dead_letters: str = "",
    ) -> str:
        """Create a subscription: pull, or push to the URL `push_to`; answers its full name.

        `bare` pushes the data alone with attributes as headers (`no_wrapper`, `write_metadata`), which makes `ce-*`
        attributes a binary CloudEvent. Failed pushes are retried after 0.2 s growing to 2 s; after the fifth a
        message goes to the topic `dead_letters`.
        """
        spec = types.Subscription(
            name=self.subscription_name(subscription),
            topic=self.topic_name(topic),
            ack_deadline_seconds=ack_deadline,
            enable_message_ordering=ordered,
        )
        if push_to:
            spec.push_config = types.PushConfig(push_endpoint=push_to)
            spec.retry_policy = types.RetryPolicy(
                minimum_backoff=Duration(nanos=200_000_000), maximum_backoff=Duration(seconds=2)
            )
        if bare:
            spec.push_config.no_wrapper = types.PushConfig.NoWrapper(write_metadata=True)
        if dead_letters:
            spec.dead_letter_policy = types.DeadLetterPolicy(
                dead_letter_topic=self.topic_name(dead_letters), max_delivery_attempts=5
            )
        return self._subscriber.create_subscription(request=spec).name

    def publish(
        self, topic: str, data: bytes = b"", attributes: Mapping[str, str] | None = None, ordering_key: str = ""
    ) -> str:
        """Publish one message; answers its id. A message has data or attributes or both."""
        message = types.PubsubMessage(data=data, attributes=attributes or {}, ordering_key=ordering_key)
        answer = self._publisher.publish(topic=self.topic_name(topic), messages=[message], timeout=10)
        return str(answer.message_ids[0])

    def pull(self, subscription: str) -> list[types.PubsubMessage]:
        """Take and acknowledge up to a hundred messages; waits up to 2 s for the first, answers [] without one."""
        name = self.subscription_name(subscription)
        received = self._subscriber.pull(subscription=name, max_messages=100, timeout=PULL_TIMEOUT).received_messages
        if received:
            self._subscriber.acknowledge(subscription=name, ack_ids=[one.ack_id for one in received], timeout=10)
        return [one.message for one in received]

    def topic_name(self, topic: str) -> str:
        """Spell a topic's full name."""
        return f"projects/{self.project}/topics/{topic}"

    def subscription_name(self, subscription: str) -> str:
        """Spell a subscription's full name."""
        return f"projects/{self.project}/subscriptions/{subscription}"

    def _start(self, path: Path, exits: ExitStack) -> str:
        logs = self.logs or Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="pubsub-")))
        port = free_port()
        command = [str(path), "--host=127.0.0.1", f"--port={port}"]
        process = exits.enter_context(Process("pubsub-emulator", command, logs=logs, env=QUICKLY))
        process.wait_for_http(f"http://127.0.0.1:{port}/")
        return f"127.0.0.1:{port}"
