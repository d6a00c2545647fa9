"""Reading a token reply (RFC 6749, section 5.1) as servers really send it."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from token_refresh.core.grant import MAX_TOKEN_LENGTH
from token_refresh.core.http import HttpReply
from token_refresh.core.json_object import finite
from token_refresh.core.provider.definition import Provider
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import Refreshed

# Ten years: a longer life is a mistake (milliseconds, an epoch), and a token refreshed early harms nobody.
_LONGEST_LIFE: Final = 10 * 365 * 86_400
# Epoch seconds reach this in the year 5138; what is larger is milliseconds.
_MILLISECONDS_FROM: Final = 100_000_000_000
# Secret Manager takes 64 KiB; a field worth keeping is an address or an id.
_MAX_KEPT: Final = 4096
_MAX_SCOPE: Final = 16_384

_FORM = re.compile(r"[A-Za-z_][\w.-]*=")
_REFRESH_TOKEN_LIVES: Final = ("refresh_token_expires_in", "x_refresh_token_expires_in", "refresh_expires_in")
# Of the draft, and QuickBooks' five years (github.com/intuit/QuickBooks-V3-Java-SDK/releases/tag/v6.5.4).
_AUTHORIZATION_LIVES: Final = ("authorization_expires_in", "x_refresh_token_hard_expires_in")
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_body(reply: HttpReply) -> Mapping[str, object] | None:
    """Return the object in a reply: JSON in any Unicode encoding with or without BOM, or form-encoded; else None."""
    if reply.too_large:
        return None
    try:
        # Infinity and NaN are not JSON (RFC 8259, section 6); as None they cannot travel on.
        data = json.loads(reply.body, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return _parse_form(reply.body)
    return data if isinstance(data, dict) else None


def look_up(data: object, path: str) -> object:
    """Return what a dotted path leads to (digits index a list), or None."""
    if not path:
        return None
    for segment in path.split("."):
        if isinstance(data, Mapping):
            data = data.get(segment)
        elif isinstance(data, list) and segment.isdecimal() and int(segment) < len(data):
            data = data[int(segment)]
        else:
            return None
    return data


def parse_refreshed(
    data: Mapping[str, object], provider: Provider, *, now: float, sent: Secret | None
) -> Refreshed | None:
    """Read a token reply; None when it has no usable access token.

    A missing refresh token, and one that equals `sent`, both mean: the one we have stays (`refresh_token` None).
    """
    paths = provider.response
    access_token = _token(look_up(data, paths.access_token))
    if access_token is None:
        return None
    refresh_token = _token(look_up(data, paths.refresh_token))
    authorization, timeout = _first_life(data, _AUTHORIZATION_LIVES), _life(data.get("refresh_token_timeout"))
    # The older names mean either of the two, so they say nothing beside them.
    refresh_life = None if authorization or timeout else _first_life(data, _REFRESH_TOKEN_LIVES)
    return Refreshed(
        access_token=access_token,
        expires_at=_expires_at(data, provider, now),
        token_type=_token_type(data.get("token_type")),
        scope=_scope(look_up(data, paths.scope), provider.scope_separator),
        refresh_token=None if refresh_token == sent else refresh_token,
        refresh_token_expires_at=None if refresh_life is None else int(now) + refresh_life,
        authorization_expires_at=None if authorization is None else int(now) + authorization,
        refresh_token_timeout=timeout,
        id_token=_token(data.get("id_token")),
        extra=_kept(data, provider, [refresh_token, sent]),
    )


def parse_instant(value: object) -> float | None:
    """Read an instant: epoch seconds or milliseconds, as number or text, or ISO 8601 (without an offset: UTC)."""
    number = _number(value)
    if number is not None:
        return number / 1000 if abs(number) >= _MILLISECONDS_FROM else number
    if not isinstance(value, str):
        return None
    try:
        instant = dt.datetime.fromisoformat(value.strip())
        return (instant if instant.tzinfo else instant.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _parse_form(body: bytes) -> Mapping[str, object] | None:
    """Read a form-encoded reply, as some servers send it whatever `Accept` says."""
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return None
    if not _FORM.match(text) or "\n" in text:
        return None
    return dict(parse_qsl(text))


def _expires_at(data: Mapping[str, object], provider: Provider, now: float) -> int:
    life = _life(look_up(data, provider.response.expires_in))
    if life is None:
        instant = parse_instant(look_up(data, provider.response.expires_at))
        if instant is not None and now < instant <= now + _LONGEST_LIFE:
            return int(instant)
        life = provider.default_expires_in
    return int(now) + life


def _life(value: object) -> int | None:
    """Read a number of seconds; zero, negative and absurd ones say nothing (some servers mean "never" by them)."""
    number = _number(value)
    if number is None or not 0 < number <= _LONGEST_LIFE:
        return None
    return max(1, int(number))


def _first_life(data: Mapping[str, object], names: Iterable[str]) -> int | None:
    return next((life for name in names if (life := _life(data.get(name)))), None)


def _number(value: object) -> float | None:
    try:
        return finite(float(value) if isinstance(value, str) else value)
    except ValueError:
        return None


def _token(value: object) -> Secret | None:
    if not isinstance(value, str):
        return None
    value = value.strip()
    if not value or len(value) > MAX_TOKEN_LENGTH or not value.isprintable():
        return None
    return Secret(value)


def _token_type(value: object) -> str:
    """Read the token type; RFC 6749 compares it without regard to case, clients of `bearer` often do not."""
    if not isinstance(value, str) or not value.isprintable() or value.lower() in {"", "bearer"}:
        return "Bearer"
    return value[:64]


def _scope(value: object, separator: str) -> str | None:
    """Read granted scopes into RFC 6749's form, separated by spaces, whatever the provider separates them with."""
    if isinstance(value, list):
        value = " ".join(item for item in value if isinstance(item, str))
    if not isinstance(value, str) or len(value) > _MAX_SCOPE:
        return None
    words = value.replace(separator, " ").split()
    if len(words) == 1:
        words = words[0].split(",")  # GitHub, LinkedIn: spaces on the way there, commas on the way back
    return " ".join(word for word in words if word.isprintable() and word) or None


def _kept(data: Mapping[str, object], provider: Provider, secrets: list[Secret | None]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for path in provider.keep:
        value = look_up(data, path)
        if value is None:
            continue
        text = _SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False))
        holds_secret = any(secret is not None and secret.reveal() in text for secret in secrets)
        if len(text) <= _MAX_KEPT and not holds_secret:
            kept[path] = json.loads(text)
    return kept
