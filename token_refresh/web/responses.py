"""Answers that are no page: plain text, JSON, a method that is not allowed."""

from __future__ import annotations

import json

from flask import Request, Response

from token_refresh.web.pages import protect


def wants_json(request: Request) -> bool:
    """Tell whether the caller prefers JSON to HTML."""
    offers = ["text/html", "application/json"]
    return request.accept_mimetypes.best_match(offers, default="text/html") == "application/json"


def json_answer(data: object, status: int) -> Response:
    """Answer JSON."""
    response = Response(json.dumps(data, ensure_ascii=False), status, content_type="application/json")
    protect(response)
    return response


def plain(status: int, text: str) -> Response:
    """Answer one line of text."""
    response = Response(text + "\n", status, content_type="text/plain; charset=utf-8")
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    protect(response)
    return response


def method_not_allowed(allowed: str) -> Response:
    """Answer 405, naming what is allowed."""
    response = plain(405, "Method not allowed.")
    response.headers["Allow"] = allowed
    return response
