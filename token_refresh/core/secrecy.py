"""Values that must never be printed, and the removal of them from other people's text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, final

MASK: Final = "***"
MAX_DESCRIPTION: Final = 500

# Shorter values are ordinary words somewhere; nobody issues a token of four characters.
_SHORTEST_SECRET: Final = 5
# With lone surrogates: they print nowhere.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@final
class Secret:
    """Hold a secret string that prints as ``***``; `reveal` is the only way out.

    A plain class on purpose: a dataclass leaks through `asdict`, a `str` subclass through `json.dumps`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself, for the wire or the store only."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")


def redact(text: str, secrets: Iterable[Secret | None]) -> str:
    """Return `text` with every one of `secrets` replaced by ``***``, longest first."""
    values = sorted({s.reveal() for s in secrets if s is not None}, key=len, reverse=True)
    for value in values:
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, MASK)
    return text


def shown(text: str, secrets: Iterable[Secret | None] = (), limit: int = MAX_DESCRIPTION) -> str:
    """Return a provider's `text` fit to be shown: secrets masked, one line, at most `limit` characters."""
    return _CONTROL.sub(" ", redact(text, secrets)).strip()[:limit]
