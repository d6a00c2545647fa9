"""A message as blocks, rendered twice from the same words: as text for chats, as HTML for mail.

Apprise makes the text part of a mail from the HTML: each block becomes a line, white space between two blocks a blank
one. So paragraphs stand apart by a line break in the source, and rows of facts do not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

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
class Paragraph:
    """One paragraph."""

    words: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows of a name and a value; a row without a value is left out."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Button:
    """The one thing to do."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Address:
    """Where the button leads, for programs that show none; text has it with the button."""

    url: str


@dataclass(frozen=True, slots=True)
class Small:
    """What one may want to know, in smaller print."""

    words: str


Block = Paragraph | Facts | Button | Address | Small


def render_text(blocks: Sequence[Block]) -> str:
    """Render plain text: paragraphs with blank lines between them."""
    return "\n\n".join(text for block in blocks if (text := _text(block))) + "\n"


def render_html(title: str, blocks: Sequence[Block]) -> str:
    """Render a mail: one column that fits a phone, light and dark, no picture and nothing loaded from anywhere."""
    body = "\n".join(html for block in blocks if (html := _html(block)))
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


def _text(block: Block) -> str:
    match block:
        case Paragraph(words) | Small(words):
            return words
        case Facts(rows):
            return "\n".join(f"{name}: {value}" for name, value in rows if value)
        case Button(label, url):
            return f"{label}:\n{url}"
        case Address():
            return ""


def _html(block: Block) -> str:
    match block:
        case Paragraph(words):
            return f'<p style="margin:0 0 16px">{escape(words)}</p>'
        case Facts(rows):
            return _rows([row for row in rows if row[1]])
        case Button(label, url):
            return _button(label, url)
        case Address(url):
            return _address(url)
        case Small(words):
            return f'<p class="soft" style="margin:0 0 12px;font-size:14px;color:#5b626b">{_in_one_piece(words)}</p>'


def _in_one_piece(words: str) -> str:
    """Escape words; an address that fits a phone's line is not broken at its hyphen."""
    return _ADDRESS.sub(r'<span style="white-space:nowrap">\g<0></span>', escape(words))


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f'<div style="margin:0 0 8px;overflow-wrap:anywhere"><span class="soft" style="color:#5b626b">{escape(name)}: '
        f"</span>{_value(value)}</div>"
        for name, value in rows
    )
    return f'<div class="line" style="margin:0 0 20px;padding:0 0 0 14px;border-left:3px solid #e3e1da">{lines}</div>'


def _value(value: str) -> str:
    if value.startswith("https://") and " " not in value:
        return f'<a class="link" href="{escape(value)}" style="color:#1f5f5b">{escape(value)}</a>'
    return escape(value)


def _button(label: str, url: str) -> str:
    return (
        f'<p style="margin:4px 0 20px"><a class="button" href="{escape(url)}" style="display:inline-block;'
        "padding:13px 26px;background:#1f5f5b;color:#ffffff;border-radius:8px;font-weight:600;text-decoration:none"
        f'">{escape(label)}</a></p>'
    )


def _address(url: str) -> str:
    return (
        '<p class="soft" style="margin:0 0 12px;font-size:14px;color:#5b626b">If the button does not work, open this '
        f'address:<br><a class="link" href="{escape(url)}" style="color:#1f5f5b;overflow-wrap:anywhere;'
        f'word-break:break-all">{escape(url)}</a></p>'
    )
