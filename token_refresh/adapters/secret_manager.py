"""Secret Manager through its own client; fulfils `SecretStore`.

The library retries nothing but accesses, so every call carries its own retry here. A retried add may leave a stray
version (there is no idempotency key); a retried update that had taken effect is recognised.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from sys import intern
from typing import Any, TypeVar

import google_crc32c
from google.api_core import exceptions
from google.cloud import secretmanager_v1 as sm

from token_refresh.adapters.secret_manager_client import Method, Methods, cause_of, checked
from token_refresh.core.connection import LABEL, SecretRecord
from token_refresh.errors import (
    EtagConflict,
    QuotaExceeded,
    SecretMissing,
    StoreDenied,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    VersionMissing,
    VersionUnusable,
)
from token_refresh.ports import AccessedVersion, VersionInfo, VersionState

_T = TypeVar("_T")

_PAGE = 25_000  # https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/list
_PAYLOAD, _SECRET = sm.SecretPayload.pb(), sm.Secret.pb()
# Lists may be hours old, and a rotating refresh writes twice.
_ETAGS_KEPT = 16
# gRPC only: over REST the library raises just base classes, which cannot tell a failed etag from a bad request.
_PRECONDITION = (exceptions.FailedPrecondition,)
_ABSENT_OR_UNUSABLE = (exceptions.NotFound, *_PRECONDITION)
_QUOTA = (exceptions.ResourceExhausted, exceptions.TooManyRequests)
# What a repetition does not mend.
_LASTING = (
    exceptions.BadRequest,
    exceptions.NotFound,
    exceptions.Conflict,
    exceptions.MethodNotImplemented,
)


class SecretManager:
    """The store. One for the instance's life; safe for threads."""

    def __init__(self, client: sm.SecretManagerServiceClient, parent: str) -> None:
        self._methods = Methods(client)
        self._parent = parent
        self._own_writes: dict[str, tuple[tuple[str, ...], SecretRecord]] = {}
        self._lock = threading.Lock()

    def list_connections(self) -> list[SecretRecord]:
        """List the secrets that carry the label, newest first."""
        records: dict[str, SecretRecord] = {}
        for value in ("enabled", "paused"):
            list_ = partial(_pages, self._methods.list, self._parent, filter=f"labels.{LABEL}={value}")
            pages = self._call("list secrets", "secrets.list", list_)
            for record in (self._record(secret) for page in pages for secret in page.secrets):
                if record.labels.get(LABEL) in ("enabled", "paused"):
                    records[record.secret_id] = record
        return list(records.values())

    def get(self, secret_id: str) -> SecretRecord:
        """Fetch one secret's metadata; raises `SecretMissing`."""
        name = self._name(secret_id)
        secret = self._call(
            f"read secret {secret_id}",
            "secrets.get",
            lambda: self._methods.get(name),
            absent=_missing(secret_id),
        )
        return self._record(secret)

    def access(self, secret_id: str, version: int | None = None) -> AccessedVersion:
        """Read a version; raises `SecretMissing`, `VersionMissing`, `VersionUnusable`."""
        try:
            return self._access(secret_id, "latest" if version is None else str(version), secret_id)
        except exceptions.NotFound:
            # Of `latest`, the service says the same whether the secret or its version is missing.
            if version is None:
                self.get(secret_id)
            raise VersionMissing(
                f"secret {secret_id} has no version{'' if version is None else f' {version}'}"
            ) from None
        except _PRECONDITION:
            which = "the newest version" if version is None else f"version {version}"
            raise VersionUnusable(
                f"{which} of secret {secret_id} is disabled or destroyed: enable it or add a new version"
            ) from None

    def read_latest(self, secret_id: str) -> bytes | None:
        """Read `latest` by one access and nothing else; None when there is none. Raises `VersionUnusable`."""
        try:
            return self._access(secret_id, "latest").payload
        except exceptions.NotFound:
            return None
        except _PRECONDITION:
            raise VersionUnusable(f"the newest version of secret {secret_id} is disabled or destroyed") from None

    def add(self, secret_id: str, payload: bytes) -> int:
        """Add a version and return its number; raises `SecretMissing`."""
        parent = self._name(secret_id)
        body = _PAYLOAD(data=payload, data_crc32c=google_crc32c.value(payload))
        version = self._call(
            f"add a version to secret {secret_id}",
            "versions.add",
            lambda: self._methods.add(parent, payload=body),
            absent=_missing(secret_id),
            secret_id=secret_id,
        )
        return _number(version.name)

    def destroy(self, secret_id: str, version: int) -> None:
        """Destroy a version; one that is gone already is fine."""
        name = f"{self._name(secret_id)}/versions/{version}"
        with suppress(*_ABSENT_OR_UNUSABLE):
            self._call(
                f"destroy version {version} of secret {secret_id}",
                "versions.destroy",
                lambda: self._methods.destroy(name),
                tells=_ABSENT_OR_UNUSABLE,
            )

    def annotate(self, record: SecretRecord, changes: Mapping[str, str | None]) -> SecretRecord:
        """Replace or remove annotations under `record`'s etag; raises `EtagConflict`, `SecretMissing`."""
        annotations = {**record.annotations, **{k: v for k, v in changes.items() if v is not None}}
        for key in (k for k, v in changes.items() if v is None):
            annotations.pop(key, None)
        name = self._name(record.secret_id)
        secret = _SECRET(name=name, annotations=annotations, etag=record.etag)
        try:
            changed = self._call(
                f"annotate secret {record.secret_id}",
                "secrets.update",
                lambda: self._methods.update(name, secret=secret, update_mask={"paths": ["annotations"]}),
                tells=(*_PRECONDITION, exceptions.Conflict),
                absent=_missing(record.secret_id),
            )
        except (*_PRECONDITION, exceptions.Conflict):
            now = self.get(record.secret_id)
            if all(now.annotations.get(k) == v for k, v in changes.items()):
                return now  # our own write, whose answer was lost
            raise EtagConflict(f"secret {record.secret_id} was changed by another writer") from None
        written = self._record(changed, of_own_write=True)
        with self._lock:
            superseded, _ = self._own_writes.get(record.secret_id, ((), record))
            self._own_writes[record.secret_id] = ((*superseded, record.etag)[-_ETAGS_KEPT:], written)
        return written

    def list_versions(self, secret_id: str) -> list[VersionInfo]:
        """List versions, newest first; raises `SecretMissing`."""
        pages = self._call(
            f"list versions of secret {secret_id}",
            "versions.list",
            lambda: _pages(self._methods.list_versions, self._name(secret_id)),
            absent=_missing(secret_id),
        )
        infos = [
            VersionInfo(_number(v.name), VersionState(sm.SecretVersion.State(v.state).name), _moment(v.create_time))
            for page in pages
            for v in page.versions
        ]
        return sorted(infos, key=lambda v: v.number, reverse=True)

    def created_at(self, secret_id: str, version: int) -> float:
        """Return when a version was created, epoch seconds; raises `SecretMissing`, `VersionMissing`."""
        name = f"{self._name(secret_id)}/versions/{version}"
        info = self._call(
            f"read version {version} of secret {secret_id}",
            "versions.get",
            lambda: self._methods.get_version(name),
            absent=VersionMissing(f"secret {secret_id} has no version {version}"),
        )
        return _moment(info.create_time)

    def _access(self, secret_id: str, which: str, denied: str | None = None) -> AccessedVersion:
        name = f"{self._name(secret_id)}/versions/{which}"
        reply = self._call(
            f"access secret {secret_id}",
            "versions.access",
            lambda: self._methods.access(name),
            tells=_ABSENT_OR_UNUSABLE,
            secret_id=denied,
        )
        return AccessedVersion(_number(reply.name), checked(secret_id, reply.payload))

    def _name(self, secret_id: str) -> str:
        return f"{self._parent}/secrets/{secret_id}"

    def _record(self, plain: Any, *, of_own_write: bool = False) -> SecretRecord:
        record = SecretRecord(
            secret_id=plain.name.rsplit("/", 1)[-1],
            labels={intern(key): intern(value) for key, value in plain.labels.items()},  # the same for all of them
            annotations={intern(key): value for key, value in plain.annotations.items()},
            etag=plain.etag,
            created_at=_moment(plain.create_time),
        )
        if of_own_write:
            return record
        # Metadata is eventually consistent: what this instance has overwritten itself is known to be old.
        superseded, written = self._own_writes.get(record.secret_id, ((), record))
        return written if record.etag in superseded else record

    def _call(  # noqa: PLR0913 - what is called, and what may come of it
        self,
        what: str,
        permission: str,
        call: Callable[[], _T],
        *,
        tells: tuple[type[Exception], ...] = (),
        absent: StoreError | None = None,
        secret_id: str | None = None,
    ) -> _T:
        """Run one call; only the errors that its caller `tells` apart come through, the others are translated.

        `absent` says what is not there. Who is allowed single secrets only is denied those that do not exist: of
        `secret_id`, the metadata tell.
        """
        try:
            return call()
        except tells:
            raise
        except (exceptions.PermissionDenied, exceptions.Forbidden):
            if secret_id is not None:
                with suppress(StoreDenied):
                    self.get(secret_id)
            raise StoreDenied(
                f"cannot {what}, permission denied: grant secretmanager.{permission} (without it Secret Manager does "
                "not say whether the secret exists)"
            ) from None
        except exceptions.GoogleAPIError as fault:
            if absent and isinstance(fault, exceptions.NotFound):
                raise absent from None
            if isinstance(fault, _LASTING):
                raise StoreRefused(f"cannot {what}: {cause_of(fault)}") from None
            if isinstance(fault.cause if isinstance(fault, exceptions.RetryError) else fault, _QUOTA):
                raise QuotaExceeded(f"cannot {what}: the project's quota is used up") from None
            raise StoreUnavailable(f"cannot {what}: {cause_of(fault)}") from None


def _missing(secret_id: str) -> SecretMissing:
    return SecretMissing(f"secret {secret_id} does not exist")


def _pages(method: Method, parent: str, **fields: Any) -> list[Any]:
    """Return all pages of a list."""
    pages = [method(parent, page_size=_PAGE, **fields)]
    while token := pages[-1].next_page_token:
        pages.append(method(parent, page_size=_PAGE, page_token=token, **fields))
    return pages


def _moment(time: Any) -> float:
    """Return epoch seconds of a protobuf time; 0 when it is not set."""
    return float(time.seconds + time.nanos / 1e9)


def _number(name: str) -> int:
    return int(name.rsplit("/", 1)[-1])
