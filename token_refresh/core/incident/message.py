"""What people are told about an event, and what a message may say of the house that sends it.

Owners get their own words only: never a provider's text, in which anybody may have put a sentence or a link.

A message is made of blocks, rendered twice from the same words: as text for chats, as HTML for mail. Apprise makes the
text part of a mail from the HTML: each block becomes a line, white space between two blocks a blank one. So paragraphs
stand apart by a line break in the source, and rows of facts do not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from token_refresh.core.incident.events import EventType
from token_refresh.core.incident.notice import Notice
from token_refresh.core.incident.words import Words

# The colours of the consent page. Inline, for mail programs that drop style sheets; dark by style sheet.
_BASE: Final = (
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:16px;"
    "line-height:1.5"
)
_SHEET: Final = (
    ":root{color-scheme:light dark;supported-color-schemes:light dark}"
    "@media(prefers-color-scheme:dark){"
    ".page{background:#121517!important}.card{background:#1b1f22!important;border-color:#30363a!important}"
    ".ink{color:#e8e9e6!important}.soft{color:#a2a9ae!important}.line{border-color:#30363a!important}"
    ".button{background:#5fbfb4!important;color:#0c1f1d!important}.link{color:#5fbfb4!important}}"
)
_ADDRESS: Final = re.compile(r"(?<!\S)[^\s@&]{1,20}@[^\s@&]{1,20}(?!\S)")


@dataclass(frozen=True, slots=True)
class House:
    """Who asks, where links lead, and where operators look; what is not set is empty. `ticket_ttl` in seconds."""

    words: Words
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


def link_of(notice: Notice, house: House) -> str | None:
    """Return the consent link of an event if it is one of ours: whoever may publish could put any other there."""
    link = notice.data.get("consent_url")
    if not isinstance(link, str) or not house.consent_url or not link.startswith(f"{house.consent_url}/consent/"):
        return None
    return link if link.isascii() and link.isprintable() and not set(link) & set(" \"'<>\\`") else None


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a message in both forms; one that is empty in a form is left out there."""

    text: str
    html: str


def paragraph(words: str) -> Block:
    """Write one paragraph."""
    return Block(words, f'<p style="margin:0 0 16px">{escape(words)}</p>')


def small(words: str) -> Block:
    """Write what one may want to know, in smaller print; an address that fits a phone's line stays in one piece."""
    html = _ADDRESS.sub(r'<span style="white-space:nowrap">\g<0></span>', escape(words))
    return Block(words, f'<p class="soft" style="margin:0 0 12px;font-size:14px;color:#5b626b">{html}</p>')


def facts(rows: Sequence[tuple[str, str]]) -> Block:
    """Write rows of a name and a value; a row without a value is left out."""
    rows = [row for row in rows if row[1]]
    if not rows:
        return Block("", "")
    lines = "".join(
        f'<div style="margin:0 0 8px;overflow-wrap:anywhere"><span class="soft" style="color:#5b626b">{escape(name)}: '
        f"</span>{_value(value)}</div>"
        for name, value in rows
    )
    return Block(
        "\n".join(f"{name}: {value}" for name, value in rows),
        f'<div class="line" style="margin:0 0 20px;padding:0 0 0 14px;border-left:3px solid #e3e1da">{lines}</div>',
    )


def button(label: str, url: str) -> Block:
    """Write the one thing to do."""
    return Block(
        f"{label}:\n{url}",
        f'<p style="margin:4px 0 20px"><a class="button" href="{escape(url)}" style="display:inline-block;'
        "padding:13px 26px;background:#1f5f5b;color:#ffffff;border-radius:8px;font-weight:600;text-decoration:none"
        f'">{escape(label)}</a></p>',
    )


def address(url: str) -> Block:
    """Write where the button leads, for programs that show none; text has it with the button."""
    return Block(
        "",
        '<p class="soft" style="margin:0 0 12px;font-size:14px;color:#5b626b">If the button does not work, open this '
        f'address:<br><a class="link" href="{escape(url)}" style="color:#1f5f5b;overflow-wrap:anywhere;'
        f'word-break:break-all">{escape(url)}</a></p>',
    )


def lay_out(notice: Notice, title: str, blocks: Sequence[Block]) -> Message:
    """Put a message together in both forms: in text, blank lines stand between its blocks."""
    text = "\n\n".join(block.text for block in blocks if block.text) + "\n"
    return Message(title, text, _html(title, blocks), notice.severity, notice.type == EventType.RECOVERED)


def _html(title: str, blocks: Sequence[Block]) -> str:
    """Render a mail: one column that fits a phone, light and dark, no picture and nothing loaded from anywhere."""
    body = "\n".join(block.html for block in blocks if block.html)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
        f"<title>{escape(title)}</title><style>{_SHEET}</style></head>"
        f'<body class="page" style="margin:0;padding:0;background:#f4f3ef;{_BASE}">'
        '<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" '
        'style="background:#f4f3ef"><tr><td align="center" style="padding:24px 12px">'
        '<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" border="0" '
        'style="max-width:560px;background:#ffffff;border:1px solid #e3e1da;border-radius:12px"><tr>'
        f'<td class="ink" style="padding:28px 24px;color:#1d2126;text-align:left;{_BASE}">'
        f'<h1 class="ink" style="margin:0 0 16px;font-size:22px;line-height:1.3;color:#1d2126">{escape(title)}</h1>'
        f"\n{body}</td></tr></table></td></tr></table></body></html>"
    )


def _value(value: str) -> str:
    if value.startswith("https://") and " " not in value:
        return f'<a class="link" href="{escape(value)}" style="color:#1f5f5b">{escape(value)}</a>'
    return escape(value)
