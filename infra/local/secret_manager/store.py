"""The state in memory: secrets and versions, and as much of their past as stale reads need.

Messages are replaced, never changed, so what a call has returned stays what it was.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Generic, TypeVar

from google.api_core.exceptions import NotFound
from google.iam.v1 import policy_pb2

from infra.local.secret_manager.errors import api_error
from infra.local.secret_manager.faults import Faults
from infra.local.secret_manager.messages import DESTROYED, Message, copy_of
from infra.local.secret_manager.names import Name
from infra.local.secret_manager.notifications import Notifications

Value = TypeVar("Value")


class Timeline(Generic[Value]):
    """Hold a value and, while somebody may still see it, its past."""

    def __init__(self, value: Value, now: float) -> None:
        self._entries = [(now, value)]

    @property
    def current(self) -> Value:
        """Give the true value."""
        return self._entries[-1][1]

    @property
    def first(self) -> Value:
        """Give the oldest value remembered."""
        return self._entries[0][1]

    def replace(self, value: Value, now: float, *, remember: bool) -> None:
        """Set the value; `remember` keeps the old ones for reads of the past."""
        if not remember:
            self._entries.clear()
        self._entries.append((now, value))

    def at(self, moment: float) -> Value | None:
        """Give the value as it was at a moment (monotonic s), None before the first."""
        if moment == math.inf:
            return self.current
        return next((value for since, value in reversed(self._entries) if since <= moment), None)


@dataclass
class StoredVersion:
    """Hold a version: number, SecretVersion message over time, payload, CRC-32C of the payload."""

    number: int
    message: Timeline[Message]
    payload: bytes
    checksum: int


@dataclass
class StoredSecret:
    """Hold a secret: Secret message over time (None once deleted), versions by number, IAM policy."""

    name: Name
    sequence: int
    message: Timeline[Message]
    policy: Message = field(default_factory=lambda: policy_pb2.Policy(etag=b"\x00\x20\x01"))
    versions: dict[int, StoredVersion] = field(default_factory=dict)
    next_number: int = 1


class Store:
    """Keep the secrets of all projects. Callers hold `lock` around what they read and change together."""

    def __init__(self, faults: Faults, notifications: Notifications) -> None:
        self.faults, self.notifications = faults, notifications
        self.lock = threading.RLock()
        self._parents: dict[str, dict[str, StoredSecret]] = {}
        self._sequence = count(1)
        self._etags = count(int(time.time() * 1_000_000))

    def now(self) -> datetime:
        """Give the wall-clock time, UTC."""
        return datetime.now(UTC)

    def new_etag(self) -> str:
        """Give an etag no object has had: an opaque string in quotes."""
        return f'"{next(self._etags):x}"'

    def put(self, name: Name, secret: Message) -> None:
        """Keep a new secret as the newest of its parent."""
        siblings = self._parents.setdefault(name.parent, {})
        siblings.pop(name.secret or "", None)
        timeline = Timeline(secret, self.faults.clock())
        siblings[name.secret or ""] = StoredSecret(name, next(self._sequence), timeline)

    def replace(self, timeline: Timeline[Value], value: Value) -> None:
        """Put a new message in the place of the old one."""
        timeline.replace(value, self.faults.clock(), remember=self.faults.remembers)

    def delete(self, stored: StoredSecret, reason: str) -> None:
        """Remove a secret; `reason` is `REQUESTED` or `EXPIRED`."""
        self.notifications.send("SECRET_DELETE", stored.message.current, deleteType=reason)
        self.replace(stored.message, None)
        if not self.faults.remembers:
            del self._parents[stored.name.parent][stored.name.secret or ""]

    def newest_first(self, parent: Name) -> Iterator[StoredSecret]:
        """Give the secrets of a project or location, tombstones among them."""
        for stored in list(reversed(self._parents.get(str(parent), {}).values())):
            self._settle(stored)
            yield stored

    def find(self, name: Name) -> StoredSecret:
        """Find a secret as it is now. Raises NotFound."""
        stored = self.find_past(name)
        if not stored or not stored.message.current:
            raise api_error(NotFound, f"Secret [{name.of_its_secret}] not found.")
        return stored

    def find_past(self, name: Name) -> StoredSecret | None:
        """Find a secret that is, or that stale reads may still see."""
        stored = self._parents.get(name.parent, {}).get(name.secret or "")
        if stored:
            self._settle(stored)
        return stored

    def find_version(self, name: Name) -> StoredVersion:
        """Find a version by number, alias or `latest`, which are read late where the faults say so. Raises NotFound."""
        stored = self.find(name)
        wanted = name.version or ""
        moment = self.faults.visible_until("latest")
        if wanted == "latest":
            seen = (item for item in reversed(stored.versions.values()) if item.message.at(moment))
            version = next(seen, None)
            missing = f"Secret [{name.of_its_secret}] not found or has no versions."
        else:
            aliases = (stored.message.at(moment) or stored.message.first).version_aliases
            number = int(wanted) if wanted.isdigit() else aliases.get(wanted, 0)
            version = stored.versions.get(number)
            missing = f"Secret Version [{name}] not found."
        if version is None:
            raise api_error(NotFound, missing)
        return version

    def destroy(self, stored: StoredSecret, version: StoredVersion, at: datetime) -> Message:
        """Forget a version's payload for good and return its SecretVersion."""
        changed = copy_of(version.message.current)
        changed.state, changed.etag = DESTROYED, self.new_etag()
        changed.destroy_time.FromDatetime(at)
        changed.ClearField("scheduled_destroy_time")
        self.replace(version.message, changed)
        if not self.faults.remembers:
            version.payload = b""
        self.notifications.send("SECRET_VERSION_DESTROY", stored.message.current, changed)
        return changed

    def _settle(self, stored: StoredSecret) -> None:
        """Let what was due by now happen: expiry of the secret, delayed destruction of versions."""
        secret = stored.message.current
        if secret is None:
            return
        now = self.now()
        if secret.HasField("expire_time") and secret.expire_time.ToDatetime(UTC) <= now:
            self.delete(stored, "EXPIRED")
            return
        if secret.HasField("version_destroy_ttl"):
            for version in stored.versions.values():
                message = version.message.current
                if message.HasField("scheduled_destroy_time"):
                    due = message.scheduled_destroy_time.ToDatetime(UTC)
                    if due <= now:
                        self.destroy(stored, version, due)
