"""Why a consent cannot go ahead: the reasons, and what `refusals.toml` says of each in the owner's words."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

_WORDS: Final = Path(__file__).parent / "refusals.toml"


class Button(StrEnum):
    """What the page offers to do next; the value is what it says."""

    AGAIN = "Start again"
    OTHER_ACCOUNT = "Use another account"
    RELOAD = "Try again"
    NEW_LINK = "Send me a new link"
    ASK = "Ask for help"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal says: what happened, and what to do now."""

    status: int
    title: str
    happened: str
    way_forward: str
    button: Button = Button.AGAIN
    tone: str = "warn"
    operators_hint: str = ""


@cache
def load_refusals() -> Mapping[str, Refusal]:
    """Read the refusals, by reason."""
    tables = tomllib.loads(_WORDS.read_text("utf-8"))
    return {
        reason: Refusal(**{**table, "button": Button(table.get("button", Button.AGAIN))})
        for reason, table in tables.items()
    }
