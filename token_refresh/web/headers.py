"""The headers that every answer carries, the framework's own included."""

from __future__ import annotations

from typing import Final

import flask
from flask import Response

# A year: owners come back after months.
_HSTS: Final = "max-age=31536000"
_FEATURES: Final = ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": _HSTS,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


def protect(response: Response) -> Response:
    """Set the headers that any answer carries, where it has none of its own."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def protect_every_answer() -> None:
    """Have the framework's own answers (404 for ``/robots.txt``, 500) carry them, too.

    The functions framework runs `main.py` inside the application that will serve it; elsewhere there is none.
    """
    if flask.has_app_context():
        flask.current_app.after_request(protect)
