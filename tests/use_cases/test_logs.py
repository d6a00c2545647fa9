"""Log lines before and after Google's handler is there: all of them, in order, each of its own request."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest

from token_refresh.adapters import logs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Begin anew, with a handler that writes here and is there only after `ready`."""
    stream = io.StringIO()
    build = logs._build_handler

    def build_here() -> Any:
        handler = build()
        handler.setStream(stream)
        assert ready.wait(10)
        return handler

    logger = logging.getLogger("token_refresh")
    before, level, propagate = list(logger.handlers), logger.level, logger.propagate
    monkeypatch.setattr(logs, "_build_handler", build_here)
    monkeypatch.setattr(logs, "_kept", None)
    logger.handlers.clear()
    ready.clear()
    yield stream
    ready.set()
    logger.handlers[:], logger.level, logger.propagate = before, level, propagate


ready = threading.Event()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    assert logs._kept
    ready.set()
    logs._kept._import.join(10)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_wait_for_the_handler_and_keep_their_order(out: io.StringIO) -> None:
    logs.configure_logging()
    log = logging.getLogger("token_refresh")
    for number in range(3):
        log.info("line %d", number, extra={"json_fields": {"event": "test"}})
    assert out.getvalue() == "", "nobody has waited for it"
    assert [x["message"] for x in lines(out)] == ["line 0", "line 1", "line 2"]
    log.error("line 3")
    assert [(x["message"], x["severity"], x.get("event")) for x in lines(out)][2:] == [
        ("line 2", "INFO", "test"),
        ("line 3", "ERROR", None),
    ]


def test_what_is_bad_is_written_before_anything_else_happens(out: io.StringIO) -> None:
    logs.configure_logging()
    logging.getLogger("token_refresh").info("first")
    threading.Timer(0.1, ready.set).start()
    logging.getLogger("token_refresh").error("then")
    assert [json.loads(line)["message"] for line in out.getvalue().splitlines()] == ["first", "then"]


def test_each_line_keeps_the_trace_of_its_request_and_nothing_of_its_url(out: io.StringIO) -> None:
    app = flask.Flask("some-function")
    logs.configure_logging()
    for number in range(2):
        trace = f"{number:032x}"
        url = "/callback?code=CANARY-code&state=CANARY-state"
        with app.test_request_context(url, headers={"X-Cloud-Trace-Context": f"{trace}/1;o=1"}):
            logging.getLogger("token_refresh").info("of request %d", number)
    logs.configure_logging("some-project")
    assert [x["logging.googleapis.com/trace"] for x in lines(out)] == [
        f"projects/some-project/traces/{number:032x}" for number in range(2)
    ]
    assert "CANARY" not in out.getvalue()


def test_a_process_that_ends_at_once_has_written_its_lines() -> None:
    program = "import logging, token_refresh.adapters.logs as l; l.configure_logging(); "
    program += 'logging.getLogger("token_refresh").info("the last words")'
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stderr or done.stdout)["message"] == "the last words"


def test_a_line_is_written_though_no_thread_may_begin_any_more(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the end of a process: Python 3.12 and later refuse it."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    ready.set()
    logs.configure_logging()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    logging.getLogger("token_refresh").info("one")
    logging.getLogger("token_refresh").error("two")
    assert [json.loads(line)["message"] for line in out.getvalue().splitlines()] == ["one", "two"]


def test_nothing_is_imported_beside_anything_else(out: io.StringIO) -> None:
    logs.configure_logging()
    assert logs._kept
    assert not logs._kept._import.is_alive()
    logs.begin_logging()
    logs.begin_logging()
    logging.getLogger("token_refresh").info("there")
    assert [x["message"] for x in lines(out)] == ["there"]


def test_the_handler_is_the_last_that_a_cold_start_imports() -> None:
    program = """
import gc, sys
from token_refresh import wiring

def begin():
    before.update(sys.modules)
    assert not gc.isenabled()

before = set()
wiring.begin_logging = begin
wiring.parts({"GOOGLE_CLOUD_PROJECT": "some", "SECRET_MANAGER_EMULATOR_HOST": "127.0.0.1:1"}).runner
assert gc.isenabled()
print(sorted(m for m in set(sys.modules) - before if m.startswith(("token_refresh", "google"))), bool(before))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[] True\n"
