"""`status`: requests to looks at the overview, results to pages and JSON.

what is asked                                     what comes
GET                                               the page; its head at once, its rows as soon as they are read
GET, Accept: application/json                     the contract's rows; `state`, `q`, `sort`, `connection` choose
GET ?view=page, likewise                          what the page refreshes itself with: its rows as HTML
GET ?view=row&connection=NAME, likewise           one row, read now
GET ?view=history&connection=NAME, likewise       the versions of its secrets
POST connection=NAME                              a refresh of that connection is requested
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillLooking
from contextlib import suppress
from urllib.parse import urlencode

from flask import Request, Response

from token_refresh.core.overview.listing import Query, parse_query, select
from token_refresh.errors import PublishError, StoreError
from token_refresh.overview import View
from token_refresh.web.responses import is_same_site, json_answer, method_not_allowed, plain, protect, wants_json
from token_refresh.web.status_view import StatusView

# s: a list that takes longer is streamed after the page's head, so that there is something to see.
_HEAD_AFTER = 0.25
# s: what one view may spend on reading access tokens; the page asks for the rest by itself.
_READING = 2.5


class StatusPage:
    """Answer for the status page; threads may share it."""

    def __init__(self, view: StatusView) -> None:
        self._view = view
        self._overview = view.overview
        self._actions = view.actions
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="look")

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "POST":
            return self._refresh_now(request)
        if request.method not in ("GET", "HEAD"):
            return method_not_allowed("GET, HEAD, POST")
        try:
            return self._show_json(request) if wants_json(request) else self._show_page(request)
        except StoreError as fault:
            if wants_json(request):
                return json_answer({"error": "unavailable", "message": f"the connections cannot be read: {fault}"}, 503)
            return self._view.page(self._view.fault(fault), status=503)

    def _show_json(self, request: Request) -> Response:
        query, name, view = _query(request), request.args.get("connection", ""), request.args.get("view", "")
        if view == "page":
            look = self._look(may_be_old=True)
            body, digest = self._view.body(look, query, requested=None, opened=request.args.get("open", ""))
            news = {} if request.args.get("seen") == digest else {"html": body}
            pending = sum(row.reading.pending for row in look.rows)
            return json_answer({"digest": digest, "as_of": look.at, "pending": pending, **news}, 200)
        if view == "history" and name:
            return json_answer({"html": self._view.history(name)}, 200)
        if name:
            row = self._overview.look_at(name)
            if row is None:
                return json_answer({"error": "unknown_connection", "message": f"no connection {name}"}, 404)
            if view == "row":
                return json_answer(self._view.row_now(row), 200)
            return json_answer({"connections": [row.as_json(self._overview.consent_url(row))]}, 200)
        rows = select(self._overview.look().rows, query)
        return json_answer({"connections": [r.as_json(self._overview.consent_url(r)) for r in rows]}, 200)

    def _show_page(self, request: Request) -> Response:
        query, name = _query(request), request.args.get("connection", "")
        if name:
            row = self._overview.look_at(name)
            return self._view.page(self._view.one(name, row), status=200 if row else 404)
        if request.method == "HEAD":
            return self._view.page("")
        looking = self._pool.submit(self._look)
        with suppress(StillLooking):
            looking.result(_HEAD_AFTER)
        requested, opened = request.args.get("requested"), request.args.get("open", "")
        return self._view.page(self._rows(looking, query, requested, opened))

    def _rows(self, looking: Future[View], query: Query, requested: str | None, opened: str) -> Iterator[str]:
        try:
            yield self._view.body(looking.result(), query, requested=requested, opened=opened)[0]
        except StoreError as fault:
            yield self._view.fault(fault)

    def _look(self, *, may_be_old: bool = False) -> View:
        return self._overview.look(may_be_old=may_be_old, seconds=_READING)

    def _refresh_now(self, request: Request) -> Response:
        name = _asked_for(request)
        if not name:
            return plain(400, 'Name a connection: connection=NAME as a form, or {"connection": "NAME"} as JSON.')
        if not self._may_ask(request, name):
            return plain(403, "This request did not come from this status page, or the page is old: reload it.")
        try:
            found = self._overview.request_refresh(name)
        except PublishError as fault:
            return plain(503, f"The refresh could not be requested: {fault}")
        except StoreError as fault:
            return plain(503, f"The connections cannot be listed: {fault}")
        if not found:
            return plain(404, "There is no such connection.")
        if wants_json(request) or request.is_json:
            return json_answer({"requested": [name]}, 202)
        response = Response(status=303)
        kept = {k: v for k, v in request.args.items() if k != "requested"}
        response.headers["Location"] = "?" + urlencode({**kept, "requested": name})
        return protect(response)

    def _may_ask(self, request: Request, name: str) -> bool:
        """Refuse what another site's page makes a browser send (cross-site request forgery).

        By Fetch Metadata, by `Origin` where that is missing, and by a token that only a page of ours holds. A caller
        that sends neither is not a browser of these days: it shows by what it sends that it is not a form, either.
        """
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        has_bearer = request.headers.get("Authorization", "").lower().startswith("bearer ")
        if site is None and origin is None and (request.is_json or has_bearer):
            return True
        if not is_same_site(request):
            return False
        if self._actions is not None:
            return self._actions.allows(request.form.get("action", ""), name)
        return site == "same-origin" or (site is None and origin is not None)


def _query(request: Request) -> Query:
    asked = request.args
    return parse_query(*(asked.get(name, "") for name in ("state", "q", "incident", "sort", "n")))


def _asked_for(request: Request) -> str:
    """Return the connection that a form or a JSON object names."""
    if not request.is_json:
        return request.form.get("connection", "")
    data = request.get_json(silent=True)
    name = data.get("connection") if isinstance(data, dict) else None
    return name if isinstance(name, str) else ""
