"""Pub/Sub through its own client; fulfils `Publisher`. Imported when there is something to publish: it takes 200 ms."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import GoogleAPIError, NotFound

from token_refresh.core.incident.events import Event
from token_refresh.errors import PublishError

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient

# A run must end: the library's own default tries for ten minutes.
_TRY_SECONDS = 5.0
_WAIT_SECONDS = 8.0
# What one event has found out, the others of a run need not find out again.
_REST_SECONDS = 5.0


class PubSub:
    """The topics. One for the instance's life; safe for threads."""

    def __init__(self, project: str, events_topic: str, refresh_topic: str) -> None:
        self._source = f"//secretmanager.googleapis.com/projects/{project}"
        self._events_topic = topic_name(project, events_topic)
        self._refresh_topic = topic_name(project, refresh_topic)
        self._client: PublisherClient | None = None
        self._resting_until = 0.0
        self._lock = threading.Lock()

    def publish(self, event: Event) -> None:
        """Publish an event, ordered by its subject, and wait until the topic has it; raises `PublishError`."""
        self._send(self._events_topic, event.body(), event.subject, event.attributes(self._source))

    def request_refresh(self, message: Mapping[str, object]) -> None:
        """Ask for a refresh run; raises `PublishError`."""
        self._send(self._refresh_topic, json.dumps(dict(message)).encode(), "", {})

    def _send(self, topic: str, data: bytes, ordering_key: str, attributes: Mapping[str, str]) -> None:
        if time.monotonic() < self._resting_until:
            raise PublishError(f"cannot publish to {topic}: Pub/Sub did not answer a moment ago")
        client = self._publisher()
        try:
            future: Any = client.publish(topic, data, ordering_key=ordering_key, **attributes)
            # The instance gets no processor time after the response: wait.
            future.result(timeout=_WAIT_SECONDS)
        except (GoogleAPIError, FutureTimeout, RuntimeError, ValueError) as fault:
            if not isinstance(fault, NotFound):
                self._resting_until = time.monotonic() + _REST_SECONDS
            with suppress(RuntimeError):  # after a time-out the key is not paused yet
                client.resume_publish(topic, ordering_key)
            raise PublishError(f"cannot publish to {topic}: {type(fault).__name__}") from None

    def _publisher(self) -> PublisherClient:
        with self._lock:
            if self._client is None:
                from google.api_core.retry import Retry  # noqa: PLC0415 - see the module's docstring
                from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415
                from google.cloud.pubsub_v1.types import BatchSettings, PublisherOptions  # noqa: PLC0415

                self._client = PublisherClient(
                    batch_settings=BatchSettings(max_latency=0.001),
                    publisher_options=PublisherOptions(
                        enable_message_ordering=True,
                        retry=Retry(initial=0.1, maximum=2.0, multiplier=2.0, timeout=_TRY_SECONDS),
                        timeout=_TRY_SECONDS,
                    ),
                )
            return self._client


def topic_name(project: str, topic: str) -> str:
    """Return a topic's full name; a full one stays as it is."""
    return topic if topic.startswith("projects/") else f"projects/{project}/topics/{topic}"
