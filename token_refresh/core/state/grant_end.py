"""When a grant will end by itself, and when its owner is told: 7 days (10 % of a shorter life) and 1 day before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.core.units import DAY

_EARLIEST: Final = 7 * DAY
_SHARE: Final = 0.1
# An end told as "in so many seconds" wobbles by a second or two from one reply to the next.
_GRAIN: Final = 60


@dataclass(frozen=True, slots=True)
class GrantEnd:
    """The known end of a grant and its whole life where that is known; epoch seconds and seconds."""

    at: float
    life: float | None


def find_end(grant: RefreshTokenGrant, refreshed: Refreshed, provider: Provider, now: float) -> GrantEnd | None:
    """Find the end of the grant as it stands after `refreshed`; None when nothing is known.

    A new refresh token has a life of its own; otherwise the payload's word counts, then the provider's.
    """
    life = provider.refresh_token_lifetime
    rotated = refreshed.refresh_token is not None
    issued_at = now if rotated else grant.issued_at
    at: float | None = refreshed.refresh_token_expires_at
    if at is None and not rotated:
        at = grant.expires_at
    if at is None and life and issued_at is not None:
        at = issued_at + life
    if at is None:
        return None
    return GrantEnd(at, at - issued_at if issued_at is not None else life)


def crossed_warning(end: GrantEnd, looked_at: float | None, now: float) -> int | None:
    """Return the days of the warning whose moment lies between the last look and now; None when there is none.

    The last look is the last refresh, so no memory is needed. A first look reports a moment that has passed.
    """
    first = min(_EARLIEST, end.life * _SHARE) if end.life else _EARLIEST
    at = round(end.at / _GRAIN) * _GRAIN
    moments = [(at - first, 7)]
    if first > DAY:
        moments.append((at - DAY, 1))
    since = looked_at if looked_at is not None else float("-inf")
    crossed = [days for moment, days in moments if since < moment <= now]
    return crossed[-1] if crossed else None
