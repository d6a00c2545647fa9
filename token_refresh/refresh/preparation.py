"""Everything that can be found wrong with a connection before anything is sent.

prepared = preparation.prepare(connection, situation)   # complete and frozen; raises what is wrong
problem = preparation.check(connection, situation)      # the same as one sentence, for a dry run
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from token_refresh.connections.directory import Directory
from token_refresh.connections.memory import Memory
from token_refresh.connections.newest import read_newest
from token_refresh.core.connection import Connection
from token_refresh.core.grant import (
    Client,
    ClientCredentialsGrant,
    Grant,
    RefreshTokenGrant,
    ServiceAccountGrant,
    parse_grant,
    render_rotated,
)
from token_refresh.core.secrecy import Secret
from token_refresh.core.state.situation import Situation
from token_refresh.core.status import State, lease_of
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured, VersionMissing
from token_refresh.ports import SecretStore, TokenEndpoint
from token_refresh.refresh.attempt import Prepared
from token_refresh.refresh.faults import TO_MEND

_PLACEHOLDER = Secret("x")


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepare attempts; threads may share it."""

    store: SecretStore
    endpoint: TokenEndpoint
    memory: Memory
    directory: Directory

    def prepare(self, connection: Connection, situation: Situation) -> Prepared:
        """Find everything that can be wrong before anything is sent.

        Raises `Misconfigured`, `VersionMissing`, `VersionUnusable`, `SecretMissing`, `StoreError`.
        """
        if connection.problem:
            raise Misconfigured(connection.problem)
        provider = self.memory.provider(connection)
        version = read_newest(
            self.store,
            connection.secret_id,
            floor=self._lowest(connection, situation),
            probe=situation.state != State.HEALTHY,
            takeover=provider.rotates and lease_of(connection.record).is_abandoned(situation.now),
        )
        self._check_place(connection)
        grant = parse_grant(version.payload)
        situation, registration = self._find_client(connection, situation, grant)
        situation = replace(situation, version=version.number)
        prepared = Prepared(situation, version, TokenRequest(connection, provider, grant, registration))
        self.check_again(prepared)
        return prepared

    def check(self, connection: Connection, situation: Situation) -> str | None:
        """Return what can be found wrong without sending anything, None when nothing can."""
        try:
            try:
                self.prepare(connection, situation)
            except VersionMissing:
                self._check_without_grant(connection)
        except TO_MEND as fault:
            return str(fault)
        return None

    def check_again(self, prepared: Prepared) -> None:
        """Check what depends on the grant; raises `Misconfigured`."""
        self.endpoint.check(prepared.request)
        if isinstance(prepared.request.grant, RefreshTokenGrant):
            try:
                render_rotated(prepared.version.payload, _PLACEHOLDER, {})
            except Exception as fault:  # noqa: BLE001 - it must be found before a token is spent
                raise Misconfigured(
                    f"the payload of {prepared.connection.secret_id} could not be written again with another refresh "
                    f"token ({type(fault).__name__}): store it anew"
                ) from None

    def _check_without_grant(self, connection: Connection) -> None:
        """Find what would stop a grant that is not there yet; raises as `prepare`.

        A client registration that is missing says nothing: the grant may bring a client of its own, or need none.
        """
        self._check_place(connection)
        client = None
        with suppress(Misconfigured):
            client, _ = self.memory.client(connection.client_secret_id)
        if client is not None:
            self.endpoint.check(TokenRequest(connection, self.memory.provider(connection), None, client))

    def _check_place(self, connection: Connection) -> None:
        stored = self.memory.require_place(connection)
        self.directory.check_access_token_secret(connection, is_ours=stored.facts is not None)

    @staticmethod
    def _lowest(connection: Connection, situation: Situation) -> int:
        """Return the version that is known to exist: asked for, named by the lease, or made the stored token."""
        known = situation.facts.connection_version if situation.facts else 0
        return max(lease_of(connection.record).version, situation.lowest_version, known)

    def _find_client(
        self, connection: Connection, situation: Situation, grant: Grant
    ) -> tuple[Situation, Client | None]:
        """Find the client registration, and the subject of events about the client."""
        match grant:
            case RefreshTokenGrant(client=None):
                client, version = self.memory.client(connection.client_secret_id)
                return replace(situation, client=connection.client_secret_id, client_version=version), client
            case RefreshTokenGrant(client=Client(client_id)) | ClientCredentialsGrant(Client(client_id)):
                return replace(situation, client=f"client:{client_id}"), None
            case ServiceAccountGrant(client_email):
                return replace(situation, client=f"client:{client_email}"), None
        raise AssertionError(grant)  # pragma: no cover - the union is closed
