"""Whose fault is it? The judgement of a token endpoint's answer, as tables.

Rules, first to hold:

    any 2xx with an access token                     Refreshed, whatever the exact status
    502, 504, 520, 524, 2xx with nothing readable    UnknownOutcome: it may have happened
    408, 425, 429, any other 5xx                     Unavailable, whatever the body says
    a phrase, then a code of the provider's lists    as they say: transient, then client, admin, dead
    a code of the general tables                     likewise
    an unknown error code on a 4xx, or as the
    error of a 2xx                                   ClientRejected: the operator's matter
    everything else (HTML, redirects, nonsense)      Unavailable

The least harmful reading comes first, and nothing is dead unless a table says so: a mistaken `dead` asks an owner for
consent, who cannot help.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from token_refresh.core.http import HttpReply
from token_refresh.core.provider.definition import Provider
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.error_codes import CLIENT, DEAD, INVALID_CLIENT, REAUTHENTICATE, TRANSIENT
from token_refresh.core.token_endpoint.error_words import ErrorWords, read_error
from token_refresh.core.token_endpoint.outcome import (
    ClientRejected,
    GrantDead,
    TokenOutcome,
    Unavailable,
    UnknownOutcome,
)
from token_refresh.core.token_endpoint.reply import parse_body, parse_refreshed
from token_refresh.core.token_endpoint.request import forms_of


class GrantKind(enum.Enum):
    """Who stands behind a grant: that decides what `invalid_grant` can mean."""

    OWNER = "a resource owner: refresh token or authorization code"
    SERVICE_ACCOUNT = "a service account's assertion"
    CLIENT = "the client itself"


SUCCESS: Final = range(200, 300)
CLIENT_ERROR: Final = range(400, 500)
_SERVER_ERROR: Final = range(500, 600)
_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
# The last two are Cloudflare's: the origin answered nonsense, or had the request and did not answer in time
# (https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/).
_MAYBE: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT, 520, 524})
_REUSE = re.compile(
    r"\bre-?us(?:e|ed|ing)\b|already (?:been )?used|used (?:already|twice|more than once)|replay", re.IGNORECASE
)
# "may be expired or it was already used" (Mercado Libre) proves nothing.
_OR = re.compile(r"\b(?:expired|invalid|revoked),? or\b|\bor (?:is |was |has been )?(?:expired|invalid|revoked)\b")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
# A provider that asks for more than a day is not asking, it is broken.
_LONGEST_WAIT: Final = 86_400

# https://developers.google.com/identity/protocols/oauth2/service-account#jwt-error-codes
_ASSERTION_FAULTS: Final = (
    (re.compile(r"short-lived|timeframe|\biat\b|\bexp\b|expired", re.IGNORECASE), "clock_skew"),
    (re.compile(r"account not found|unknown account|deleted", re.IGNORECASE), "unknown_account"),
    (re.compile(r"valid email|user ?id|subject", re.IGNORECASE), "unknown_subject"),
    (re.compile(r"signature|\bkey\b", re.IGNORECASE), "disabled_key"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the judgement must know of the question: sent at `now`, with these secrets, on behalf of whom."""

    now: float
    secrets: tuple[Secret | None, ...] = ()
    sent: Secret | None = None
    kind: GrantKind = GrantKind.OWNER


def classify_reply(reply: HttpReply, provider: Provider, asked: Asked) -> TokenOutcome:
    """Say what a reply means; never raises."""
    data = parse_body(reply)
    success = reply.status in SUCCESS
    if success and data is not None:
        refreshed = parse_refreshed(data, provider, now=asked.now, sent=asked.sent)
        if refreshed is not None:
            return refreshed
    words = read_error(data or {}, reply.status, forms_of(asked.secrets))
    detail = words.detail
    status = f"http_{reply.status}"
    retry_after = parse_retry_after(reply.headers.get("retry-after"), asked.now)
    if reply.status in _MAYBE:
        return UnknownOutcome(status, detail)
    later = Unavailable(status, detail, retry_after)
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return replace(later, reason="rate_limited")
    if reply.status in _LATER or reply.status in _SERVER_ERROR:
        return later
    judged = _judge_error(words, provider, asked.kind, later)
    if judged is not None:
        return judged
    if success and not words.is_error:
        return UnknownOutcome("reply_too_large" if reply.too_large else "unreadable_reply", detail)
    if (success or reply.status in CLIENT_ERROR) and words.codes:
        return ClientRejected(_reason(detail.error), detail)
    return replace(later, reason=_reason(None)) if success else later


def parse_retry_after(value: str | None, now: float) -> int | None:
    """Read `Retry-After` (RFC 9110, section 10.2.3), seconds or HTTP date, as seconds from `now`; at most a day."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        seconds = float(value[:12])
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError, IndexError, TypeError):
            return None
    return min(max(0, round(seconds)), _LONGEST_WAIT)


def _judge_error(words: ErrorWords, provider: Provider, kind: GrantKind, later: Unavailable) -> TokenOutcome | None:
    own = (provider.transient_errors, provider.client_errors, provider.admin_errors, provider.dead_errors)
    general = (TRANSIENT, CLIENT | INVALID_CLIENT, (), DEAD)
    # A sentence says more than a code, and a provider's own list more than the general tables.
    for is_match, (transient, client, admin, dead) in ((_says, own), (_names, own), (_names, general)):
        if (entry := _first(words, transient, is_match)) is not None:
            return later if " " in entry else replace(later, reason=_reason(entry))
        if (entry := _first(words, client, is_match)) is not None:
            return ClientRejected(_client_reason(words, entry, is_own=client is provider.client_errors), words.detail)
        if (entry := _first(words, admin, is_match)) is not None:
            code = entry.casefold()
            return ClientRejected(code if code in CLIENT else "access_denied", words.detail)
        if _first(words, dead, is_match) is not None:
            return _dead(words, kind)
    return None


def _client_reason(words: ErrorWords, entry: str, *, is_own: bool) -> str:
    """Return the standard code that the reply has; a provider that lists a standard code itself means the client."""
    code = entry.casefold()
    if not is_own:
        return "invalid_client" if code in INVALID_CLIENT else code
    others = sorted(words.codes & CLIENT - {code})
    if others:
        return others[0]
    return "invalid_client" if code in CLIENT or " " in code else _reason(entry)


def _dead(words: ErrorWords, kind: GrantKind) -> TokenOutcome:
    detail = words.detail
    if kind is GrantKind.CLIENT:
        return ClientRejected("invalid_grant", detail)
    if kind is GrantKind.SERVICE_ACCOUNT:
        faults = (reason for pattern, reason in _ASSERTION_FAULTS if pattern.search(words.text))
        return ClientRejected(next(faults, "invalid_grant"), detail)
    if REAUTHENTICATE.intersection(words.codes):
        return GrantDead("reauth_required", detail)
    if "refresh_token_reused" in words.codes or (_REUSE.search(words.text) and not _OR.search(words.text)):
        return GrantDead("refresh_token_reused", detail)
    return GrantDead("revoked_or_expired", detail)


def _first(words: ErrorWords, entries: Iterable[str], is_match: Callable[[ErrorWords, str], bool]) -> str | None:
    return next((entry for entry in entries if is_match(words, entry.casefold())), None)


def _says(words: ErrorWords, entry: str) -> bool:
    """Tell whether a phrase (it has a space) is in the error's text."""
    return " " in entry and entry in words.text


def _names(words: ErrorWords, entry: str) -> bool:
    """Tell whether the error has that code."""
    return entry in words.codes


def _reason(code: str | None) -> str:
    return code if code is not None and _CODE.fullmatch(code) else "unknown_error"
