"""One attempt at one connection: what is known in its course, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass, field

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection
from token_refresh.core.grant import Client, Grant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.state.grant_end import GrantEnd
from token_refresh.core.state.verdict import Case, Verdict
from token_refresh.core.status import Lease
from token_refresh.ports import AccessedVersion


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt brought: the verdict, and the secret's metadata as last written."""

    connection: Connection
    verdict: Verdict
    case: Case
    facts: AccessTokenFacts | None = None
    written: int | None = None  # the access-token secret's version
    end: GrantEnd | None = None
    looked_at: float | None = None  # when the end was last looked at
    tried: bool = True  # the provider was asked


@dataclass(slots=True)
class Turn:
    """What is known in the course of one attempt; filled as it is found out."""

    connection: Connection
    case: Case
    provider: Provider = field(init=False)
    version: AccessedVersion = field(init=False)
    grant: Grant = field(init=False)
    client: Client | None = None
    lease: Lease | None = None
    maybe_spent: bool = False

    def conclude(self, verdict: Verdict, *, tried: bool = True) -> Attempt:
        """Return what this turn has come to without a new access token."""
        return Attempt(self.connection, verdict, self.case, facts=self.case.facts, tried=tried)
