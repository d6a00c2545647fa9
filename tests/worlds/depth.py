"""How far the searching tests go: all the way where a change is let in, a part of it while one works on it."""

from __future__ import annotations

import os
from typing import Final

IN_CI: Final = bool(os.environ.get("CI"))


def examples(count: int) -> int:
    """Name how many examples to try: `count` in CI, a tenth of it elsewhere."""
    return count if IN_CI else count // 10
