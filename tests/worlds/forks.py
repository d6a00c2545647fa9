"""Python's processes by a fork of one that has loaded what they load: half of a stack's start would be imports.

What is started so is scenery, or runs once more. That functions and servers start from nothing is shown where nothing
is replaced: `tests/e2e/test_refresh_*`, `tests/loopback/test_local_stack.py`, and the demo; that examples import what
they use, by the first run of each.
"""

from __future__ import annotations

import atexit
import io
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
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
    """A module or a program under way: what `Process` uses of `subprocess.Popen`."""

    def __init__(
        self, command: Sequence[str], *, output: Path, errors: Path | None = None, env: Mapping[str, str], cwd: Path
    ) -> None:
        """Start what `python [-m]` would; returns when it has its process group."""
        ready, theirs = CONTEXT.Pipe(duplex=False)
        arguments = (list(command), (str(output), str(errors or output)), dict(env), str(cwd), theirs)
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

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired` as the other one does."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self._process.exitcode


def become(
    command: list[str], outputs: tuple[str, str], environ: dict[str, str], folder: str, ready: Connection
) -> None:
    """Be the process."""
    os.setsid()
    for number, path in enumerate(outputs, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8", write_through=True)
        for number in (1, 2)
    )
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.path.insert(0, folder)
    ready.send(None)
    ready.close()
    try:
        if command[0] == "-m":
            sys.argv = command[1:]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = command
            runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out


def run(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as `subprocess.run(["python", *command])` does."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        fork = Fork(command, output=output, errors=errors, env=env, cwd=cwd)
        try:
            code = fork.wait(seconds)
        finally:
            fork.kill()
        return subprocess.CompletedProcess(list(command), code, output.read_text(), errors.read_text())


def start(command: Sequence[str], *, output: Path, env: Mapping[str, str], cwd: Path | None) -> Any:
    """Start a child: of those that are started most often, a fork."""
    if list(command[:2]) == [sys.executable, "-m"] and command[2] in FORKED:
        return Fork(command[1:], output=output, env=env, cwd=cwd or Path.cwd())
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
