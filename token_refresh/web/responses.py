"""Answers that are no page, the headers that every answer carries, and whose page a POST came from."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlsplit

import flask
from flask import Request, Response
from werkzeug.datastructures import MIMEAccept

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


def wants_json(request: Request) -> bool:
    """Tell whether the caller prefers JSON to HTML."""
    plain = MIMEAccept([(kind.partition(";")[0].strip(), quality) for kind, quality in request.accept_mimetypes])
    return plain.best_match(["text/html", "application/json"], default="text/html") == "application/json"


def json_answer(data: object, status: int) -> Response:
    """Answer JSON."""
    return protect(Response(json.dumps(data, ensure_ascii=False), status, content_type="application/json"))


def plain(status: int, text: str) -> Response:
    """Answer one line of text."""
    return protect(Response(text + "\n", status, content_type="text/plain; charset=utf-8"))


def method_not_allowed(allowed: str) -> Response:
    """Answer 405, naming what is allowed."""
    response = plain(405, "Method not allowed.")
    response.headers["Allow"] = allowed
    return response


def is_same_site(request: Request, *, is_null_ours: bool = False) -> bool:
    """Refuse a POST that a page of another site makes: by Fetch Metadata, and by `Origin` where that is missing.

    A page that sends no referrer makes browsers say ``Origin: null`` of its own forms, too: `is_null_ours` where
    something else (a ticket) tells those apart.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    if origin == "null":
        return is_null_ours
    # Not sent: not a browser's form.
    return origin is None or urlsplit(origin).netloc in (request.host, request.headers.get("X-Forwarded-Host"))
