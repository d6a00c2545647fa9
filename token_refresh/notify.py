"""Tell owners and operators about an event: one message per incident, one when it is over.

    event                                          owner   operators
    invalid_grant, consent_expiring, _overdue      yes     yes
    client_rejected, refresh_failing               never   yes
    recovered, after an owner's incident           yes     yes
    recovered, after an operators' incident        never   yes

"Operators" are the Apprise URLs without ``{owner}``; the owner is reached by those with it. Operators also see what
owners are asked to do: somebody must notice when an owner has left.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote

from token_refresh.core.connection import Connection, parse_connection
from token_refresh.core.incident.events import (
    CONSENT_EXPIRING,
    CONSENT_OVERDUE,
    INVALID_GRANT,
    RECOVERED,
    TYPES,
    remedy_for,
)
from token_refresh.core.incident.message import Message, Undeliverable, build_message
from token_refresh.core.secrecy import Secret
from token_refresh.errors import BadRequest, SecretMissing, StoreUnavailable
from token_refresh.instance.pace import Pace
from token_refresh.instance.recent import RecentKeys
from token_refresh.ports import SecretStore

log = logging.getLogger("token_refresh")

OWNER: Final = "{owner}"
_PUBSUB: Final = "google.cloud.pubsub.topic.v1.messagePublished"
_FOR_OWNERS: Final = (INVALID_GRANT, CONSENT_EXPIRING, CONSENT_OVERDUE)
_OWNERS_REMEDIES: Final = ("reconsent", "reauthenticate")
_REMEMBERED: Final = 24 * 3600  # s; a redelivery comes within minutes


class Messenger(Protocol):
    """Sends one message to one Apprise URL."""

    def send(self, url: Secret, message: Message) -> None:
        """Send it; raises `Undeliverable`."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An event as it was delivered."""

    id: str
    type: str  # short: one of `events.TYPES`
    subject: str
    data: Mapping[str, object]


class Notifier:
    """Turn events into messages; threads may share it."""

    def __init__(
        self,
        store: SecretStore,
        messenger: Messenger,
        urls: Sequence[Secret],
        pace: Pace,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._messenger = messenger
        self._urls = tuple(urls)
        self._pace = pace
        self._sent = RecentKeys(_REMEMBERED, clock)

    def tell(self, notice: Notice) -> int:
        """Send what the event calls for; return the number of messages sent.

        One that arrives twice is sent once, as far as one instance can tell. Raises `Undeliverable` when any message
        did not leave; those that did are not sent again by the redelivery.
        """
        sent = 0
        failed: list[str] = []
        for key, url, to_owner in self._addressees(notice, failed):
            if not self._sent.add(key):
                continue
            self._pace.wait()
            try:
                self._messenger.send(url, build_message(notice.type, notice.subject, notice.data, to_owner=to_owner))
            except Undeliverable as fault:
                self._sent.forget(key)
                failed.append(str(fault))
            else:
                sent += 1
        fields = {"event": "notified", "type": notice.type, "subject": notice.subject, "sent": sent}
        log.info("notify: %s %s, %d sent", notice.type, notice.subject, sent, extra={"json_fields": fields})
        if failed:
            raise Undeliverable(f"{notice.type} of {notice.subject}: {'; '.join(sorted(set(failed)))}")
        return sent

    def _addressees(self, notice: Notice, failed: list[str]) -> list[tuple[str, Secret, bool]]:
        """Return operators, then the owner; an owner who cannot be looked up now keeps nobody else waiting."""
        numbered = [(f"{notice.id} {number}", url) for number, url in enumerate(self._urls)]
        addressees = [(key, url, False) for key, url in numbered if OWNER not in url.reveal()]
        if len(addressees) == len(numbered) or not is_for_owner(notice):
            return addressees
        try:
            connection = self._connection(notice)
        except StoreUnavailable as fault:
            failed.append(f"the owner cannot be looked up: {fault}")
            return addressees
        if connection is None or connection.owner is None:
            log.warning("notify: %s has no owner to be told (annotation token-refresh.owner)", notice.subject)
            return addressees
        # Encoded, so that an owner's address cannot add parameters to the URL.
        owner = quote(connection.owner, safe="@")
        own = [
            (key, Secret(url.reveal().replace(OWNER, owner)), True) for key, url in numbered if OWNER in url.reveal()
        ]
        return addressees + own

    def _connection(self, notice: Notice) -> Connection | None:
        secret_id = notice.data.get("connection_secret")
        if not isinstance(secret_id, str) or not secret_id:
            return None
        try:
            return parse_connection(self._store.get(secret_id))
        except SecretMissing:
            return None


def is_for_owner(notice: Notice) -> bool:
    """Tell whether the owner is to hear of it: what they must do, and that it is done."""
    if notice.type == RECOVERED:
        return bool(notice.data.get("connection")) and remedy_for(str(notice.data.get("reason"))) in _OWNERS_REMEDIES
    return notice.type in _FOR_OWNERS


def parse_notice(attributes: Mapping[str, object], data: object) -> Notice | None:
    """Read a CloudEvent: our own, or Pub/Sub's with ours inside; None for anything else, which is no matter of ours.

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
    return Notice(event_id, event_type, subject, fields)


def short_type(full: str) -> str | None:
    """Return the event type behind ``dev.token-refresh.<type>.v1``; None for another's event or a later version."""
    head, _, rest = full.partition("dev.token-refresh.")
    name, _, version = rest.rpartition(".")
    return name if not head and version == "v1" and name in TYPES else None


def _decode(data: object) -> bytes:
    try:
        return base64.b64decode(data) if isinstance(data, str | bytes) else b""
    except ValueError:
        raise BadRequest("the Pub/Sub message's data is not Base64") from None


def _object(data: object) -> Mapping[str, object]:
    try:
        fields = json.loads(data) if isinstance(data, str | bytes | bytearray) else data
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, Mapping):
        raise BadRequest("the event's data is not a JSON object")
    return fields


def read_urls(setting: Secret) -> tuple[Secret, ...]:
    """Read `NOTIFY_URLS`: one Apprise URL per line; empty lines and those that begin with ``#`` are skipped."""
    lines = (line.strip() for line in setting.reveal().splitlines())
    return tuple(Secret(line) for line in lines if line and not line.startswith("#"))
