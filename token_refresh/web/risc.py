"""`risc` for the transmitter of security event tokens: RFC 8935, push delivery."""

from __future__ import annotations

import logging

from flask import Request, Response

from token_refresh.core.signals import MAX_BODY, SetError
from token_refresh.errors import KeysUnavailable, PublishError
from token_refresh.risc import SecurityEventReceiver
from token_refresh.web.responses import json_answer, method_not_allowed, protect

log = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = "60"


def handle_risc(request: Request, receiver: SecurityEventReceiver) -> Response:
    """Answer a pushed token: 202 taken, 400 refused (RFC 8935, section 2.4), 405 not POST, 503 send it again."""
    if request.method != "POST":
        return method_not_allowed("POST")
    try:
        receiver.receive(request.stream.read(MAX_BODY + 1))
    except SetError as refusal:
        log.warning("security event token refused: %s (%s)", refusal, refusal.code)
        response = json_answer({"err": refusal.code, "description": str(refusal)}, 400)
        response.headers["Content-Language"] = "en"  # RFC 8935, section 2.3
        return response
    except (KeysUnavailable, PublishError) as fault:
        log.error("security event token is owed: %s", fault)  # noqa: TRY400 - expected, and it names itself
        response = json_answer({"error": "temporarily_unavailable"}, 503)
        response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
        return response
    # RFC 8935, section 2.2: without a body.
    return protect(Response(b"", 202))
