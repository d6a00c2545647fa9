"""What people read, as tables of words: of reasons, of what scopes allow, of consents that cannot go ahead.

To say it otherwise, or in another language, takes no Python: each file says at its head what it holds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from token_refresh.core.incident.words import Words, parse_words

_HERE: Final = Path(__file__).parent
# What stands before a scope's name at a provider that writes it as a URL.
_PREFIXES: Final = ("https://www.googleapis.com/auth/", "https://graph.microsoft.com/")


class Button(StrEnum):
    """What the page of a refused consent offers to do next; the value is what it says."""

    AGAIN = "Start again"
    OTHER_ACCOUNT = "Use another account"
    RELOAD = "Try again"
    NEW_LINK = "Send me a new link"
    ASK = "Ask for help"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a consent cannot go ahead: what happened, and what to do now."""

    status: int
    title: str
    happened: str
    way_forward: str
    button: Button = Button.AGAIN
    tone: str = "warn"
    operators_hint: str = ""
    is_ours: bool = False


@cache
def load_words() -> Words:
    """Read what owners and operators are told, by reason."""
    return parse_words(_read("reasons"))


@cache
def load_refusals() -> Mapping[str, Refusal]:
    """Read the refusals of a consent, by reason."""
    return {
        reason: Refusal(**{**table, "button": Button(table.get("button", Button.AGAIN))})
        for reason, table in _read("refusals").items()
    }


@cache
def load_scopes() -> Mapping[str, Mapping[str, str]]:
    """Read what scopes allow, by provider; those of `everywhere` hold at any provider."""
    return _read("scopes")


def sentence_for(provider: str, scope: str) -> str | None:
    """Say what a scope of a provider (its key) allows; None for one that is not known, to be shown as it is.

    A key such as `zoho-eu` stands for the same service as its beginning, unless it has a table of its own.
    """
    tables = load_scopes()
    sentences = tables.get(provider) or tables.get(provider.partition("-")[0], {})
    for prefix in _PREFIXES:
        if found := sentences.get(scope.removeprefix(prefix)):
            return found
    return tables["everywhere"].get(scope)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_HERE / f"{name}.toml").read_text("utf-8"))
