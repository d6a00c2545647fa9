"""What a warm instance has read: spares calls, and may be lost at any time.

Facts about access tokens and client registrations are then read again. Failures that no status tells of yet cannot be:
the connection is tried sooner, and how long its provider has given one answer is counted anew. What must *not* be lost
with the process stands in `token_refresh.instance.unsaved`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from token_refresh.core.access_token import AccessTokenFacts, parse_facts
from token_refresh.core.connection import ACCESS_TOKEN, Connection
from token_refresh.core.grant import Client, PayloadError, parse_client
from token_refresh.core.provider.definition import Provider
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.timing import BackOff, Margins, margins
from token_refresh.errors import Misconfigured, SecretMissing, VersionMissing, VersionUnusable
from token_refresh.ports import SecretStore
from token_refresh.settings import Settings

# Versions that a refresh looks back for strays of retried adds. What this instance remembers may be days old, and the
# versions since were destroyed by those who wrote them: asking again would only cost writes.
_LOOK_BACK: Final = 5


@dataclass(frozen=True, slots=True)
class StoredToken:
    """The newest access token, as far as known; `version` 0 = none or unreadable.

    `previous` is the version before it, whose token runs out at `previous_ends`: None = not known, or it had run out
    already when its successor was written (it goes when the next one is, as `latest` may still point to it); 0 =
    destroyed. `older` are those before that which may still be there.
    """

    facts: AccessTokenFacts | None
    version: int
    previous: int | None = None
    previous_ends: float = 0
    older: tuple[int, ...] = ()
    is_text: bool = False

    def outlived(self, now: float) -> tuple[int, ...]:
        """Return the versions that have no use any more."""
        return (*self.older, self.previous) if self.previous and self.previous_ends <= now else self.older

    def older_than(self, written: int) -> tuple[int, ...]:
        """Return the versions that have no use any more once version `written` is there."""
        if self.previous == 0 and self.version == written - 1:  # destroyed when it had run out
            left = self.older
        elif self.version:
            left = (*self.older, *range(self.version - 1, written - 1))
        else:
            left = (written - 2,)
        return tuple(n for n in dict.fromkeys(left) if n > max(written - 1 - _LOOK_BACK, 0))


@dataclass(slots=True)
class Memory:
    """Facts about secrets, read once per instance. Dict operations are atomic, so threads may share it."""

    store: SecretStore
    providers: Mapping[str, Provider]
    settings: Settings
    # By connection secret, as are the subjects of events about the client (a payload may carry a client of its own).
    back_offs: dict[str, BackOff] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    _access_tokens: dict[str, StoredToken] = field(default_factory=dict)
    _clients: dict[str, tuple[Client, int]] = field(default_factory=dict)
    # Many connections share a client registration: the first thread reads it, the others wait for that.
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    # -- access tokens -------------------------------------------------------------------------------------------------

    def is_known(self, connection: Connection) -> bool:
        """Tell whether a look at the access token needs no call."""
        return bool(connection.problem) or connection.access_token_secret_id in self._access_tokens

    def facts(self, connection: Connection) -> AccessTokenFacts | None:
        """Return what is known of the stored access token; the first look reads it.

        None when there is none, it cannot be read, or its secret does not exist or is not even a secret's name.
        """
        if connection.problem:
            return None
        try:
            stored = self._stored(connection)
        except SecretMissing:
            return None
        if stored.is_text != connection.is_text:  # readers are to get the other form from now on
            return None
        if not connection.is_text:
            return stored.facts
        noted = parse_facts(connection.record.annotations.get(ACCESS_TOKEN)) if stored.version else None
        both = [f for f in (stored.facts, noted) if f]
        return max(both, key=lambda f: f.refreshed_at, default=None)

    def reread(self, connection: Connection) -> AccessTokenFacts | None:
        """Read the stored access token again: another instance may have written it."""
        if connection.problem:
            return None
        if connection.is_text:
            connection = replace(connection, record=self.store.get(connection.secret_id))
        return self.reread_secret(connection)

    def reread_secret(self, connection: Connection) -> AccessTokenFacts | None:
        """Read the access-token secret again, and no annotation: `connection` has just been read."""
        before = self._access_tokens.pop(connection.access_token_secret_id, None)
        facts = self.facts(connection)
        after = self._access_tokens.get(connection.access_token_secret_id)
        if before and after and after.version == before.version:
            self._access_tokens[connection.access_token_secret_id] = before
        return facts

    def look_again(self, connection: Connection, situation: Situation) -> Situation | None:
        """Return the situation with a newer access token; None where none is stored, or it cannot be read."""
        with suppress(Exception):  # then what is known must do
            facts = self.reread(connection)
            if facts and facts.is_newer_than(situation.facts):
                found = self.margins(connection, facts)
                return replace(situation, facts=facts, margin=found.margin, due_at=found.due_at)
        return None

    def require_place(self, connection: Connection) -> StoredToken:
        """Return what the access-token secret holds, which must be there; raises `Misconfigured`, `StoreError`."""
        try:
            return self._stored(connection)
        except SecretMissing:
            raise no_place(connection) from None

    def remember_access_token(self, connection: Connection, facts: AccessTokenFacts, version: int) -> StoredToken:
        """Note the version just written; returns what was known before."""
        secret_id = connection.access_token_secret_id
        with self._writing:
            before = self._access_tokens.get(secret_id) or StoredToken(None, 0)
            ends = before.facts.expires_at if before.facts else 0.0
            previous = before.version if before.version == version - 1 and ends > facts.refreshed_at else None
            older = before.older_than(version)
            self._access_tokens[secret_id] = StoredToken(facts, version, previous, ends, older, connection.is_text)
        return before

    def outlived(self, connection: Connection, now: float) -> tuple[int, ...]:
        """Return the versions of the access token that have no use any more and are not known to be destroyed."""
        stored = self._access_tokens.get(connection.access_token_secret_id)
        return stored.outlived(now) if stored else ()

    def previous_ends(self, connection: Connection, version: int) -> float | None:
        """Return when the token of the version before the newest runs out; None = not known of this version."""
        stored = self._access_tokens.get(connection.access_token_secret_id)
        return stored.previous_ends if stored and stored.previous == version else None

    def forget_outlived(self, connection: Connection, version: int) -> None:
        """Note that a version of the access token is destroyed."""
        secret_id = connection.access_token_secret_id
        with self._writing:
            if stored := self._access_tokens.get(secret_id):
                previous = 0 if stored.previous == version else stored.previous
                older = tuple(n for n in stored.older if n != version)
                self._access_tokens[secret_id] = replace(stored, previous=previous, older=older)

    def forget_access_token(self, connection: Connection) -> None:
        """Forget the access token; the next look reads it."""
        self._access_tokens.pop(connection.access_token_secret_id, None)

    def margins(self, connection: Connection, facts: AccessTokenFacts | None) -> Margins:
        """Return when a connection with such an access token is due."""
        provider, settings = self.providers.get(connection.provider), self.settings
        return margins(connection, provider, settings.refresh_before_expiry, facts, settings.run_every)

    def _stored(self, connection: Connection) -> StoredToken:
        secret_id = connection.access_token_secret_id
        stored = self._access_tokens.get(secret_id)
        if stored is None:
            try:
                version = self.store.access(secret_id)
            except (VersionMissing, VersionUnusable):
                stored = StoredToken(None, 0)
            else:
                facts = parse_facts(version.payload)
                stored = StoredToken(facts, version.number, is_text=facts is None)
            self._access_tokens[secret_id] = stored
        return stored

    # -- providers and client registrations ----------------------------------------------------------------------------

    def provider(self, connection: Connection) -> Provider:
        """Return the connection's provider; raises `Misconfigured`."""
        return find_provider(self.providers, connection.provider)

    def client(self, secret_id: str, *, reread: bool = False) -> tuple[Client, int]:
        """Return a client registration and its version; raises `Misconfigured`, `StoreError`."""
        with self._reading:
            if reread:
                self._clients.pop(secret_id, None)
            if secret_id not in self._clients:
                self._clients[secret_id] = read_client(self.store, secret_id)
            return self._clients[secret_id]

    def forget_clients(self, secret_ids: Iterable[str]) -> None:
        """Read these client registrations afresh at their next use."""
        for secret_id in secret_ids:
            self._clients.pop(secret_id, None)

    # -- failures ------------------------------------------------------------------------------------------------------

    def remember_failure(self, secret_id: str, back_off: BackOff | None) -> None:
        """Note a failure of a connection secret, or (None) that there is none."""
        if back_off:
            self.back_offs[secret_id] = back_off
        else:
            self.back_offs.pop(secret_id, None)


def no_place(connection: Connection) -> Misconfigured:
    """Return the fault of a connection whose access token has no place."""
    secret_id = connection.access_token_secret_id
    return Misconfigured(f"access-token secret {secret_id} does not exist: gcloud secrets create {secret_id}")


def find_provider(providers: Mapping[str, Provider], name: str) -> Provider:
    """Find a provider by its key; raises `Misconfigured`."""
    if name not in providers:
        raise Misconfigured(
            f'provider "{name}" is not defined: define it in PROVIDERS_FILE, or take one that is '
            "(token-refresh providers list)"
        )
    return providers[name]


def read_client(store: SecretStore, secret_id: str) -> tuple[Client, int]:
    """Read a client registration and its version; raises `Misconfigured`, `StoreError`."""
    add = f"gcloud secrets versions add {secret_id} --data-file=client_secret.json"
    try:
        version = store.access(secret_id)
        return parse_client(version.payload), version.number
    except SecretMissing:
        raise Misconfigured(
            f"client registration {secret_id} does not exist: name another one in token-refresh.client, or create it: "
            f"gcloud secrets create {secret_id}; {add}"
        ) from None
    except VersionMissing:
        raise Misconfigured(f"client registration {secret_id} has no version: {add}") from None
    except VersionUnusable as fault:
        raise Misconfigured(f"client registration: {fault}: {add}") from None
    except PayloadError as fault:
        raise Misconfigured(f"client registration {secret_id}: {fault}: {add}") from None
