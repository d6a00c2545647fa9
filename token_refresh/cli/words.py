"""How the command writes: tables without frames, moments with how far they are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))
_LONGEST: Final = 1e11


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write columns as wide as their longest cell."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]


def write_moment(moment: float | None, now: float | None = None) -> str:
    """Write epoch seconds in UTC, and how far that is from now; empty for None."""
    if moment is None:
        return ""
    now = time.time() if now is None else now
    at = datetime.fromtimestamp(min(max(moment, 0), _LONGEST), UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{at} ({f'in {write_span(moment - now)}' if moment > now else f'{write_span(now - moment)} ago'})"


def write_span(seconds: float) -> str:
    """Write a duration in its largest unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
