"""Python's processes by a fork of one that has loaded what they load: half of a stack's start would be imports.

What is started so is scenery. That functions and servers start from nothing is shown where nothing is replaced:
`tests/e2e/test_refresh_*`, `tests/loopback/test_local_stack.py`, and the demo.
"""

from __future__ import annotations

import atexit
import io
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from infra.local.processes.process import Process

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.worlds.warm"])
PATIENCE = 30.0
FORKED = ("functions_framework", "infra.local.authorization_server")
_START = Process.start


class Fork:
    """A module under way: what `Process` uses of `subprocess.Popen`."""

    def __init__(self, command: Sequence[str], *, output: Path, env: Mapping[str, str], cwd: Path | None) -> None:
        """Start it as `python -m`; returns when it has its process group."""
        ready, theirs = CONTEXT.Pipe(duplex=False)
        arguments = (list(command[2:]), str(output), dict(env), str(cwd or Path.cwd()), theirs)
        self._process = CONTEXT.Process(target=become, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        with ready:
            ready.poll(PATIENCE)
        assert self._process.pid
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired` as the other one does."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self._process.exitcode


def become(arguments: list[str], output: str, environ: dict[str, str], folder: str, ready: Connection) -> None:
    """Be the process."""
    os.setsid()
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w", closefd=False), write_through=True) for number in (1, 2)
    )
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv = arguments
    ready.send(None)
    ready.close()
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out


def start(command: Sequence[str], *, output: Path, env: Mapping[str, str], cwd: Path | None) -> Any:
    """Start a child: of those that are started most often, a fork."""
    if list(command[:2]) == [sys.executable, "-m"] and command[2] in FORKED:
        return Fork(command, output=output, env=env, cwd=cwd)
    return _START(command, output=output, env=env, cwd=cwd)


def install() -> None:
    """Let `Process` start children so from now on."""
    Process.start = staticmethod(start)  # type: ignore[method-assign]


@contextmanager
def from_nothing() -> Iterator[None]:
    """Start no child by a fork meanwhile."""
    before, Process.start = Process.start, staticmethod(_START)  # type: ignore[method-assign]
    try:
        yield
    finally:
        Process.start = staticmethod(before)  # type: ignore[method-assign]
