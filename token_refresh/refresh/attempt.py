"""One attempt at one connection: complete before anything is sent, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection
from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.state.grant_end import GrantEnd
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import Verdict
from token_refresh.core.token_request import TokenRequest
from token_refresh.ports import AccessedVersion


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that an exchange needs: everything that can be found wrong before anything is sent has been looked for."""

    situation: Situation
    version: AccessedVersion
    request: TokenRequest

    @property
    def connection(self) -> Connection:
        """Return the connection as it was prepared."""
        return self.request.connection

    @property
    def is_single_use(self) -> bool:
        """Tell whether the provider may replace the refresh token, so that it takes a lease to spend it."""
        return self.request.provider.rotates and isinstance(self.request.grant, RefreshTokenGrant)

    def concluded(self, verdict: Verdict) -> Attempt:
        """Return the attempt that ended with a verdict and no new access token."""
        return Attempt(self.connection, self.situation, verdict, self.situation.facts)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt brought: the verdict, and the secret's metadata as last written."""

    connection: Connection
    situation: Situation
    verdict: Verdict
    facts: AccessTokenFacts | None = None
    written: int | None = None  # the access-token secret's version
    end: GrantEnd | None = None
    looked_at: float | None = None  # when the end was last looked at
    failed_at_store: bool = False
