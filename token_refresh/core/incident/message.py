"""What people are told about an event: plain text that reads well in a mail and in a chat.

Owners get their own words only: never a provider's text, in which anybody may have put a sentence or a link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from token_refresh.core.incident.events import (
    CLIENT_REJECTED,
    CONSENT_EXPIRING,
    CONSENT_OVERDUE,
    INVALID_GRANT,
    RECOVERED,
    REFRESH_FAILING,
    remedy_for,
    words_for,
)
from token_refresh.core.secrecy import shown

_TITLES: Final[Mapping[str, str]] = {
    INVALID_GRANT: "{subject} needs your consent",
    CONSENT_EXPIRING: "{subject}: consent ends soon",
    CONSENT_OVERDUE: "Reminder: {subject} still needs your consent",
    CLIENT_REJECTED: "{subject}: the provider refuses the client",
    REFRESH_FAILING: "{subject}: refreshing fails",
    RECOVERED: "{subject} is healthy again",
}
_OPERATORS_TITLES: Final[Mapping[str, str]] = {
    INVALID_GRANT: "{subject} needs its owner's consent",
    CONSENT_OVERDUE: "{subject} still waits for its owner's consent",
}
_CAUTION: Final = (
    "The link is meant for you alone and is valid for a limited time. If you do not know what this is about, do not "
    "open it; ask whoever runs this service."
)
_ANSWER: Final = ("error", "error_subtype", "error_description")
_FIRST: Final = "never_consented"
_REMEDIES: Final[Mapping[str, str]] = {
    "reconsent": "The owner opens the link below and allows access.",
    "reauthenticate": "The owner signs in again by the link below; to make it last, change the session control.",
    "ask_admin": "Ask an administrator of the organisation to allow the client and its scopes.",
    "fix_client": "Check client id and credentials at the provider and in the client registration.",
    "fix_configuration": "Correct the configuration of the connection or of its provider.",
    "wait": "Wait, and look at the provider's status page. It is tried again by itself.",
}


class Undeliverable(Exception):
    """A message did not leave: to be redelivered, then dead-lettered. Names services, never URLs."""


@dataclass(frozen=True, slots=True)
class Message:
    """A title of one line and a body in plain text; `good_news` when something is over."""

    title: str
    body: str
    good_news: bool = False


def build_message(event_type: str, subject: str, data: Mapping[str, object], *, to_owner: bool) -> Message:
    """Build the message about an event for the owner or for the operators."""
    subject = shown(subject, limit=255)
    titles = _TITLES if to_owner else {**_TITLES, **_OPERATORS_TITLES}
    title = titles[event_type].format(subject=subject)
    paragraphs = _to_owner(event_type, subject, data) if to_owner else _to_operators(event_type, data)
    return Message(title, "\n\n".join(p for p in paragraphs if p) + "\n", good_news=event_type == RECOVERED)


def _to_owner(event_type: str, subject: str, data: Mapping[str, object]) -> list[str]:
    provider = _text(data, "provider")
    at = f" ({provider})" if provider else ""
    reason = _text(data, "reason")
    if event_type == RECOVERED:
        return [f"{subject}{at} works again. There is nothing left for you to do."]
    if event_type == CONSENT_EXPIRING:
        first = f"Your permission for {subject}{at} is about to end. Renew it now, and nothing will be interrupted."
    elif event_type == CONSENT_OVERDUE:
        first = f"{subject}{at} is still waiting for you, and whatever depends on it with it."
    elif reason == _FIRST:
        first = f"{subject}{at} has been set up for you and needs your permission before it can start."
    else:
        first = f"{subject}{at} has lost its permission to work on your behalf. {words_for(reason)}"
    link = _link(data)
    if link is None:
        return [first, "Please ask whoever runs this service for a link to renew it."]
    return [
        first,
        "Open this link, sign in with your own account and allow access. It takes two clicks:",
        link,
        _CAUTION,
    ]


def _to_operators(event_type: str, data: Mapping[str, object]) -> list[str]:
    first = _text(data, "message") or words_for(_text(data, "reason"))
    facts = [
        ("Connection", _text(data, "connection")),
        ("Provider", _text(data, "provider")),
        ("Reason", _text(data, "reason")),
        ("Answer", " ".join(_text(data, name) for name in _ANSWER if _text(data, name))),
        ("First failed", _time(data.get("first_failed_at"))),
        ("Access token ends", _time(data.get("access_token_expires_at"))),
    ]
    lines = "\n".join(f"{name}: {value}" for name, value in facts if value)
    if event_type == RECOVERED:
        return [first, lines]
    remedy = _text(data, "remedy") or remedy_for(_text(data, "reason"))
    link = _link(data)
    return [first, lines, f"What to do: {_REMEDIES.get(remedy, '')}" if remedy in _REMEDIES else "", link or ""]


def _link(data: Mapping[str, object]) -> str | None:
    link = data.get("consent_url")
    if not isinstance(link, str) or not link.startswith(("https://", "http://")):
        return None
    return link if link.isprintable() and " " not in link else None


def _text(data: Mapping[str, object], name: str) -> str:
    value = data.get(name)
    return shown(value) if isinstance(value, str) else ""


def _time(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    try:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):
        return ""
