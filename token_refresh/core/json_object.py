"""JSON that others have written: an object, or nothing. What nests too deep is nonsense like any other."""

from __future__ import annotations

import json
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
