"""A notice: an event as it was delivered, our own or Pub/Sub's with ours inside, and whom it concerns."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from token_refresh.core.incident.events import ASKS_OWNER, EventType, remedy_for
from token_refresh.core.json_object import read_object
from token_refresh.core.secrecy import shown
from token_refresh.errors import BadRequest

_PUBSUB: Final = "google.cloud.pubsub.topic.v1.messagePublished"
_OWNERS_REMEDIES: Final = ("reconsent", "reauthenticate")
# Contract 8; an event of the first edition says none.
_SEVERITIES: Final = ("critical", "error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Notice:
    """An event as it was delivered; `time` is its `ce-time` in epoch seconds, if it says one."""

    id: str
    type: EventType
    subject: str
    data: Mapping[str, object] = field(default_factory=dict)
    time: float | None = None

    def text(self, name: str) -> str:
        """Return a text of the data, fit to be shown; empty if there is none."""
        value = self.data.get(name)
        return shown(value) if isinstance(value, str) else ""

    @property
    def is_for_owner(self) -> bool:
        """Tell whether the owner is to hear of it: what they must do, and that it is done."""
        if self.type == EventType.RECOVERED:
            return bool(self.data.get("connection")) and remedy_for(str(self.data.get("reason"))) in _OWNERS_REMEDIES
        return self.type in ASKS_OWNER

    @property
    def incident(self) -> str:
        """Return the id that opened the incident."""
        return self.text("incident") or self.id

    @property
    def severity(self) -> str:
        """Return how urgent it is: one of critical, error, warning, info."""
        said = self.text("severity")
        if said in _SEVERITIES:
            return said
        if self.type == EventType.RECOVERED:
            return "info"
        return "error" if self.type == EventType.CLIENT_REJECTED else "warning"


def parse_notice(attributes: Mapping[str, object], data: object) -> Notice | None:
    """Read a CloudEvent: our own, or Pub/Sub's with ours inside; None for an event of another kind.

    Raises `BadRequest` when it is ours and cannot be read.
    """
    if attributes.get("type") == _PUBSUB:
        message = data.get("message") if isinstance(data, Mapping) else None
        if not isinstance(message, Mapping):
            raise BadRequest("the Pub/Sub event holds no message")
        inner = message.get("attributes")
        marked = inner if isinstance(inner, Mapping) else {}
        attributes = {str(name).removeprefix("ce-"): value for name, value in marked.items()}
        data = _decode(message.get("data"))
    event_type = short_type(str(attributes.get("type", "")))
    if event_type is None:
        return None
    fields = _object(data)
    event_id, subject = str(attributes.get("id") or ""), str(attributes.get("subject") or "")
    if not event_id or not subject:
        raise BadRequest("the event has no id or no subject")
    return Notice(event_id, event_type, subject, fields, _time(attributes.get("time")))


def short_type(full: str) -> EventType | None:
    """Return the event type behind ``dev.token-refresh.<type>.v1``; None for another's event or a later version."""
    head, _, rest = full.partition("dev.token-refresh.")
    name, _, version = rest.rpartition(".")
    return EventType(name) if not head and version == "v1" and name in tuple(EventType) else None


def _decode(data: object) -> bytes:
    try:
        return base64.b64decode(data) if isinstance(data, str | bytes) else b""
    except ValueError:
        raise BadRequest("the Pub/Sub message's data is not Base64") from None


def _object(data: object) -> Mapping[str, object]:
    fields = read_object(data) if isinstance(data, str | bytes | bytearray) else data
    if not isinstance(fields, Mapping):
        raise BadRequest("the event's data is not a JSON object")
    return fields


def _time(value: object) -> float | None:
    """Read RFC 3339; a time that cannot be read is none."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
