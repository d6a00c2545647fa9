"""`consent` for a browser: requests to calls, results to responses."""

from __future__ import annotations

import math
import re
from typing import Final

from flask import Request, Response

from token_refresh.consent.answers import Asker, Context, Page, Redirect, refuse
from token_refresh.consent.reconsent import Reconsent
from token_refresh.consent.request import Refused
from token_refresh.core.consent.session import Cookie
from token_refresh.web.pages import render, respond
from token_refresh.web.responses import is_same_site, protect

# The last segments count: a load balancer or the function's own name may stand before them.
_PREFIX: Final = r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*"
_CONSENT: Final = re.compile(_PREFIX + r"/consent/([A-Za-z0-9_-]{1,255})/?")
_CALLBACK: Final = re.compile(_PREFIX + r"/callback/?")
_DONE: Final = re.compile(_PREFIX + r"/done/([A-Za-z0-9_-]{1,255})/?")
_LONGEST_QUERY: Final = 32_768
_LONGEST_FORM: Final = 4096
_MOST_LOOKS: Final = 99


def handle_consent(request: Request, reconsent: Reconsent) -> Response:
    """Answer ``GET`` and ``POST /consent/<connection>``, ``GET /callback`` and ``GET /done/<connection>``."""
    asker = reconsent.asker
    consent, callback, done = (path.fullmatch(request.path) for path in (_CONSENT, _CALLBACK, _DONE))
    if len(request.query_string) > _LONGEST_QUERY:
        return _refuse("too_long", asker)
    if consent and request.method == "POST":
        return _post(request, consent[1], reconsent)
    if consent or done or callback:
        allowed = "GET, HEAD, POST" if consent else "GET, HEAD" if done else "GET"
        if request.method not in allowed.split(", "):
            response = _refuse("no_method", asker)
            response.headers["Allow"] = allowed
            return response
    if consent:
        return _render(reconsent.page(consent[1], _ticket(request), request.cookies))
    if done:
        look = request.args.get("look", 0, int)
        return _render(reconsent.done(done[1], request.cookies, min(max(look, 0), _MOST_LOOKS)))
    if callback:
        return _render(reconsent.finish(list(request.args.items(multi=True)), request.cookies))
    return _refuse("no_page", asker)


def broken() -> Response:
    """Answer when nothing works, the environment included; the page says nothing of it."""
    return _refuse("broken", Asker())


def _post(request: Request, name: str, reconsent: Reconsent) -> Response:
    # These pages send no referrer, so an old browser says "null" of its own forms; the ticket is what counts there.
    if not is_same_site(request, is_null_ours=True):
        return _refuse("cross_site", reconsent.asker)
    if (request.content_length or 0) > _LONGEST_FORM:
        return _refuse("too_long", reconsent.asker)
    state = request.form.get("state", "")
    if request.form.get("send") == "link":
        return _render(reconsent.send_link(name, _ticket(request), request.cookies, state=state))
    other_account = request.form.get("account") == "other"
    result = reconsent.start(name, _ticket(request), request.cookies, state=state, other_account=other_account)
    return _render(result)


def _ticket(request: Request) -> str:
    tickets = request.args.getlist("ticket")
    return tickets[0] if len(tickets) == 1 else ""


def _refuse(reason: str, asker: Asker) -> Response:
    return _render(refuse(Refused(reason), asker, Context(), ""))


def _render(result: Page | Redirect) -> Response:
    match result:
        case Redirect(url=url, cookie=cookie, drop=drop):
            response = Response(status=303)
            response.headers["Location"] = url
            for name in drop:
                _set(response, Cookie(name, "", 0))
            _set(response, cookie)
            return protect(response)
        case Page(status=status, view=view, facts=facts):
            target = facts.get("authorization_url") or facts.get("action")
            form_to = target if isinstance(target, str) else None
            script = "done" if facts.get("next_look") is not None else ""
            response = respond(render(view, facts), status=status, form_to=form_to or None, script=script)
            if result.cookie:
                _set(response, result.cookie)
            if result.retry_after:
                response.headers["Retry-After"] = str(math.ceil(result.retry_after))
            return response


def _set(response: Response, cookie: Cookie) -> None:
    secure = cookie.name.startswith("__Host-")
    response.set_cookie(cookie.name, cookie.value, cookie.seconds, secure=secure, httponly=True, samesite="Lax")
