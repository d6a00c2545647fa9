"""`consent` for a browser: requests to calls, results to responses."""

from __future__ import annotations

import re
from typing import Final

from flask import Request, Response

from token_refresh.consent.reconsent import Page, Reconsent, Redirect
from token_refresh.web.pages import Pages, protect
from token_refresh.web.responses import method_not_allowed, plain

# The last segments count: a load balancer or the function's own name may stand before them.
_PREFIX: Final = r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*"
_CONSENT: Final = re.compile(_PREFIX + r"/consent/([A-Za-z0-9_-]{1,255})/?")
_CALLBACK: Final = re.compile(_PREFIX + r"/callback/?")
_LONGEST_QUERY: Final = 32_768


def handle_consent(request: Request, reconsent: Reconsent, pages: Pages) -> Response:
    """Answer ``GET`` and ``POST /consent/<connection>`` and ``GET /callback``; else 404 or 405."""
    consent, callback = _CONSENT.fullmatch(request.path), _CALLBACK.fullmatch(request.path)
    if len(request.query_string) > _LONGEST_QUERY:
        return plain(414, "The address is too long.")
    if callback:
        if request.method != "GET":
            return method_not_allowed("GET")
        return _render(reconsent.finish(list(request.args.items(multi=True)), request.cookies), pages)
    if consent:
        tickets = request.args.getlist("ticket")
        ticket = tickets[0] if len(tickets) == 1 else ""
        if request.method in ("GET", "HEAD"):
            return _render(reconsent.page(consent[1], ticket), pages)
        if request.method == "POST":
            return _render(reconsent.start(consent[1], ticket), pages)
        return method_not_allowed("GET, HEAD, POST")
    return plain(404, "There is no such page. Open the link in your message.")


def _render(result: Page | Redirect, pages: Pages) -> Response:
    match result:
        case Redirect(url=url, session=session):
            response = Response(status=303)
            response.headers["Location"] = url
            cookie = session.cookie
            secure = cookie.name.startswith("__Host-")
            response.set_cookie(cookie.name, cookie.value, cookie.seconds, secure=secure, httponly=True, samesite="Lax")
            protect(response)
            return response
        case Page(status=status, view=view, facts=facts):
            target = facts.get("authorization_url")
            response = pages.render(view, facts, status=status, form_to=target if isinstance(target, str) else None)
            if result.ended:
                secure = result.ended.startswith("__Host-")
                response.delete_cookie(result.ended, secure=secure, httponly=True, samesite="Lax")
            return response
