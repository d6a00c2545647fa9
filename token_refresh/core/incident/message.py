"""What people are told about an event, and what a message may say of the house that sends it.

Owners get their own words only: never a provider's text, in which anybody may have put a sentence or a link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from token_refresh.core.incident.events import RECOVERED
from token_refresh.core.incident.layout import Block, render_html, render_text
from token_refresh.core.incident.notice import Notice


@dataclass(frozen=True, slots=True)
class House:
    """Who asks, where links lead, and where operators look; what is not set is empty. `ticket_ttl` in seconds."""

    name: str = ""
    contact: str = ""
    project: str = ""
    consent_url: str = ""
    ticket_ttl: float = 0.0
    runbook_url: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What its spec says of the connection that an event is about; `provider` is the provider's title."""

    title: str = ""
    purpose: str = ""
    owner: str = ""
    provider: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A title of one line, a body in plain text, and the same as a mail; `good_news` when something is over.

    `severity` is the event's: one of critical, error, warning, info.
    """

    title: str
    body: str
    html: str = ""
    severity: str = "warning"
    good_news: bool = False


def lay_out(notice: Notice, title: str, blocks: Sequence[Block]) -> Message:
    """Render a message in both forms."""
    return Message(title, render_text(blocks), render_html(title, blocks), notice.severity, notice.type == RECOVERED)


def link_of(notice: Notice, house: House) -> str | None:
    """Return the consent link of an event if it is one of ours: whoever may publish could put any other there."""
    link = notice.data.get("consent_url")
    if not isinstance(link, str) or not house.consent_url or not link.startswith(f"{house.consent_url}/consent/"):
        return None
    return link if link.isascii() and link.isprintable() and not set(link) & set(" \"'<>\\`") else None
