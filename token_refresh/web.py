"""The browser's side of `consent` and `status`: requests to calls, results to responses."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode, urlsplit

from flask import Request, Response

from token_refresh.adapters.pages import Pages, protect
from token_refresh.adapters.tickets import Tickets
from token_refresh.consent.reconsent import Page, Reconsent, Redirect
from token_refresh.core.session import SESSION_SECONDS
from token_refresh.errors import PublishError, StoreUnavailable
from token_refresh.overview import ORDER, Overview, Row

# The last segments count: a load balancer or the function's own name may stand before them.
_PREFIX: Final = r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*"
_CONSENT: Final = re.compile(_PREFIX + r"/consent/([A-Za-z0-9_-]{1,255})/?")
_CALLBACK: Final = re.compile(_PREFIX + r"/callback/?")
_LONGEST_QUERY: Final = 32_768


def handle_consent(request: Request, reconsent: Reconsent, pages: Pages) -> Response:
    """Answer ``GET`` and ``POST /consent/<connection>`` and ``GET /callback``; else 404 or 405."""
    consent, callback = _CONSENT.fullmatch(request.path), _CALLBACK.fullmatch(request.path)
    if len(request.query_string) > _LONGEST_QUERY:
        return _plain(414, "The address is too long.")
    if callback:
        if request.method != "GET":
            return _method_not_allowed("GET")
        return _render(reconsent.finish(list(request.args.items(multi=True)), request.cookies), pages)
    if consent:
        tickets = request.args.getlist("ticket")
        ticket = tickets[0] if len(tickets) == 1 else ""
        if request.method in ("GET", "HEAD"):
            return _render(reconsent.page(consent[1], ticket), pages)
        if request.method == "POST":
            return _render(reconsent.start(consent[1], ticket), pages)
        return _method_not_allowed("GET, HEAD, POST")
    return _plain(404, "There is no such page. Open the link in your message.")


def handle_status(
    request: Request, overview: Overview, pages: Pages, tickets: Tickets, clock: Callable[[], float]
) -> Response:
    """Answer ``GET`` with the overview as HTML or JSON, and ``POST`` with a refresh of one connection."""
    try:
        if request.method == "POST":
            return _refresh_now(request, overview, tickets)
        if request.method not in ("GET", "HEAD"):
            return _method_not_allowed("GET, HEAD, POST")
        rows = overview.rows()
    except StoreUnavailable as fault:
        return _plain(503, f"The connections cannot be listed: {fault}")
    if _wants_json(request):
        return _json({"connections": [row.as_json() for row in rows]}, 200)
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
        return _plain(403, "This request did not come from a status page of ours, or that page is old: reload it.")
    try:
        found = overview.request_refresh(name)
    except PublishError as fault:
        return _plain(503, f"The refresh could not be requested: {fault}")
    if not found:
        return _plain(404, "There is no such connection.")
    if _wants_json(request):
        return _json({"requested": [name]}, 202)
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


def _render(result: Page | Redirect, pages: Pages) -> Response:
    match result:
        case Redirect(url=url, session=session):
            response = Response(status=303)
            response.headers["Location"] = url
            secure = session.cookie_name.startswith("__Host-")
            response.set_cookie(
                session.cookie_name, session.cookie, SESSION_SECONDS, secure=secure, httponly=True, samesite="Lax"
            )
            protect(response)
            return response
        case Page(status=status, view=view, facts=facts):
            target = facts.get("authorization_url")
            response = pages.render(view, facts, status=status, form_to=target if isinstance(target, str) else None)
            if result.ended:
                secure = result.ended.startswith("__Host-")
                response.delete_cookie(result.ended, secure=secure, httponly=True, samesite="Lax")
            return response


def _wants_json(request: Request) -> bool:
    offers = ["text/html", "application/json"]
    return request.accept_mimetypes.best_match(offers, default="text/html") == "application/json"


def _json(data: object, status: int) -> Response:
    response = Response(json.dumps(data, ensure_ascii=False), status, content_type="application/json")
    protect(response)
    return response


def _plain(status: int, text: str) -> Response:
    response = Response(text + "\n", status, content_type="text/plain; charset=utf-8")
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    protect(response)
    return response


def _method_not_allowed(allowed: str) -> Response:
    response = _plain(405, "Method not allowed.")
    response.headers["Allow"] = allowed
    return response
