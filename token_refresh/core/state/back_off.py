"""How long to wait after a failure, and what a warm instance remembers of it. Seconds and epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from token_refresh.core.state.due import spread
from token_refresh.core.units import DAY, HOUR, MINUTE

_PROBES: Final = (15 * MINUTE, HOUR, 4 * HOUR)


@dataclass(frozen=True, slots=True)
class BackOff:
    """A failure that no status tells of (yet); lives in memory."""

    attempts: int
    next_attempt_at: float
    reason: str
    version: int = 0  # of the connection secret that was tried
    began_at: float = 0
    answer: str = ""  # the provider's last answer, and since when it is the same
    answer_since: float = 0


def doubling(attempt: int) -> float:
    """Return the back-off after so many attempts: 1 min doubling to 1 h."""
    return min(MINUTE * 2.0 ** min(attempt - 1, 10), HOUR)


def of_silence(name: str, attempt: int, retry_after: float) -> float:
    """Return the back-off of a silent provider: 1 min doubling to 15 min, jittered; `Retry-After` outranks it."""
    longest = min(MINUTE * 2.0 ** min(attempt - 1, 10), 15 * MINUTE)
    return max(longest * (0.5 + 0.5 * spread(name, attempt)), min(retry_after, DAY))


def next_probe(since: float, now: float) -> float:
    """Return when a grant that is called dead since `since` is asked for again: 15 min, 1 h, 4 h, then daily."""
    return next((since + after for after in _PROBES if since + after > now), now + DAY)
