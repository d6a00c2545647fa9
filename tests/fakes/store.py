"""Secret Manager in memory, as the real service behaves: etags guard metadata, version numbers count up, and `latest`,
lists and metadata may be stale. Any number of instances may look at the same secrets.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tests.fakes.faults import Faults
from token_refresh.core.connection import LABEL, LABEL_PROVIDER, SUFFIX, SecretRecord
from token_refresh.errors import EtagConflict, SecretMissing, VersionMissing, VersionUnusable
from token_refresh.ports import AccessedVersion, SecretStore, VersionInfo, VersionState

CLIENT_PAYLOAD: Final = b'{"client_id": "some-client", "client_secret": "CANARY-client-secret"}'


@dataclass(slots=True)
class StoredVersion:
    payload: bytes
    created_at: float
    state: str = "ENABLED"


@dataclass(slots=True)
class StoredSecret:
    """A secret as it is, and its metadata as it was at each moment (`past`, oldest first)."""

    record: SecretRecord
    versions: list[StoredVersion] = field(default_factory=list)
    past: list[tuple[float, SecretRecord]] = field(default_factory=list)

    def at(self, moment: float) -> SecretRecord | None:
        return next((record for since, record in reversed(self.past) if since <= moment), None)


class Cloud:
    """The state behind all instances' stores. `stale` maps `latest`, `lists`, `metadata` to seconds of delay."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.secrets: dict[str, StoredSecret] = {}
        self.stale: dict[str, float] = {}
        self.lock = threading.RLock()
        self._etags = itertools.count(1)

    def seen_at(self, kind: str) -> float:
        return self.clock() - self.stale.get(kind, 0)

    def write(self, record: SecretRecord) -> SecretRecord:
        record = replace(record, etag=f'"{next(self._etags)}"')
        stored = self.secrets.setdefault(record.secret_id, StoredSecret(record))
        stored.record = record
        stored.past.append((self.clock(), record))
        return record


class FakeStore(SecretStore):
    """Secret Manager as one instance sees it; `restarted` is the view of another instance on the same secrets.

    `calls` lists what this instance has called: (operation, secret id), oldest first; `on_call` hears of each call that
    has taken effect, and may let time pass.
    """

    def __init__(self, clock: Callable[[], float], cloud: Cloud | None = None, faults: Faults | None = None) -> None:
        self.cloud = cloud or Cloud(clock)
        self.faults = faults or Faults()
        self.calls: list[tuple[str, str]] = []
        self.on_call: Callable[[str], None] = lambda _: None
        self._own_writes: dict[str, tuple[set[str], SecretRecord]] = {}

    def restarted(self, faults: Faults | None = None) -> FakeStore:
        """Return the view of a fresh instance."""
        return FakeStore(self.cloud.clock, self.cloud, faults)

    # -- what people do with gcloud: no faults, nothing stale ---------------------------------------------------------

    def create(
        self,
        secret_id: str,
        payload: bytes | str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Create a secret, with a first version when there is a payload."""
        now = self.cloud.clock()
        self.cloud.write(SecretRecord(secret_id, dict(labels or {}), dict(annotations or {}), "", now))
        if payload is not None:
            self.put(secret_id, payload)

    def create_connection(  # noqa: PLR0913 - what a connection is made of
        self,
        name: str,
        payload: bytes | str | None,
        *,
        provider: str = "rotating",
        annotations: Mapping[str, str] | None = None,
        client: bytes | str | None = CLIENT_PAYLOAD,
        state: str = "enabled",
    ) -> None:
        """Create a connection with its access-token secret, and its client registration unless there is one."""
        labels = {LABEL: state, LABEL_PROVIDER: provider}
        self.create(name + SUFFIX, payload, labels=labels, annotations=annotations)
        self.create(f"{name}-access-token")
        if client is not None and f"oauth-client-{provider}" not in self.cloud.secrets:
            self.create(f"oauth-client-{provider}", client)

    def put(self, secret_id: str, payload: bytes | str) -> int:
        """Add a version and return its number."""
        versions = self.cloud.secrets[secret_id].versions
        data = payload.encode() if isinstance(payload, str) else payload
        versions.append(StoredVersion(data, self.cloud.clock()))
        return len(versions)

    def set_annotations(self, secret_id: str, changes: Mapping[str, str | None]) -> None:
        """Change annotations behind the functions' back."""
        record = self.cloud.secrets[secret_id].record
        notes = {k: v for k, v in {**record.annotations, **changes}.items() if v is not None}
        self.cloud.write(replace(record, annotations=notes))

    def set_state(self, secret_id: str, version: int, state: str) -> None:
        """Make a version ENABLED, DISABLED or DESTROYED."""
        self.cloud.secrets[secret_id].versions[version - 1].state = state

    def annotations(self, secret_id: str) -> dict[str, str]:
        """Return the annotations as they really are."""
        return dict(self.cloud.secrets[secret_id].record.annotations)

    def payloads(self, secret_id: str) -> dict[int, bytes]:
        """Return the payloads of the enabled versions by number."""
        versions = self.cloud.secrets[secret_id].versions
        return {n: v.payload for n, v in enumerate(versions, 1) if v.state == "ENABLED"}

    # -- SecretStore ---------------------------------------------------------------------------------------------------

    def list_connections(self) -> list[SecretRecord]:
        with self._call("list_connections", ""):
            moment = self.cloud.seen_at("lists")
            seen = [record for s in self.cloud.secrets.values() if (record := s.at(moment))]
            return [self._remembered(r) for r in reversed(seen) if r.labels.get(LABEL) in ("enabled", "paused")]

    def get(self, secret_id: str) -> SecretRecord:
        with self._call("get", secret_id):
            return self._get(secret_id)

    def access(self, secret_id: str, version: int | None = None) -> AccessedVersion:
        with self._call("access", secret_id):
            versions = self._find(secret_id).versions
            number = version or self._latest(versions)
            if not 0 < number <= len(versions):
                raise VersionMissing(f"secret {secret_id} has no version {number or ''}".rstrip())
            if versions[number - 1].state != "ENABLED":
                raise VersionUnusable(f"version {number} of secret {secret_id} is disabled or destroyed")
            return AccessedVersion(number, versions[number - 1].payload)

    def read_latest(self, secret_id: str) -> bytes | None:
        with self._call("access", secret_id):
            stored = self.cloud.secrets.get(secret_id)
            number = self._latest(stored.versions) if stored else 0
            if stored is None or not number:
                return None
            if stored.versions[number - 1].state != "ENABLED":
                raise VersionUnusable(f"the newest version of secret {secret_id} is disabled or destroyed")
            return stored.versions[number - 1].payload

    def add(self, secret_id: str, payload: bytes) -> int:
        with self._call("add", secret_id):
            versions = self._find(secret_id).versions
            versions.append(StoredVersion(payload, self.cloud.clock()))
            return len(versions)

    def destroy(self, secret_id: str, version: int) -> None:
        with self._call("destroy", secret_id):
            versions = self._find(secret_id).versions
            if 0 < version <= len(versions):
                versions[version - 1].state = "DESTROYED"

    def annotate(self, record: SecretRecord, changes: Mapping[str, str | None]) -> SecretRecord:
        secret_id = record.secret_id
        with self._call("annotate", secret_id):
            if self._find(secret_id).record.etag == record.etag:
                notes = {k: v for k, v in {**record.annotations, **changes}.items() if v is not None}
                written = self.cloud.write(replace(self._find(secret_id).record, annotations=notes))
                superseded, _ = self._own_writes.get(secret_id, (set(), record))
                self._own_writes[secret_id] = ({*superseded, record.etag}, written)
                return written
            now = self._get(secret_id)
            if all(now.annotations.get(k) == v for k, v in changes.items()):
                return now
            raise EtagConflict(f"secret {secret_id} was changed by another writer")

    def list_versions(self, secret_id: str) -> list[VersionInfo]:
        with self._call("list_versions", secret_id):
            moment = self.cloud.seen_at("lists")
            numbered = list(enumerate(self._find(secret_id).versions, 1))
            seen = [(n, v) for n, v in reversed(numbered) if v.created_at <= moment]
            return [VersionInfo(n, VersionState(v.state), v.created_at) for n, v in seen]

    def created_at(self, secret_id: str, version: int) -> float:
        with self._call("created_at", secret_id):
            versions = self._find(secret_id).versions
            if not 0 < version <= len(versions):
                raise VersionMissing(f"secret {secret_id} has no version {version}")
            return versions[version - 1].created_at

    def _call(self, operation: str, secret_id: str) -> _Call:
        return _Call(self, operation, secret_id)

    def _find(self, secret_id: str) -> StoredSecret:
        if secret_id not in self.cloud.secrets:
            raise SecretMissing(f"secret {secret_id} does not exist")
        return self.cloud.secrets[secret_id]

    def _get(self, secret_id: str) -> SecretRecord:
        record = self._find(secret_id).at(self.cloud.seen_at("metadata"))
        if record is None:
            raise SecretMissing(f"secret {secret_id} does not exist")
        return self._remembered(record)

    def _latest(self, versions: Sequence[StoredVersion]) -> int:
        moment = self.cloud.seen_at("latest")
        return max((n for n, v in enumerate(versions, 1) if v.created_at <= moment), default=0)

    def _remembered(self, record: SecretRecord) -> SecretRecord:
        """Return what this instance knows better: it has overwritten that metadata itself."""
        superseded, written = self._own_writes.get(record.secret_id, (frozenset[str](), record))
        return written if record.etag in superseded else record


class _Call:
    """One call of a store: recorded, struck by faults before and after, one at a time."""

    def __init__(self, store: FakeStore, operation: str, secret_id: str) -> None:
        self._store, self._what = store, (operation, secret_id)

    def __enter__(self) -> None:
        self._store.calls.append(self._what)
        self._store.faults.strike(*self._what, "before")
        self._store.cloud.lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._store.cloud.lock.release()
        if kind is None:
            self._store.on_call(self._what[0])
            self._store.faults.strike(*self._what, "after")
