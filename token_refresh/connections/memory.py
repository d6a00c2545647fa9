"""What a warm instance remembers between runs: spares calls, decides nothing, may be lost at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from token_refresh.core.access_token import AccessTokenFacts, parse_facts
from token_refresh.core.connection import ACCESS_TOKEN, Connection
from token_refresh.core.grant import Client, PayloadError, parse_client
from token_refresh.core.provider.definition import Provider
from token_refresh.core.state.due import Margins, margins
from token_refresh.core.state.policy import BackOff
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.errors import Misconfigured, SecretMissing, VersionMissing, VersionUnusable
from token_refresh.ports import SecretStore
from token_refresh.settings import Settings


@dataclass(frozen=True, slots=True)
class _Stored:
    """The newest access token, as far as known; `version` 0 = none or unreadable."""

    facts: AccessTokenFacts | None
    version: int


@dataclass(slots=True)
class Memory:
    """Facts about secrets, read once per instance. Dict operations are atomic, so threads may share it."""

    store: SecretStore
    providers: Mapping[str, Provider]
    settings: Settings
    back_offs: dict[str, BackOff] = field(default_factory=dict)
    # Rotated refresh tokens that could not be stored, with the version that was spent for them.
    unsaved: dict[str, tuple[int, Refreshed]] = field(default_factory=dict)
    _access_tokens: dict[str, _Stored] = field(default_factory=dict)
    _clients: dict[str, tuple[Client, int]] = field(default_factory=dict)
    # Many connections share a client registration: the first thread reads it, the others wait for that.
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def facts(self, connection: Connection, *, reread: bool = False) -> AccessTokenFacts | None:
        """Return what is known of the stored access token; the first look reads it, `reread` reads it again.

        None when there is none, it cannot be read, or its secret does not exist or is not even a secret's name.
        """
        if connection.problem:
            return None
        secret_id = connection.access_token_secret_id
        if reread:
            self._access_tokens.pop(secret_id, None)
        try:
            stored = self._stored(connection)
        except SecretMissing:
            return None
        if not connection.is_text:
            return stored.facts
        noted = parse_facts(connection.record.annotations.get(ACCESS_TOKEN)) if stored.version else None
        both = [f for f in (stored.facts, noted) if f]
        return max(both, key=lambda f: f.refreshed_at, default=None)

    def require_access_token_secret(self, connection: Connection) -> None:
        """Make sure that there is a place for the access token; raises `Misconfigured`."""
        try:
            self._stored(connection)
        except SecretMissing:
            raise Misconfigured(
                f"access-token secret {connection.access_token_secret_id} does not exist: create it "
                f"(gcloud secrets create {connection.access_token_secret_id})"
            ) from None

    def remember_access_token(self, connection: Connection, facts: AccessTokenFacts, version: int) -> int:
        """Note the version just written; returns the number of the one before it as far as known, else 0."""
        before = self._access_tokens.get(connection.access_token_secret_id)
        self._access_tokens[connection.access_token_secret_id] = _Stored(facts, version)
        return before.version if before else 0

    def forget_access_token(self, connection: Connection) -> None:
        """Look again next time."""
        self._access_tokens.pop(connection.access_token_secret_id, None)

    def client(self, secret_id: str, *, reread: bool = False) -> tuple[Client, int]:
        """Return a client registration and its version; raises `Misconfigured`."""
        with self._lock_of(secret_id):
            if reread:
                self._clients.pop(secret_id, None)
            if secret_id not in self._clients:
                self._clients[secret_id] = self._read_client(secret_id)
            return self._clients[secret_id]

    def forget_clients(self, secret_ids: Iterable[str]) -> None:
        """Read these client registrations afresh at their next use."""
        for secret_id in secret_ids:
            self._clients.pop(secret_id, None)

    def _read_client(self, secret_id: str) -> tuple[Client, int]:
        try:
            version = self.store.access(secret_id)
            return parse_client(version.payload), version.number
        except SecretMissing:
            raise Misconfigured(
                f"client registration {secret_id} does not exist: create the secret, or name another one in the "
                'annotation "token-refresh.client"'
            ) from None
        except VersionMissing:
            raise Misconfigured(f"client registration {secret_id} has no version: add one") from None
        except VersionUnusable as fault:
            raise Misconfigured(f"client registration: {fault}") from None
        except PayloadError as fault:
            raise Misconfigured(f"client registration {secret_id}: {fault}") from None

    def client_version(self, secret_id: str) -> int:
        """Return the version that this instance uses; 0 when it has none."""
        known = self._clients.get(secret_id)
        return known[1] if known else 0

    def margins(self, connection: Connection) -> Margins:
        """Return when the connection is due."""
        return margins(
            connection.name,
            connection.refresh_before_expiry,
            self.providers.get(connection.provider),
            self.settings.refresh_before_expiry,
            self.facts(connection),
        )

    def _stored(self, connection: Connection) -> _Stored:
        secret_id = connection.access_token_secret_id
        stored = self._access_tokens.get(secret_id)
        if stored is None:
            try:
                version = self.store.access(secret_id)
            except (VersionMissing, VersionUnusable):
                stored = _Stored(None, 0)
            else:
                stored = _Stored(parse_facts(version.payload), version.number)
            self._access_tokens[secret_id] = stored
        return stored

    def _lock_of(self, secret_id: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(secret_id, threading.Lock())
