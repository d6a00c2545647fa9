"""The entry points: translate the request, call a use case, translate back."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import flask
import functions_framework
from cloudevents.http import CloudEvent

from token_refresh.errors import (
    BadEnvironment,
    BadRequest,
    StoreError,
    TokenRefreshError,
    Unfinished,
    UnknownConnection,
)
from token_refresh.web.responses import protect_every_answer
from token_refresh.wiring import parts

log = logging.getLogger("token_refresh")
# How long a caller may wait before it names a version again; a lease seldom takes longer.
_RETRY_SECONDS = "30"
protect_every_answer()


@functions_framework.cloud_event
def refresh(event: CloudEvent) -> None:
    """Carry out a refresh run for a Pub/Sub message.

    Raises `BadRequest` for a malformed message and `StoreUnavailable` for a run that could not be carried out: Pub/Sub
    delivers it again and, in the end, to the dead-letter topic. So it does after `Unfinished`: a connection whose new
    version was named is busy, or left for the next run. An unknown connection is logged and acknowledged.
    """
    from token_refresh.core.trigger import parse_event_data

    with _logged():
        runner = parts().runner
        trigger = parse_event_data(event.get_data())
        if trigger is not None:
            report = runner.run(replace(trigger, only_known=True))
            if report.is_unfinished:
                raise Unfinished("a connection whose new version was named is busy or deferred: deliver it again")


@functions_framework.http
def refresh_http(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Carry out a refresh run for Cloud Scheduler, an operator or a Pub/Sub push subscription; answers JSON.

    The status says whether the caller should try again: 200 carried out, 400 malformed, 404 unknown connection,
    405 not POST, 500 the environment is wrong, 503 could not be carried out, or not for a version that was named.
    """
    from token_refresh.core.trigger import parse_http_body

    if request.method != "POST":
        return flask.jsonify(error="method_not_allowed", message="use POST"), 405, {"Allow": "POST"}
    try:
        runner = parts().runner
        trigger = parse_http_body(request.get_data(cache=False))
        if trigger is None:
            return flask.jsonify(run_id=None, counts={}, connections=[])
        report = runner.run(trigger)
        if report.is_unfinished:
            return flask.jsonify(report.document()), 503, {"Retry-After": _RETRY_SECONDS}
        return flask.jsonify(report.document())
    except BadRequest as fault:
        return _error("bad_request", fault, 400)
    except UnknownConnection as fault:
        return _error("unknown_connection", fault, 404)
    except BadEnvironment as fault:
        return _error("bad_environment", fault, 500)
    except StoreError as fault:
        return _error("unavailable", fault, 503)


@functions_framework.http
def consent(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Serve the pages and the OAuth callback of the re-consent workflow to the resource owner's browser.

    2xx pages, 403 a forged, expired or spent ticket or state, 429 too often, 500 ours to mend, 502 provider trouble;
    redirects nowhere but to the provider's authorization URL and to its own ``/done/<connection>``.
    """
    from token_refresh.web.consent import broken, handle_consent

    try:
        return handle_consent(request, parts().reconsent)
    except BadEnvironment as fault:
        log.error("bad_environment: %s", fault)  # noqa: TRY400 - a person is to read it, and no traceback
    except Exception:
        log.exception("consent: a defect")
    return broken()


@functions_framework.cloud_event
def notify(event: CloudEvent) -> None:
    """Tell owner and operators about an event through Apprise; events of other kinds are acknowledged.

    Raises `Undeliverable`: Pub/Sub delivers the event again and, in the end, to the dead-letter topic.
    """
    from token_refresh.core.incident.notice import parse_notice

    with _logged():
        notice = parse_notice(event.get_attributes(), event.get_data())
        if notice is not None:
            parts().notifier.tell(notice)


@functions_framework.http
def status(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Show every connection and its state: HTML, or JSON for ``Accept: application/json``; POST refreshes one."""
    try:
        return parts().status_page.answer(request)
    except BadEnvironment as fault:
        return _error("bad_environment", fault, 500)


@functions_framework.http
def token(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Hand a caller the access token of a connection, if Secret Manager lets that caller read it (RFC 8693).

    200 the token, 400 an OAuth error, 405 not POST, 429 too many refusals, 500 the environment is wrong, 503 no valid
    token at the moment.
    """
    from token_refresh.web.token import handle_token

    try:
        instance = parts()
        return handle_token(request, instance.caller_secrets, instance.refusals, time.time)
    except BadEnvironment as fault:
        return _error("bad_environment", fault, 500)


@functions_framework.http
def risc(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Take a security event token (RFC 8935) and ask for the refresh of whatever it is about.

    202 taken, 400 refused, 405 not POST, 500 the environment is wrong (the log says why), 503 send it again.
    """
    from token_refresh.web.risc import handle_risc

    try:
        return handle_risc(request, parts().security_events)
    except BadEnvironment as fault:
        log.error("bad_environment: %s", fault)  # noqa: TRY400 - one line that lists every problem
        return flask.jsonify(error="bad_environment"), 500


@contextmanager
def _logged() -> Iterator[None]:
    """Log what is raised as one structured line; the framework writes no more than a traceback."""
    try:
        yield
    except TokenRefreshError as fault:
        log.error("%s", fault)  # noqa: TRY400 - a traceback comes from the framework anyway
        raise


def _error(code: str, fault: Exception, status: int) -> tuple[flask.Response, int]:
    log.error("%s: %s", code, fault)
    return flask.jsonify(error=code, message=str(fault)), status
