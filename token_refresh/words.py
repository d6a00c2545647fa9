"""What people read about a reason, as `words.toml` has it."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

from token_refresh.core.incident.words import Words, parse_words

_WORDS: Final = Path(__file__).parent / "words.toml"


@cache
def load_words() -> Words:
    """Read the words."""
    return parse_words(tomllib.loads(_WORDS.read_text("utf-8")))
