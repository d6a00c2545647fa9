"""Structured log lines for Cloud Logging, without anything a request's URL may carry."""

from __future__ import annotations

import logging
import threading

import google.cloud.logging_v2
from google.cloud.logging_v2.handlers import CloudLoggingFilter, StructuredLogHandler

_LOGGER = "token_refresh"
_lock = threading.Lock()


class _PlainHandler(StructuredLogHandler):
    """A `StructuredLogHandler` that leaves the HTTP request out.

    The library adds the request's URL to every line: on an OAuth callback that is the code and the state.
    """

    def format(self, record: logging.LogRecord) -> str:
        record._http_request = None  # noqa: SLF001 - the library's filter puts it there
        record._http_request_str = "{}"  # noqa: SLF001
        return str(super().format(record))  # type: ignore[no-untyped-call]


def configure_logging(project: str | None = None) -> None:
    """Send this package's log lines as JSON, once per process; a project, once known, names the traces."""
    logger = logging.getLogger(_LOGGER)
    with _lock:
        handlers = [h for h in logger.handlers if isinstance(h, _PlainHandler)]
        if not handlers:
            google.cloud.logging_v2._instrumentation_emitted = True  # noqa: SLF001 - a line about the library, not us
            handlers = [_PlainHandler()]  # type: ignore[no-untyped-call]
            logger.addHandler(handlers[0])
            logger.setLevel(logging.INFO)
            logger.propagate = False
        for log_filter in handlers[0].filters:
            if isinstance(log_filter, CloudLoggingFilter) and project:
                log_filter.project = project
