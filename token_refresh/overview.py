"""Every connection and its state, for people to look at. Reads metadata and access-token documents, never a grant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from token_refresh.core.access_token import AccessTokenFacts, parse_facts
from token_refresh.core.connection import ACCESS_TOKEN, LEASE, STATUS, Connection, parse_connection
from token_refresh.core.incident.events import words_for
from token_refresh.core.provider.definition import Provider
from token_refresh.core.state.due import margins
from token_refresh.core.status import (
    HEALTHY,
    MISCONFIGURED,
    NEEDS_CONSENT,
    REJECTED,
    SUSPECT,
    UNAVAILABLE,
    Lease,
    Status,
    parse_lease,
    parse_status,
)
from token_refresh.errors import SecretMissing, StoreError, StoreUnavailable
from token_refresh.ports import ConsentLinks, Publisher, SecretStore
from token_refresh.settings import Settings

PAUSED: Final = "paused"
# What needs somebody's hand comes first.
ORDER: Final = (NEEDS_CONSENT, REJECTED, MISCONFIGURED, UNAVAILABLE, SUSPECT, HEALTHY, PAUSED)


@dataclass(frozen=True, slots=True)
class Row:
    """One connection as it is shown. Times in epoch seconds; None = does not apply or is not known."""

    name: str
    provider: str
    owner: str | None
    state: str
    reason: str | None
    since: float | None
    version: int
    access_token_expires_at: float | None
    next_attempt_at: float | None
    consent_url: str | None = field(repr=False)
    explanation: str | None = None
    access_token_life: float | None = None
    grant_ends_at: float | None = None
    grant_life: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return the fields that contract 1 names."""
        return {
            "name": self.name,
            "provider": self.provider,
            "owner": self.owner,
            "state": self.state,
            "reason": self.reason,
            "since": self.since,
            "version": self.version,
            "access_token_expires_at": self.access_token_expires_at,
            "next_attempt_at": self.next_attempt_at,
            "consent_url": self.consent_url,
        }


class Overview:
    """Look at all connections; threads may share it."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of an overview
        self,
        store: SecretStore,
        publisher: Publisher,
        providers: Mapping[str, Provider],
        links: ConsentLinks,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._providers = providers
        self._links = links
        self._settings = settings
        self._clock = clock

    def rows(self) -> list[Row]:
        """Return every connection, those that need somebody first, then by name; raises `StoreUnavailable`."""
        records = self._store.list_connections()
        connections = [c for c in map(parse_connection, records) if c is not None]
        names = Counter(c.name for c in connections)
        workers = max(1, min(int(self._settings.refresh_workers), len(connections)))
        with ThreadPoolExecutor(workers) as pool:
            rows = list(pool.map(lambda c: self._row(c, is_twin=names[c.name] > 1), connections))
        return sorted(rows, key=lambda row: (ORDER.index(row.state), row.name))

    def request_refresh(self, name: str) -> bool:
        """Ask for a refresh of one connection; False when there is none of that name.

        Raises `PublishError`, `StoreUnavailable`.
        """
        connections = map(parse_connection, self._store.list_connections())
        if not any(c is not None and c.name == name for c in connections):
            return False
        self._publisher.request_refresh({"connections": [name], "force": True})
        return True

    def _row(self, connection: Connection, *, is_twin: bool) -> Row:
        status = parse_status(connection.record.annotations.get(STATUS))
        facts = self._facts(connection)
        version = self._version(connection, status, facts)
        state, reason, explanation = _state(connection, status, version, is_twin=is_twin)
        unhealthy = status if status and status.state == state else None
        ends_at, grant_life = self._grant_end(connection, version)
        return Row(
            name=connection.name,
            provider=connection.provider,
            owner=connection.owner,
            state=state,
            reason=reason,
            since=unhealthy.since if unhealthy and state != HEALTHY else None,
            version=version or 0,
            access_token_expires_at=facts.expires_at if facts else None,
            next_attempt_at=self._next_attempt(connection, state, unhealthy, facts),
            consent_url=self._links.url(connection.name, connection.consents),
            explanation=explanation,
            access_token_life=facts.life if facts else None,
            grant_ends_at=ends_at,
            grant_life=grant_life,
        )

    def _facts(self, connection: Connection) -> AccessTokenFacts | None:
        """Return what is known of the access token; the token itself is dropped here."""
        if connection.is_text:
            return parse_facts(connection.record.annotations.get(ACCESS_TOKEN))
        try:
            return parse_facts(self._store.access(connection.access_token_secret_id).payload)
        except StoreError:
            return None

    def _version(self, connection: Connection, status: Status | None, facts: AccessTokenFacts | None) -> int | None:
        """Return the newest version of the connection secret as far as metadata tells; None when it does not."""
        lease = parse_lease(connection.record.annotations.get(LEASE)) or Lease()
        never = status is not None and status.state == NEEDS_CONSENT and status.version == 0
        version = max(lease.version, status.version if status else 0, facts.connection_version if facts else 0)
        if version or never:
            return version
        try:
            return max((v.number for v in self._store.list_versions(connection.secret_id)), default=0)
        except (SecretMissing, StoreUnavailable):
            return None

    def _next_attempt(
        self, connection: Connection, state: str, status: Status | None, facts: AccessTokenFacts | None
    ) -> float | None:
        if state == HEALTHY and facts:
            provider = self._providers.get(connection.provider)
            own, default = connection.refresh_before_expiry, self._settings.refresh_before_expiry
            return margins(connection.name, own, provider, default, facts).due_at
        return status.next_attempt_at or None if status and state not in (HEALTHY, PAUSED) else None

    def _grant_end(self, connection: Connection, version: int | None) -> tuple[float | None, float | None]:
        """Return end and life of the refresh token where the provider's definition limits it."""
        provider = self._providers.get(connection.provider)
        life = provider.refresh_token_lifetime if provider else None
        if life and version:
            with suppress(StoreError):
                return self._store.created_at(connection.secret_id, version) + life, float(life)
        return None, None


def _state(
    connection: Connection, status: Status | None, version: int | None, *, is_twin: bool
) -> tuple[str, str | None, str | None]:
    """Return state, reason and a sentence for people."""
    if is_twin:
        return MISCONFIGURED, MISCONFIGURED, f"Two secrets declare the connection {connection.name}."
    if connection.problem:
        return MISCONFIGURED, MISCONFIGURED, connection.problem
    if connection.paused:
        return PAUSED, PAUSED, "Its label says so; it is not refreshed."
    if status is None or status.state == HEALTHY:
        if version == 0:
            return NEEDS_CONSENT, "never_consented", words_for("never_consented")
        return HEALTHY, None, None
    return status.state, status.reason, status.message or words_for(status.reason)
