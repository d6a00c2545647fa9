"""Why a grant died, as precisely as the facts around its death allow."""

from __future__ import annotations

from typing import Final

from token_refresh.core.provider.definition import Provider
from token_refresh.core.units import DAY

_GOOGLE: Final = "https://accounts.google.com"
# "A publishing status of Testing issues a refresh token expiring in 7 days"; the death shows at the next refresh.
# https://developers.google.com/identity/protocols/oauth2#expiration
_TESTING_MODE_DAYS: Final = (6.9, 8.0)


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
