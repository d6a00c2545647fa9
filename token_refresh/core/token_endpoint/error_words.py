"""Finding the error in a reply: RFC 6749, section 5.2, and the other shapes that providers have come up with.

{"error": "invalid_grant", "error_description": "..."}                   the standard
{"error": {"code": 190, "type": "OAuthException", "message": "..."}}     Meta, Google APIs
{"errors": [{"errorType": "invalid_grant", "message": "..."}]}           Fitbit
{"ok": false, "error": "token_revoked"}                                  Slack, with status 200
{"status": "BAD_REFRESH_TOKEN", "message": "..."}                        HubSpot
{"error": "invalid_grant", "error_codes": [70000], ...}                  Microsoft: AADSTS70000
{"status": 400, "message": "Invalid refresh token"}                      Twitch
{"error": "invalid_client: Invalid client_id or client_secret"}          Dropbox: a code with a sentence behind it
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from token_refresh.core.secrecy import MAX_DESCRIPTION, Secret, shown
from token_refresh.core.token_endpoint.outcome import ErrorDetail

_CODE_KEYS: Final = (
    "error",
    "error_subtype",
    "suberror",
    "code",
    "error_code",
    "errorCode",
    "errorType",
    "error_subcode",
    "type",
    "status",
    "reason",
    "category",
    "resource",
)
_TEXT_KEYS: Final = (
    "error_description",
    "errorDescription",
    "error_message",
    "message",
    "msg",
    "detail",
    "details",
    "description",
    "reason",
    "title",
)
_SUBTYPE_KEYS: Final = ("error_subtype", "suberror", "error_subcode")
_CODE_AND_SENTENCE = re.compile(r"([A-Za-z0-9_.-]+): +(\S.*)", re.DOTALL)
_AADSTS = re.compile(r"\bAADSTS\d{4,9}\b")
# A hostile reply may nest for ever; no real one nests deeper.
_DEPTH: Final = 4
_MOST_ERRORS: Final = 10


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """What a reply says went wrong: `codes` and `text` in lower case for comparison, `detail` for people."""

    codes: frozenset[str]
    text: str
    is_error: bool
    detail: ErrorDetail


def read_error(data: Mapping[str, object], status: int, secrets: Collection[Secret] = ()) -> ErrorWords:
    """Gather the codes and the words of an error, wherever they stand, `secrets` masked in the detail.

    A code that is the HTTP status is none.
    """

    def masked(text: str | None, limit: int = MAX_DESCRIPTION) -> str | None:
        return shown(text, secrets, limit) or None if text is not None else None

    parts = list(_parts(data, _DEPTH))
    codes = [code for part in parts for code in _codes(part) if code != str(status)]
    texts = [text for part in parts for key in _TEXT_KEYS if (text := _text(part.get(key)))]
    behind = (match[2] for part in parts if (match := _CODE_AND_SENTENCE.fullmatch(_text(part.get("error")) or "")))
    description = next(iter(texts), None) or next(behind, None)
    texts += [error for part in parts if (error := _text(part.get("error")))]
    codes += [match.lower() for text in texts for match in _AADSTS.findall(text)]
    subtype = next((text for part in parts for key in _SUBTYPE_KEYS if (text := _text(part.get(key)))), None)
    return ErrorWords(
        codes=frozenset(code.casefold() for code in codes),
        text="\n".join(texts).casefold(),
        is_error=bool(data.get("error") or data.get("errors") or data.get("ok") is False),
        detail=ErrorDetail(masked(next(iter(codes), None), 100), masked(description), masked(subtype, 100)),
    )


def _parts(data: object, depth: int) -> Iterator[Mapping[str, object]]:
    """Yield the object itself and the error objects inside it."""
    if isinstance(data, Mapping):
        yield data
        inner = [data.get(key) for key in ("error", "errors", "fault")]
    elif isinstance(data, list):
        inner = [{"error": item} if isinstance(item, str) else item for item in data[:_MOST_ERRORS]]
    else:
        return
    if depth:
        for value in inner:
            yield from _parts(value, depth - 1)


def _codes(part: Mapping[str, object]) -> Iterator[str]:
    for key in _CODE_KEYS:
        text = _text(part.get(key))
        if text is not None:
            match = _CODE_AND_SENTENCE.fullmatch(text)
            yield match[1] if match else text
    message = _text(part.get("message"))
    if message is not None and " " not in message:
        yield message  # a word, not a sentence: {"message": "Unauthorized"}
    numbers = part.get("error_codes")
    if isinstance(numbers, list):
        yield from (f"AADSTS{number}" for number in numbers[:_MOST_ERRORS] if isinstance(number, int))


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None
