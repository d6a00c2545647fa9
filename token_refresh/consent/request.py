"""What a consent is about: everything a ticket's connection is made of, read afresh for each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from token_refresh.connections.directory import Directory
from token_refresh.connections.memory import find_provider, read_client
from token_refresh.connections.newest import read_newest
from token_refresh.core.boundaries import resolve, start_anew
from token_refresh.core.connection import Connection
from token_refresh.core.consent.account import AccountFault, why_nobody_may_consent
from token_refresh.core.consent.session import Ticket
from token_refresh.core.grant import Client, Grant, PayloadError, RefreshTokenGrant, parse_grant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.status import lease_of
from token_refresh.core.token_request import TokenRequest, subject_of
from token_refresh.errors import Misconfigured, VersionMissing, VersionUnusable
from token_refresh.ports import SecretStore


class Refused(Exception):
    """A consent ends here; `reason` is one that `words/refusals.toml` has, `detail` one line for the log and no page.

    `consents` is the number that a spent ticket names, `scopes` are those that were not allowed, in words, `wait` is
    the time (s) after which it is worth while to ask again.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        consents: int = -1,
        scopes: Sequence[str] = (),
        wait: float = 0,
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.consents = consents
        self.scopes = scopes
        self.wait = wait
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Case:
    """A connection, its provider and client, and the payload that a new grant replaces."""

    ticket: Ticket
    token_request: TokenRequest
    client: Client
    authorization_url: str
    issuer: str | None
    values: Mapping[str, str]
    version: int  # of the connection secret, when it was read; 0 = none
    payload: bytes | None = field(repr=False)

    @property
    def connection(self) -> Connection:
        """Return the connection."""
        return self.token_request.connection

    @property
    def provider(self) -> Provider:
        """Return the connection's provider."""
        return self.token_request.provider

    @property
    def own_variables(self) -> Mapping[str, str]:
        """Return the variables that the payload keeps: those that belong to a client of its own."""
        return self.client.variables if self.token_request.has_own_client else {}

    @property
    def subject(self) -> str | None:
        """Return the account on record, None before the first consent."""
        return subject_of(self.connection, self.token_request.grant)

    def fill(self, template: str) -> str:
        """Fill a URL template of the provider; raises `Misconfigured`."""
        return resolve(template, self.token_request)[0]


@dataclass(frozen=True, slots=True)
class Cases:
    """Read cases from the store."""

    store: SecretStore
    providers: Mapping[str, Provider]

    def read(self, ticket: Ticket) -> Case:
        """Read everything that a consent needs; raises `Refused`, `StoreError`."""
        connection = self.find(ticket.connection)
        check_unspent(connection, ticket)
        try:
            return self._read_parts(ticket, connection)
        except Misconfigured as fault:
            raise Refused("misconfigured", str(fault)) from None

    def _read_parts(self, ticket: Ticket, connection: Connection) -> Case:
        if connection.problem:
            raise Misconfigured(connection.problem)
        provider = find_provider(self.providers, connection.provider)
        if provider.authorization_url is None:
            raise Misconfigured(f"provider {provider.name} has no authorization_url")
        if not connection.scopes:
            raise Misconfigured("annotation token-refresh.scopes is missing: name the scopes to ask for")
        version, payload = self._newest(connection)
        grant = _old_grant(payload)
        if grant is not None and not isinstance(grant, RefreshTokenGrant):
            raise Refused("needs_no_consent")
        reason = why_nobody_may_consent(connection, provider, subject_of(connection, grant))
        if reason:
            raise Refused(reason, "set token-refresh.owner" if reason == AccountFault.NO_OWNER else "")
        registered = None if grant and grant.client else read_client(self.store, connection.client_secret_id)[0]
        token_request = start_anew(TokenRequest(connection, provider, grant, registered))
        authorization_url, values = resolve(provider.authorization_url, token_request)
        return Case(
            ticket=ticket,
            token_request=token_request,
            client=token_request.require_client(),
            authorization_url=authorization_url,
            issuer=resolve(provider.issuer, token_request)[0] if provider.issuer else None,
            values=values,
            version=version,
            payload=payload if grant else None,
        )

    def find(self, name: str) -> Connection:
        """Find the connection by its name; raises `Refused`, `StoreError`."""
        connection = Directory(self.store).find(name)
        if connection is None:
            raise Refused("no_connection")
        return connection

    def _newest(self, connection: Connection) -> tuple[int, bytes | None]:
        """Return number and payload of what the new grant replaces; 0 when there is nothing yet."""
        known = lease_of(connection.record).version
        try:
            if not known:
                # Of `latest`, Secret Manager says the same whether the secret or its version is missing, and to tell
                # them apart costs a read of metadata.
                with suppress(VersionUnusable):
                    self.store.access(connection.secret_id, 1)
            newest = read_newest(self.store, connection.secret_id, floor=known)
        except VersionMissing:
            return 0, None
        except VersionUnusable:
            return known or 1, None
        return newest.number, newest.payload


def check_unspent(connection: Connection, ticket: Ticket) -> None:
    """Refuse when the owner has consented since the ticket was made; raises `Refused`.

    A record may be read late: what decides is the one on which the storing consent takes its lease.
    """
    if connection.consents != ticket.consents:
        raise Refused("spent_ticket", consents=ticket.consents)


def _old_grant(payload: bytes | None) -> Grant | None:
    """Recognise what the new grant replaces; what cannot be read is simply replaced."""
    if payload is None:
        return None
    try:
        return parse_grant(payload)
    except PayloadError:
        return None
