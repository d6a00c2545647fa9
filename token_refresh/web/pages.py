"""Pages: jinja2 templates that escape everything, and headers that allow nothing they do not need.

Styles and the status page's script are inlined and named in the Content-Security-Policy by their hashes, so nothing
else in a page can run, load or style.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import jinja2
from flask import Response
from markupsafe import Markup

from token_refresh.web.responses import protect

_TEMPLATES: Final = Path(__file__).parent / "templates"
_STYLES: Final = ("base", "status")
_SCRIPTS: Final = ("status", "done")
_ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#2a8a84" stroke-width="2.5" '
    'stroke-linecap="round"><path d="M20.5 12a8.5 8.5 0 0 1-14.9 5.6M3.5 12a8.5 8.5 0 0 1 14.9-5.6"/></svg>'
)
_LONGEST_UNBROKEN: Final = 24
_JOINT: Final = re.compile(r"(?<=[/.@:_])(?=[^/])")


def render(view: str, facts: Mapping[str, object]) -> str:
    """Render a template, or a part of a page."""
    return _environment().get_template(f"{view}.html").render(facts)


def respond(html: str | Iterator[str], *, status: int = 200, form_to: str | None = None, script: str = "") -> Response:
    """Answer HTML, whole or piece by piece.

    `form_to` is the URL that its form's answer redirects to; `script` names the one that it has, which may ask this
    very host.
    """
    response = protect(Response(html, status, content_type="text/html; charset=utf-8"))
    response.headers["Content-Security-Policy"] = "; ".join(
        (
            "default-src 'none'",
            f"style-src {' '.join(_source(f'{name}.css') for name in _STYLES)}",
            *((f"script-src {_source(f'{script}.js')}", "connect-src 'self'") if script else ()),
            "img-src data:",
            f"form-action {_form_targets(form_to)}",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )
    return response


def _form_targets(url: str | None) -> str:
    """Return the targets of a form.

    Chromium holds every redirect after a form's answer against this list, and a provider may redirect on to an
    organisation's own sign-in page: any https. (A provider on loopback has no TLS.)
    """
    if url is None:
        return "'self'"
    parts = urlsplit(url)
    # Host and port of a loopback provider are not known where its page is not the one that asks.
    return "'self' https:" if parts.scheme == "https" else "'self' https: http://localhost:* http://127.0.0.1:*"


@functools.cache
def _environment() -> jinja2.Environment:
    """Build what compiles a template when it is first used, and keeps it: the files do not change while we run."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        auto_reload=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"iso": _iso, "moment": _moment, "sentence": _sentence}
    environment.filters |= {"breakable": _breakable, "nobreak": _nobreak}
    environment.filters |= {kind: partial(_time, kind) for kind in ("at", "ago", "left")}
    # Both are files of ours; markup is safe in them because nobody else writes there.
    environment.globals |= {
        "styles": {name: Markup(_read(f"{name}.css")) for name in _STYLES},  # noqa: S704
        "scripts": {name: Markup(_read(f"{name}.js")) for name in _SCRIPTS},  # noqa: S704
        "icon": "data:image/svg+xml," + quote(_ICON),
    }
    return environment


@functools.cache
def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


@functools.cache
def _source(name: str) -> str:
    """Return a file of ours as the policy names it: by its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(_read(name).encode()).digest()).decode()}'"


def _iso(time: float) -> str:
    return _utc(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(time: float) -> str:
    return _utc(time).strftime("%-d %b %Y, %H:%M UTC")


def _utc(time: float) -> datetime:
    """Read epoch seconds; a number beyond the calendar, which a provider or a person may have written, is its end."""
    try:
        return datetime.fromtimestamp(time, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.max.replace(tzinfo=UTC)


def _breakable(text: str) -> Markup:
    """Let a long scope or address wrap where it has a joint."""
    return Markup("<wbr>").join(_JOINT.split(text))


def _nobreak(name: str) -> Markup:
    """Keep a name of ordinary length on one line: its hyphens are no joints."""
    return Markup('<span class="{}">{}</span>').format("nowrap" if len(name) <= _LONGEST_UNBROKEN else "", name)


def _time(kind: str, time: float) -> Markup:
    """Write a moment; the page's script turns it into the reader's own time, or counts from it (`ago`, `left`)."""
    return Markup('<time class="{}" datetime="{}">{}</time>').format(kind, _iso(time), _moment(time))


def _sentence(sentence: Sequence[str | float]) -> Markup:
    """Write a sentence that has moments in it."""
    return Markup("").join(part if isinstance(part, str) else _time("at", part) for part in sentence)
