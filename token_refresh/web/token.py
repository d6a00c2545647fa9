"""`token` for Google's auth libraries: a form in, the connection's access token or an OAuth error out."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from flask import Request, Response

from token_refresh.core.connection import access_token_secret
from token_refresh.core.token_exchange import (
    MAX_FORM_BYTES,
    NO_SUCH_TARGET,
    NOT_ACCEPTED,
    STORE_TROUBLE,
    Ask,
    HandedOut,
    Refusal,
    build_answer,
    parse_form,
)
from token_refresh.errors import CallerNotAccepted, CallerNotAllowed, StoreUnavailable
from token_refresh.instance.recent import Refusals
from token_refresh.ports import CallerStore
from token_refresh.web.responses import json_answer, method_not_allowed

log = logging.getLogger(__name__)


def handle_token(request: Request, store: CallerStore, refusals: Refusals, clock: Callable[[], float]) -> Response:
    """Answer a token exchange (RFC 8693): 200, 400 an error, 405 not POST, 429 too many refusals, 503 try again."""
    if request.method != "POST":
        return method_not_allowed("POST")
    ask = parse_form(request.stream.read(MAX_FORM_BYTES + 1))
    if isinstance(ask, Refusal):
        return _refuse(ask)
    wait = refusals.wait_of(ask.caller)
    if wait:
        return _refuse(Refusal("temporarily_unavailable", "too many refused requests", math.ceil(wait)), 429)
    answer = _hand_out(ask, store, refusals, clock)
    # Who the caller is stands in Secret Manager's audit log; its token stands nowhere.
    outcome = "handed_out" if isinstance(answer, HandedOut) else answer.error
    log.info(
        "access token of %s: %s",
        ask.connection,
        outcome,
        extra={"json_fields": {"event": "token", "connection": ask.connection, "outcome": outcome}},
    )
    return json_answer(answer.as_json(), 200) if isinstance(answer, HandedOut) else _refuse(answer)


def _hand_out(ask: Ask, store: CallerStore, refusals: Refusals, clock: Callable[[], float]) -> HandedOut | Refusal:
    try:
        payload = store.read(access_token_secret(ask.connection), ask.caller)
    except CallerNotAccepted:
        refusals.note_refused(ask.caller, forget=True)
        return NOT_ACCEPTED
    except CallerNotAllowed:
        refusals.note_refused(ask.caller)
        return NO_SUCH_TARGET
    except StoreUnavailable as fault:
        log.warning("%s", fault)
        return STORE_TROUBLE
    answer = build_answer(payload, ask.connection, clock())
    if answer is NO_SUCH_TARGET:
        refusals.note_refused(ask.caller)
    else:
        refusals.note_served(ask.caller)
    return answer


def _refuse(refusal: Refusal, status: int = 0) -> Response:
    response = json_answer(refusal.as_json(), status or (503 if refusal.retry_after else 400))
    if refusal.retry_after:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response
