"""Units of time, in seconds, and durations as people write them."""

from __future__ import annotations

import math
import re
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0

_UNITS: Final = {"d": DAY, "h": HOUR, "m": MINUTE, "s": 1.0}
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([dhms])")


def parse_durations(text: str) -> tuple[float, ...]:
    """Read durations such as ``7d,1d`` or ``12h``, longest first, in seconds; raises `ValueError`."""
    found = [_DURATION.fullmatch(part.strip().lower()) for part in text.split(",")]
    values = {float(m[1]) * _UNITS[m[2]] for m in found if m}
    if not all(found) or not all(0 < v < math.inf for v in values):
        raise ValueError("must be durations such as 7d,1d or 12h, separated by commas")
    return tuple(sorted(values, reverse=True))
