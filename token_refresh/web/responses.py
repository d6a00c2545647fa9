"""Answers that are no page, and whose page a POST came from."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from flask import Request, Response

from token_refresh.web.headers import protect


def wants_json(request: Request) -> bool:
    """Tell whether the caller prefers JSON to HTML."""
    offers = ["text/html", "application/json"]
    return request.accept_mimetypes.best_match(offers, default="text/html") == "application/json"


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
