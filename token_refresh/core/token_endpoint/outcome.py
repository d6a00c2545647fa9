"""What a token endpoint's answer means: a closed union, so that every caller must face every case.

Refreshed        a new access token, perhaps a new refresh token
GrantDead        the provider says that the grant is gone: the owner's matter, once confirmed
ClientRejected   the provider refuses our client or our request: the operator's matter
Unavailable      nobody's fault that we know of: later. Nothing was spent
UnknownOutcome   it may have happened: the refresh token may be spent
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from token_refresh.core.secrecy import Secret


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """Keep a provider's own words (RFC 6749, section 5.2), masked and cut, for people and events."""

    error: str | None = None
    error_description: str | None = None
    error_subtype: str | None = None


NO_DETAIL: Final = ErrorDetail()


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A token reply (RFC 6749, section 5.1). Times in epoch seconds.

    Of draft-ietf-oauth-refresh-token-expiration, section 3: `authorization_expires_at`, when only a new consent helps,
    and `refresh_token_timeout`, the seconds that the refresh token may lie unused.
    """

    access_token: Secret
    expires_at: int
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750's word, not a secret
    scope: str | None = None
    refresh_token: Secret | None = None
    refresh_token_expires_at: int | None = None
    authorization_expires_at: int | None = None
    refresh_token_timeout: int | None = None
    id_token: Secret | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def ends_at(self) -> int | None:
        """Return when the grant ends by this reply's word; the end of the authorization outranks the token's."""
        return self.authorization_expires_at or self.refresh_token_expires_at


@dataclass(frozen=True, slots=True)
class GrantDead:
    """The provider says so: `revoked_or_expired`, `refresh_token_reused` or `reauth_required`."""

    reason: str
    detail: ErrorDetail = NO_DETAIL


@dataclass(frozen=True, slots=True)
class ClientRejected:
    """The provider refuses client or request; `reason` is the error code or a name of ours."""

    reason: str
    detail: ErrorDetail = NO_DETAIL


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The exchange did not take place; `retry_after` in seconds when the provider named it."""

    reason: str
    detail: ErrorDetail = NO_DETAIL
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """The request was sent and no readable answer came: the refresh token may be spent."""

    reason: str
    detail: ErrorDetail = NO_DETAIL


TokenOutcome = Refreshed | GrantDead | ClientRejected | Unavailable | UnknownOutcome
