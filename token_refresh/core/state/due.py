"""When a connection is due: early enough, and not all at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.provider.definition import Provider

_OWN_MARGIN_CAP: Final = 0.5
_DEFAULT_MARGIN_CAP: Final = 0.25
_JITTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class Margins:
    """How early to refresh, in seconds: the effective margin, and the moment (epoch seconds) from which it is due."""

    margin: float
    due_at: float


def margins(
    name: str, own: float | None, provider: Provider | None, default: float, facts: AccessTokenFacts | None
) -> Margins:
    """Compute when a connection is due: ``expires_at - margin - jitter``, the jitter fixed per connection.

    The connection's own margin and the provider's are capped at half of the token's life, the default at a quarter.
    """
    wanted = own or (provider.refresh_before_expiry if provider else None)
    life = facts.life if facts else 0.0
    cap = _OWN_MARGIN_CAP if wanted else _DEFAULT_MARGIN_CAP
    margin = min(wanted or default, life * cap) if facts else (wanted or default)
    due_at = facts.expires_at - margin * (1 + _JITTER * spread(name)) if facts else 0.0
    return Margins(margin, due_at)


def spread(*parts: object) -> float:
    """Return a number in [0, 1) that is fixed by `parts`: jitter without randomness."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
