"""How early to refresh, and how long to wait after a failure: early enough, and not all at once.

Seconds, and epoch seconds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection
from token_refresh.core.provider.definition import Provider
from token_refresh.core.units import DAY, HOUR, MINUTE

LONGEST_MARGIN: Final = 0.5  # of a token's life
_DEFAULT_MARGIN_CAP: Final = 0.25
_JITTER: Final = 0.1
_CACHED: Final = 2**15  # a run asks for each connection several times
# s, beyond the period of the runs: what the run itself may need until the token is written.
_RUN_ALLOWANCE: Final = 300
_PROBES: Final = (15 * MINUTE, HOUR, 4 * HOUR)


@dataclass(frozen=True, slots=True)
class Margins:
    """How early to refresh, in seconds: the effective margin, and the moment (epoch seconds) from which it is due."""

    margin: float
    due_at: float
    cannot_keep_fresh: bool = False


@dataclass(frozen=True, slots=True)
class BackOff:
    """A failure that no status tells of (yet): what a warm instance remembers of it."""

    attempts: int
    next_attempt_at: float
    reason: str
    version: int = 0  # of the connection secret that was tried
    began_at: float = 0
    answer: str = ""  # the provider's last answer, and since when it is the same
    answer_since: float = 0


def margins(
    connection: Connection,
    provider: Provider | None,
    default: float,
    facts: AccessTokenFacts | None,
    run_every: float = 300,
) -> Margins:
    """Compute when a connection is due: ``expires_at - margin - jitter``, the jitter fixed per connection.

    `cannot_keep_fresh`: runs that come every `run_every` seconds come too late for this margin (contract 3, 4).
    """
    wanted = connection.refresh_before_expiry or (provider.refresh_before_expiry if provider else None)
    if facts is None:
        return Margins(wanted or default, 0.0)
    margin = find_margin(wanted, default, facts.life, run_every)
    due_at = facts.expires_at - margin * (1 + _JITTER * spread(connection.name))
    return Margins(margin, due_at, cannot_keep_fresh=margin <= run_every)


def find_margin(wanted: float | None, default: float, life: float, run_every: float) -> float:
    """Find how long before its end a token of this life is refreshed.

    The margin that the connection or its provider wants is capped at half of the life; the default at a quarter, but
    it leaves room for a run (`run_every` + 300 s, at most half of the life).
    """
    longest = life * LONGEST_MARGIN
    if wanted:
        return min(wanted, longest)
    return max(min(default, life * _DEFAULT_MARGIN_CAP), min(run_every + _RUN_ALLOWANCE, longest))


@lru_cache(maxsize=_CACHED, typed=True)
def spread(*parts: object) -> float:
    """Return a number in [0, 1) that is fixed by `parts`: jitter without randomness."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def doubling(attempt: int) -> float:
    """Return the back-off after so many attempts: 1 min doubling to 1 h."""
    return min(MINUTE * 2.0 ** min(attempt - 1, 10), HOUR)


def of_silence(name: str, attempt: int, retry_after: float) -> float:
    """Return the back-off of a silent provider: 1 min doubling to 15 min, jittered; `Retry-After` outranks it."""
    longest = min(doubling(attempt), 15 * MINUTE)
    return max(longest * (0.5 + 0.5 * spread(name, attempt)), min(retry_after, DAY))


def next_probe(since: float, now: float) -> float:
    """Return when a grant that is called dead since `since` is asked for again: 15 min, 1 h, 4 h, then daily."""
    return next((since + after for after in _PROBES if since + after > now), now + DAY)
