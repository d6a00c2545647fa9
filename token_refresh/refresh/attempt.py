"""One attempt at one connection: complete before anything is sent, its reply on its way, and what it brought."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum

from token_refresh.connections.lease import Held
from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection
from token_refresh.core.grant import PayloadError, RefreshTokenGrant, parse_grant, render_rotated
from token_refresh.core.secrecy import Secret
from token_refresh.core.state.grant_end import GrantEnd, consent_to_keep
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import Verdict
from token_refresh.core.status import Outcome
from token_refresh.core.token_endpoint.outcome import Refreshed
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
        return Attempt(self.connection, self.situation, verdict)

    def left(self, outcome: Outcome, reason: str) -> Attempt:
        """Return the attempt that left the connection as it was."""
        return self.concluded(Verdict(outcome, reason, self.situation.status))

    def outdone(self) -> Attempt:
        """Leave it to the next run, which exchanges the newer grant that was stored meanwhile."""
        return self.left(Outcome.DEFERRED, "newer_version")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt brought: the verdict, and the secret's metadata as last written."""

    connection: Connection
    situation: Situation
    verdict: Verdict
    new: AccessTokenFacts | None = None  # of the access token that was written
    written: int | None = None  # the access-token secret's version
    end: GrantEnd | None = None
    looked_at: float | None = None  # when the end was last looked at
    failed_at_store: bool = False
    overtaken_by: int = 0  # the version of a newer grant, whose access token lies below the one just written

    @property
    def facts(self) -> AccessTokenFacts | None:
        """Return what is known of the stored access token."""
        return self.new or self.situation.facts


class Whose(StrEnum):
    """What a version beside a reply holds."""

    OURS = "ours"  # the token received
    SPENT = "spent"  # the token spent for it
    OTHER = "other"  # another grant
    NOTHING = "nothing"  # no grant


@dataclass(slots=True, eq=False)
class Reply:
    """A token reply on its way into the store: `payload` is what is to be added.

    `seen` is the highest version number that was looked at. Once added, `own` is the number of ours, and `top` the one
    to exchange next; `on_top` is a person's grant that has to be put on top again.
    """

    prepared: Prepared
    refreshed: Refreshed
    payload: bytes
    end: GrantEnd | None
    received_at: int
    held: Held
    seen: int
    own: int = 0
    top: int = 0
    on_top: bytes | None = None
    is_failing: bool = False
    is_outdone: bool = False  # another holder, or a person, has gone on from it
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """Return the connection's name."""
        return self.prepared.connection.name

    @property
    def secret_id(self) -> str:
        """Return the connection secret's id."""
        return self.prepared.connection.secret_id

    def whose(self, found: AccessedVersion) -> Whose:
        """Tell what a version holds."""
        try:
            grant = parse_grant(found.payload)
        except PayloadError:
            return Whose.NOTHING
        spent, received = self.prepared.request.grant, self.refreshed.refresh_token
        if isinstance(grant, RefreshTokenGrant):
            if received is not None and grant.refresh_token.reveal() == received.reveal():
                return Whose.OURS
            if isinstance(spent, RefreshTokenGrant) and grant.refresh_token.reveal() == spent.refresh_token.reveal():
                return Whose.SPENT
        return Whose.OTHER


def render_payload(
    prepared: Prepared, refreshed: Refreshed, refresh_token: Secret, end: GrantEnd | None, now: int
) -> bytes:
    """Write the new refresh token in the form that the old payload had."""
    grant = prepared.request.grant
    facts: dict[str, object] = {
        "issued_at": now,
        "expires_at": int(end.at) if end else None,
        **({"scope": refreshed.scope} if refreshed.scope else {}),
    }
    if isinstance(grant, RefreshTokenGrant):
        consented_at = consent_to_keep(grant, refreshed, prepared.request.provider, now)
        facts |= {"consented_at": consented_at} if consented_at is not None else {}
    return render_rotated(prepared.version.payload, refresh_token, facts)
