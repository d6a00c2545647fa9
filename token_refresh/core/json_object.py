"""JSON that others have written: what was expected, or nothing. What nests too deep is nonsense like any other."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def read_object(text: str | bytes | bytearray | None) -> dict[str, Any] | None:
    """Read a JSON object in any Unicode encoding; None for anything else."""
    try:
        data = json.loads(text or "")
    except (ValueError, RecursionError):  # also UnicodeDecodeError
        return None
    return data if isinstance(data, dict) else None


def text_of(data: Mapping[str, object], key: str) -> str | None:
    """Return a text that is not empty; None for anything else."""
    value = data.get(key)
    return value if isinstance(value, str) and value else None


def finite(value: object) -> float | None:
    """Return a number that is one; None for anything else: Python's parser takes Infinity, and true for 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
