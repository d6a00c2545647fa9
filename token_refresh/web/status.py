"""`status` for a browser: requests to calls, results to responses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from flask import Request, Response

from token_refresh.adapters.tickets import Tickets
from token_refresh.errors import PublishError, StoreUnavailable
from token_refresh.overview import ORDER, Overview, Row
from token_refresh.web.pages import Pages, protect
from token_refresh.web.responses import json_answer, method_not_allowed, plain, wants_json


def handle_status(
    request: Request, overview: Overview, pages: Pages, tickets: Tickets, clock: Callable[[], float]
) -> Response:
    """Answer ``GET`` with the overview as HTML or JSON, and ``POST`` with a refresh of one connection."""
    try:
        if request.method == "POST":
            return _refresh_now(request, overview, tickets)
        if request.method not in ("GET", "HEAD"):
            return method_not_allowed("GET, HEAD, POST")
        rows = overview.rows()
    except StoreUnavailable as fault:
        return plain(503, f"The connections cannot be listed: {fault}")
    if wants_json(request):
        return json_answer({"connections": [row.as_json() for row in rows]}, 200)
    requested = request.args.get("requested", "")
    counts = Counter(row.state for row in rows)
    facts = {
        "rows": rows,
        "now": clock(),
        "headline": headline(rows),
        "counts": [(state, counts[state]) for state in ORDER if counts[state]],
        "requested": requested if any(row.name == requested for row in rows) else None,
        "actions": {row.name: tickets.action(row.name) for row in rows},
    }
    return pages.render("status", facts, script=True)


def headline(rows: list[Row]) -> str:
    """Say in one line how things stand."""
    ill = sum(row.state not in ("healthy", "paused") for row in rows)
    if not ill:
        return "All connections are healthy"
    return f"{ill} of {len(rows)} connections need{'s' if ill == 1 else ''} attention"


def _refresh_now(request: Request, overview: Overview, tickets: Tickets) -> Response:
    name = request.form.get("connection", "")
    if not _is_same_site(request) or not tickets.allows(request.form.get("action", ""), name):
        return plain(403, "This request did not come from a status page of ours, or that page is old: reload it.")
    try:
        found = overview.request_refresh(name)
    except PublishError as fault:
        return plain(503, f"The refresh could not be requested: {fault}")
    if not found:
        return plain(404, "There is no such connection.")
    if wants_json(request):
        return json_answer({"requested": [name]}, 202)
    response = Response(status=303)
    response.headers["Location"] = "?" + urlencode({"requested": name})
    protect(response)
    return response


def _is_same_site(request: Request) -> bool:
    """Refuse a POST that a page of another site makes: by Fetch Metadata, and by `Origin` where that is missing."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    # Not sent: not a browser's form. The signed token decides.
    return origin is None or urlsplit(origin).netloc in (request.host, request.headers.get("X-Forwarded-Host"))
