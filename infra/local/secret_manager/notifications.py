"""Notifications of secrets that name topics (https://cloud.google.com/secret-manager/docs/event-notifications)."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from google.protobuf import json_format

from infra.local.secret_manager.messages import Message

Notify = Callable[[str, dict[str, str], bytes], object]
_Message = tuple[str, dict[str, str], bytes]

logger = logging.getLogger(__name__)


class Notifications:
    """Hand each event to `notify(topic, attributes, data)`, in order, on a thread of its own, after the fact."""

    def __init__(self, notify: Notify | None) -> None:
        self._notify = notify
        self._queue: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(notify,), name="secret-notifications", daemon=True)

    def start(self) -> None:
        """Begin to hand out events."""
        if self._notify:
            self._thread.start()

    def stop(self) -> None:
        """Hand out what is waiting (for at most 5 s) and end."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(5)

    def send(self, event: str, secret: Message, version: Message = None, **attributes: str) -> None:
        """Announce an event of a secret, or of its version, to all topics of the secret."""
        resource = secret if version is None else version
        if version is not None:
            attributes["versionId"] = version.name
        data = json_format.MessageToJson(resource, indent=None).encode() if self._notify else b""
        self._put((topic.name for topic in secret.topics), event, secret, attributes, data)

    def confirm(self, topics: Iterable[str], secret: Message) -> None:
        """Send the message a topic gets when it is first set on a secret: attributes and no body."""
        self._put(topics, "TOPIC_CONFIGURED", secret, {}, b"")

    def _put(self, topics: Iterable[str], event: str, secret: Message, attributes: dict[str, str], data: bytes) -> None:
        attributes = {
            "eventType": event,
            "dataFormat": "JSON_API_V1",
            "secretId": secret.name,
            "timestamp": datetime.now(UTC).isoformat(),
            **attributes,
        }
        for topic in topics if self._notify else ():
            self._queue.put((topic, attributes, data))

    def _run(self, notify: Notify) -> None:
        while (message := self._queue.get()) is not None:
            topic, attributes, data = message
            try:
                notify(topic, dict(attributes), data)
            except Exception:
                logger.exception("A %s notification for topic %s was lost", attributes["eventType"], topic)
