"""The RPCs on secret versions, named as in the client library."""

from __future__ import annotations

from datetime import datetime

import google_crc32c
from google.api_core.exceptions import FailedPrecondition, GoogleAPICallError

from infra.local.secret_manager.errors import api_error, check_etag
from infra.local.secret_manager.filters import parse_filter
from infra.local.secret_manager.limits import check_payload
from infra.local.secret_manager.messages import (
    DESTROYED,
    DISABLED,
    ENABLED,
    AccessSecretVersionResponse,
    ListSecretVersionsResponse,
    Message,
    SecretVersion,
    copy_of,
)
from infra.local.secret_manager.names import parse_name
from infra.local.secret_manager.paging import cut_page
from infra.local.secret_manager.store import Store, StoredSecret, StoredVersion, Timeline


class VersionRpcs:
    """Answer with a protobuf response, or raise a google.api_core exception, whose code is sent."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_secret_version(self, request: Message) -> Message:
        """Store a payload as the newest version. The secret's own etag stays as it is."""
        name = parse_name(request.parent, "secret")
        checksum = google_crc32c.value(request.payload.data)
        with self._store.lock:
            stored = self._store.find(name)
            check_payload(request.payload, checksum)
            number, stored.next_number = stored.next_number, stored.next_number + 1
            version = SecretVersion(
                name=str(name.of_version(number)),
                state=ENABLED,
                etag=self._store.new_etag(),
                client_specified_payload_checksum=request.payload.HasField("data_crc32c"),
            )
            version.create_time.FromDatetime(self._store.now())
            _describe_replication(stored.message.current, version)
            timeline = Timeline(version, self._store.faults.clock())
            stored.versions[number] = StoredVersion(number, timeline, request.payload.data, checksum)
            self._store.notifications.send("SECRET_VERSION_ADD", stored.message.current, version)
            return version

    def access_secret_version(self, request: Message) -> Message:
        """Return the payload of an enabled version with its checksum; no fall-back from `latest` to an older one."""
        name = parse_name(request.name, "version")
        with self._store.lock:
            version = self._store.find_version(name)
            seen = self._see(version)
            if seen.state != ENABLED:
                raise _wrong_state(seen)
            payload = {"data": version.payload, "data_crc32c": version.checksum}
        return AccessSecretVersionResponse(name=seen.name, payload=payload)

    def get_secret_version(self, request: Message) -> Message:
        """Return a version's metadata."""
        name = parse_name(request.name, "version")
        with self._store.lock:
            return self._see(self._store.find_version(name))

    def list_secret_versions(self, request: Message) -> Message:
        """List a secret's versions."""
        name = parse_name(request.parent, "secret")
        matches = parse_filter(request.filter, SecretVersion)
        with self._store.lock:
            moment = self._store.faults.visible_until("lists")
            versions = reversed(self._store.find(name).versions.values())
            seen = ((item.number, message) for item in versions if (message := item.message.at(moment)))
            page, token, total = cut_page(seen, request, matches)
        return ListSecretVersionsResponse(versions=page, next_page_token=token, total_size=total)

    def enable_secret_version(self, request: Message) -> Message:
        """Make a version accessible again; calls off a scheduled destruction."""
        return self._set_state(request, ENABLED, "SECRET_VERSION_ENABLE")

    def disable_secret_version(self, request: Message) -> Message:
        """Make a version inaccessible."""
        return self._set_state(request, DISABLED, "SECRET_VERSION_DISABLE")

    def destroy_secret_version(self, request: Message) -> Message:
        """Destroy a version for good, or schedule it where the secret has a version_destroy_ttl."""
        with self._store.lock:
            stored, version = self._changeable(request)
            secret = stored.message.current
            if not secret.HasField("version_destroy_ttl"):
                return self._store.destroy(stored, version, self._store.now())
            due = self._store.now() + secret.version_destroy_ttl.ToTimedelta()
            return self._set_state(request, DISABLED, "SECRET_VERSION_DESTROY_SCHEDULED", due)

    def _set_state(self, request: Message, state: int, event: str, destroy_at: datetime | None = None) -> Message:
        with self._store.lock:
            stored, version = self._changeable(request)
            message = copy_of(version.message.current)
            message.state, message.etag = state, self._store.new_etag()
            message.ClearField("scheduled_destroy_time")
            if destroy_at:
                message.scheduled_destroy_time.FromDatetime(destroy_at)
            self._store.replace(version.message, message)
            self._store.notifications.send(event, stored.message.current, message)
            return message

    def _changeable(self, request: Message) -> tuple[StoredSecret, StoredVersion]:
        """Find the version to change, checked against its true state. Raises FailedPrecondition."""
        name = parse_name(request.name, "version")
        stored, version = self._store.find(name), self._store.find_version(name)
        message = version.message.current
        check_etag(request.etag, message.etag, f"Secret Version [{message.name}]")
        if message.state == DESTROYED:
            raise _wrong_state(message)
        return stored, version

    def _see(self, version: StoredVersion) -> Message:
        """Show a version: one just added at once, a change of its state maybe late."""
        return version.message.at(self._store.faults.visible_until("states")) or version.message.first


def _wrong_state(version: Message) -> GoogleAPICallError:
    state = SecretVersion.State.Name(version.state)
    return api_error(FailedPrecondition, f"Secret Version [{version.name}] is in {state} state.")


def _describe_replication(secret: Message, version: Message) -> None:
    kind = secret.replication.WhichOneof("replication")
    if kind == "automatic":
        version.replication_status.automatic.SetInParent()
    elif kind == "user_managed":
        for replica in secret.replication.user_managed.replicas:
            version.replication_status.user_managed.replicas.add(location=replica.location)
