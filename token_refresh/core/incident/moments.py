"""Moments as people read them. The reader's time zone is not known: UTC, and how far from the message itself.

"50 minutes after this message" stays true whenever the message is read, and the mail program shows when it came.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from token_refresh.core.json_object import finite
from token_refresh.core.units import DAY, HOUR, MINUTE

_FORMAT: Final = "%Y-%m-%d %H:%M UTC"
_WRITTEN: Final = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d UTC\b")


def words_of_moment(time: object, now: float) -> str:
    """Write an epoch time as "28 November 2026, 19:05 UTC (50 minutes after this message)"; empty for nonsense."""
    moment = _moment(time)
    if moment is None:
        return ""
    away = moment.timestamp() - now
    side = "after" if away >= 0 else "before"
    date = f"{moment.day} {moment:%B} {moment.year}, {moment:%H:%M} UTC"
    return f"{date} ({words_of_span(abs(away))} {side} this message)" if abs(away) >= MINUTE else date


def words_of_day(time: object) -> str:
    """Write the day of an epoch time as "5 December"; empty for nonsense."""
    moment = _moment(time)
    return f"{moment.day} {moment:%B}" if moment else ""


def words_of_span(seconds: float) -> str:
    """Write a span in its largest unit: "50 minutes", "3 hours", "7 days"."""
    for unit, name, least in ((DAY, "day", 2 * DAY), (HOUR, "hour", 90 * MINUTE), (MINUTE, "minute", 0)):
        if seconds >= least:
            count = max(round(seconds / unit), 1)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return ""  # a negative span


def render_moment(time: float) -> str:
    """Write an epoch time as it stands in an event's `message`, for `find_moment` to find."""
    return datetime.fromtimestamp(time, UTC).strftime(_FORMAT)


def find_moment(text: str) -> float | None:
    """Find the first moment in a text, as `render_moment` writes it."""
    found = _WRITTEN.search(text)
    try:
        return datetime.strptime(f"{found[0]}+0000", f"{_FORMAT}%z").timestamp() if found else None
    except ValueError:
        return None


def _moment(time: object) -> datetime | None:
    seconds = finite(time)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
    except (OverflowError, OSError, ValueError):
        return None
