"""Refresh runs in processes of their own, forked from a warm one: to be killed, raced, and looked at afterwards.

The process imports nothing any more, so that a run takes the time of its calls. It may live in the future: `later`
seconds are added to the clock, and its waits take no time: nobody waits for a lease to end.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from tests.worlds.forks import CONTEXT


class _Child:
    """A process that sends what it has to say; a context manager that leaves no process behind."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        self._answers, theirs = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=target, args=(*arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def receive(self, seconds: float) -> Any:
        """Wait for its next word; raises EOFError when it died first."""
        assert self._answers.poll(seconds), "the process did not answer in time"
        return self._answers.recv()

    def kill(self) -> None:
        """Kill it (-9)."""
        self._process.kill()
        self._process.join(10)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process.pid
        os.kill(self._process.pid, number)

    def wait(self, seconds: float) -> None:
        """Wait for its end."""
        self._process.join(seconds)
        assert not self.running, "the process did not end in time"

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._answers.close()


class OneRun(_Child):
    """A refresh run under way."""

    def __init__(
        self, environ: Mapping[str, str], body: Mapping[str, object], *, logs: Path, later: float = 0, times: int = 1
    ) -> None:
        """Start it; `times` > 1 carries out that many runs, one after the other."""
        super().__init__(carry_out, dict(environ), dict(body), str(logs), later, times)

    def answer(self, seconds: float = 60) -> tuple[int, dict[str, Any]]:
        """Wait for the answer of `refresh_http`: status and body. Raises EOFError when the process died first."""
        status, text = self.receive(seconds)
        return status, json.loads(text)

    def loaded(self, seconds: float = 60) -> list[str]:
        """Wait for its last word, after all answers: the modules of ours that it had to load."""
        modules: list[str] = self.receive(seconds)
        return modules


class Plainly(_Child):
    """The plain loop under way, over the same connections."""

    def __init__(self, environ: Mapping[str, str], names: Sequence[str], project: str, token_url: str) -> None:
        super().__init__(loop_plainly, dict(environ), list(names), project, token_url)

    def refused(self, seconds: float) -> list[str]:
        """Wait for its end; return the connections that the server refused."""
        names: list[str] = self.receive(seconds)
        return names


def loop_plainly(environ: dict[str, str], names: list[str], project: str, token_url: str, answers: Connection) -> None:
    """Be the process of the plain loop."""
    os.environ.update(environ)
    from tests.baselines.plain_loop import refresh_all  # noqa: PLC0415 - this process's

    answers.send(refresh_all(names, project, token_url))
    answers.close()


class _Hurry:
    """A clock that may be ahead, and on which waiting takes no time."""

    def __init__(self, later: float) -> None:
        self._later = later

    def time(self) -> float:
        return time.time() + self._later

    def monotonic(self) -> float:
        return time.monotonic() + self._later

    def sleep(self, seconds: float) -> None:
        self._later += seconds


def carry_out(  # noqa: PLR0913, PLR0917 - a process's arguments
    environ: dict[str, str], body: dict[str, object], logs: str, later: float, times: int, answers: Connection
) -> None:
    """Be the process."""
    output = os.open(logs, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    os.environ.update(environ)

    import flask  # noqa: PLC0415 - this process's, and loaded already

    import main  # noqa: PLC0415
    from token_refresh import providers, wiring  # noqa: PLC0415

    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG)
    there = set(sys.modules)
    wiring.time = _Hurry(later)  # type: ignore[attr-defined, assignment]
    # Those of PROVIDERS_FILE are enough: to read a hundred others takes longer than a run.
    providers.BUILT_IN = Path(os.devnull)  # type: ignore[misc]
    app = flask.Flask("one-run")
    for _ in range(times):
        with app.test_request_context("/", method="POST", data=json.dumps(body).encode()):
            reply = app.make_response(main.refresh_http(flask.request))
        answers.send((reply.status_code, reply.get_data(as_text=True)))
    answers.send(sorted(name for name in set(sys.modules) - there if name.startswith("token_refresh")))
    answers.close()
