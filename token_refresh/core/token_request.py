"""What an access token is asked for with: the things that always travel together on the way to a token endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from token_refresh.core.connection import Connection
from token_refresh.core.grant import Client, ClientCredentialsGrant, Grant, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.provider.definition import Provider
from token_refresh.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """An access token request (RFC 6749, sections 4.1.3 and 6): who asks whose token endpoint, with which grant.

    `connection` says what to ask for (scopes, variables, the owner to stand for); `grant` is the payload of its
    secret, None where a code is redeemed and nothing was stored before; `registration` is the client that
    ``token-refresh.client`` names, None where it was not read.
    """

    connection: Connection
    provider: Provider
    grant: Grant | None = None
    registration: Client | None = None
    # What the authorization response has just told beside the code; the rest of `grant` is older.
    told: Mapping[str, str] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """Return the template of the URL that it goes to: providers may refresh elsewhere."""
        return self.provider.refresh_url if isinstance(self.grant, RefreshTokenGrant) else self.provider.token_url

    @property
    def scope(self) -> str | None:
        """Return what a reply without `scope` grants: what was asked for (RFC 6749, sections 5.1 and 6)."""
        asked = self.grant.scope if isinstance(self.grant, RefreshTokenGrant) else " ".join(self.connection.scopes)
        return " ".join((asked or "").split()) or None

    @property
    def has_own_client(self) -> bool:
        """Tell whether the payload carries the client that is authenticated."""
        return isinstance(self.grant, RefreshTokenGrant | ClientCredentialsGrant) and self.grant.client is not None

    @property
    def client(self) -> Client | None:
        """Return the client that is authenticated: the payload's own, else the registered one; a key needs none."""
        if isinstance(self.grant, ServiceAccountGrant):
            return None
        return self.registration if self.grant is None else self.grant.client or self.registration

    def require_client(self) -> Client:
        """Return the client that is authenticated; raises `Misconfigured`."""
        if self.client is None:
            raise Misconfigured(
                f"connection {self.connection.name} has no client registration: store one in "
                f"{self.connection.client_secret_id}, or name another one in token-refresh.client"
            )
        return self.client


def subject_of(connection: Connection, grant: Grant | None) -> str | None:
    """Return the account on record: the annotation, else what the payload says (contract 2)."""
    return connection.subject or (grant.sub if isinstance(grant, RefreshTokenGrant) else None)
