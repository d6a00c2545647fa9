"""Structured log lines for Cloud Logging, without anything a request's URL may carry.

Google's handler takes a tenth of a second to import, and a cold start would wait for it. So it is imported while the
first request waits for Secret Manager; until then lines are kept, each with the request it belongs to. Not earlier: two
threads that import beside each other take twice the time of one that does both.
"""

from __future__ import annotations

import atexit
import contextvars
import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud.logging_v2.handlers import StructuredLogHandler

_LOGGER = "token_refresh"
_lock = threading.Lock()
_kept: _Kept | None = None


class _Kept(logging.Handler):
    """Keep lines until Google's handler is there, then hand them on to it; `project` names the traces."""

    def __init__(self) -> None:
        super().__init__()
        self.project: str | None = None
        self._lines: list[tuple[contextvars.Context, logging.LogRecord]] = []
        self._handler: StructuredLogHandler | None = None
        self._import = threading.Thread(target=self._hand_over, name="token-refresh-logging", daemon=True)
        self._begins = threading.Lock()

    def begin(self) -> None:
        """Begin the import, once; the process does not end before the lines that are kept are written."""
        with self._begins:
            if self._import.ident is None and self._handler is None:
                try:
                    self._import.start()
                except RuntimeError:  # the process ends: no thread may begin any more
                    self._hand_over()
                else:
                    atexit.register(self._import.join)

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a line; a bad one waits until it is written, whatever happens next."""
        if self._handler is None:
            self.begin()
            if record.levelno >= logging.WARNING and self._import.is_alive():
                self._import.join()
        return super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line, or hand it on. `handle` holds the lock."""
        if self._handler is None:
            self._lines.append((contextvars.copy_context(), record))
        else:
            self._trace_by_project(self._handler)
            self._handler.handle(record)

    def _hand_over(self) -> None:
        handler = _build_handler()
        with self.lock or threading.RLock():
            self._trace_by_project(handler)
            for context, record in self._lines:
                context.run(handler.handle, record)
            self._lines.clear()
            self._handler = handler

    def _trace_by_project(self, handler: StructuredLogHandler) -> None:
        for log_filter in handler.filters:
            if self.project and hasattr(log_filter, "project"):
                log_filter.project = self.project


def configure_logging(project: str | None = None) -> None:
    """Send this package's log lines as JSON, once per process; a project, once known, names the traces."""
    global _kept  # noqa: PLW0603 - once per process
    logger = logging.getLogger(_LOGGER)
    with _lock:
        if _kept is None:
            _kept = _Kept()
            logger.addHandler(_kept)
            logger.setLevel(logging.INFO)
            logger.propagate = False
        _kept.project = project or _kept.project


def begin_logging() -> None:
    """Begin to import Google's handler: everything else is there, and the first call waits for its answer."""
    if _kept is not None:
        _kept.begin()


def _build_handler() -> StructuredLogHandler:
    """Build Google's handler, which would add the request's URL to every line: on an OAuth callback, code and state."""
    import google.cloud.logging_v2  # noqa: PLC0415 - see above
    from google.cloud.logging_v2.handlers import StructuredLogHandler  # noqa: PLC0415

    class PlainHandler(StructuredLogHandler):
        def format(self, record: logging.LogRecord) -> str:
            record._http_request = None  # noqa: SLF001 - the library's filter puts it there
            record._http_request_str = "{}"  # noqa: SLF001
            return str(super().format(record))  # type: ignore[no-untyped-call]

    google.cloud.logging_v2._instrumentation_emitted = True  # noqa: SLF001 - a line about the library, not us
    return PlainHandler()  # type: ignore[no-untyped-call]
