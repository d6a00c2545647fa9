"""When a grant will end by itself, when its owner is told of it, and why one has died.

An end is known from the reply, from the payload or from the definition, and counts from the issue of the refresh token
or, where the definition says so, from the consent. A rotation moves the issue; so the first one writes the issue before
it, which was the consent, into a JSON payload as `consented_at`, where it stays. Where a beginning is unknown, the
creation of a version stands in: of the first one for a bare token that is replaced, else of the version itself.

    number = version_to_date(grant, refreshed, provider, version)   None in most cases; else look up its creation
    end = find_end(grant, refreshed, provider, now, created_at)     with what that has told, where it was needed
    kept = consent_to_keep(grant, refreshed, provider, now)         what a rotated payload must remember
    warning = crossed_warning(end, looked_at, now, warnings)        which warning has become due since the last look
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.core.units import DAY

_SHARE: Final = 0.1
# An end told as "in so many seconds" wobbles by a second or two from one reply to the next.
_GRAIN: Final = 60
_FIRST: Final = 1
_GOOGLE: Final = "https://accounts.google.com"
# "A publishing status of Testing issues a refresh token expiring in 7 days"; the death shows at the next refresh.
# https://developers.google.com/identity/protocols/oauth2#expiration
_TESTING_MODE_DAYS: Final = (6.9, 8.0)


@dataclass(frozen=True, slots=True)
class GrantEnd:
    """The known end of a grant and its whole life where that is known; epoch seconds and seconds."""

    at: float
    life: float | None


def version_to_date(grant: RefreshTokenGrant, refreshed: Refreshed, provider: Provider, version: int) -> int | None:
    """Return the version of the connection secret whose creation `find_end` needs, or None.

    None, too, where no end is in sight: most grants cost nothing here.
    """
    if refreshed.ends_at is None and provider.refresh_token_lifetime is None:
        return None  # what a person has written into the payload needs no beginning
    if _counts_from_consent(refreshed, provider):
        if _first_known(grant.consented_at, grant.issued_at) is not None:
            return None
        return _FIRST if provider.rotates and grant.is_bare else version
    return None if refreshed.refresh_token is not None or grant.issued_at is not None else version


def find_end(
    grant: RefreshTokenGrant,
    refreshed: Refreshed,
    provider: Provider,
    now: float,
    created_at: float | None = None,
) -> GrantEnd | None:
    """Find the end of the grant as it stands after `refreshed`; None when nothing is known.

    `created_at` is the creation of the version that `version_to_date` names. A reply's end of the authorization
    outranks all else; a life that counts from consent is an end beside the refresh token's own.
    """
    from_consent = _counts_from_consent(refreshed, provider)
    # What no rotation has replaced yet was issued at the consent.
    consented_at = _first_known(grant.consented_at, grant.issued_at, created_at if from_consent else None)
    issued_at = _first_known(grant.issued_at, None if from_consent else created_at)
    if refreshed.refresh_token is not None:
        issued_at = now
    if refreshed.authorization_expires_at is not None:
        return _end(refreshed.authorization_expires_at, consented_at, None)
    life = provider.refresh_token_lifetime
    own = _end(_own_end(grant, refreshed), issued_at, life)
    began_at = consented_at if from_consent else issued_at
    by_definition = GrantEnd(began_at + life, life) if life is not None and began_at is not None else None
    if own is None or by_definition is None:
        return own or by_definition
    return min(own, by_definition, key=lambda end: end.at) if from_consent else own


def consent_to_keep(grant: RefreshTokenGrant, refreshed: Refreshed, provider: Provider, now: float) -> int | None:
    """Return the `consented_at` that a rotated payload must remember, or None where it has it or needs none."""
    if grant.consented_at is not None or not _counts_from_consent(refreshed, provider):
        return None
    return int(grant.issued_at if grant.issued_at is not None else now)


def crossed_warning(end: GrantEnd, looked_at: float | None, now: float, warnings: Sequence[float]) -> float | None:
    """Return the warning (seconds before the end, as named) that has become due since the last look, or None.

    The last look is the last refresh, so no memory is needed; a first look (None) reports a moment that has passed.
    No warning comes earlier than a tenth of the grant's life before its end; those that fall together are one, and
    of several that are due the last one counts.
    """
    longest = end.life * _SHARE if end.life else float("inf")
    at = round(end.at / _GRAIN) * _GRAIN
    moments: dict[float, float] = {}
    for warning in sorted(warnings, reverse=True):
        moments.setdefault(at - round(min(warning, longest)), warning)
    since = looked_at if looked_at is not None else float("-inf")
    due = [moment for moment in moments if since < moment <= now]
    return moments[max(due)] if due else None


def is_google(provider: Provider) -> bool:
    """Tell whether Google's rules of grant life apply."""
    return provider.name == "google" or provider.issuer == _GOOGLE


def explain_death(  # noqa: PLR0913 - the facts of a death
    reason: str,
    provider: Provider,
    *,
    maybe_spent: bool,
    issued_at: float | None,
    last_used_at: float | None,
    now: float,
) -> str:
    """Return the most precise reason for a dead grant. Times in epoch seconds."""
    if reason != "revoked_or_expired" and not (maybe_spent and reason == "refresh_token_reused"):
        return reason
    if maybe_spent:
        return "lost_rotation"
    if issued_at is not None and is_google(provider):
        days = (now - issued_at) / DAY
        if _TESTING_MODE_DAYS[0] <= days <= _TESTING_MODE_DAYS[1]:
            return "testing_mode_expiry"
    idle_since = max((t for t in (issued_at, last_used_at) if t is not None), default=None)
    idle_life = provider.refresh_token_idle_lifetime
    if idle_life and idle_since is not None and now - idle_since >= idle_life:
        return "idle_expiry"
    return reason


def _own_end(grant: RefreshTokenGrant, refreshed: Refreshed) -> float | None:
    """Return the refresh token's own end; a new one does not inherit the old one's, and an idle time is no end."""
    if refreshed.refresh_token_expires_at is not None:
        return refreshed.refresh_token_expires_at
    stays = refreshed.refresh_token is None and refreshed.refresh_token_timeout is None
    return grant.expires_at if stays else None


def _counts_from_consent(refreshed: Refreshed, provider: Provider) -> bool:
    return refreshed.authorization_expires_at is not None or provider.counts_from_consent


def _first_known(*moments: float | None) -> float | None:
    return next((moment for moment in moments if moment is not None), None)


def _end(at: float | None, began_at: float | None, life: float | None) -> GrantEnd | None:
    if at is None:
        return None
    return GrantEnd(at, at - began_at if began_at is not None else life)
