"""Start child processes, wait until they answer, and stop exactly those.

Every child gets a process group of its own, so a child that forks (gunicorn, the emulator's Java) is ended with all it
started, by process id and never by name; `warden` does it when the owner is killed. Its output goes to one file.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

STOP_SECONDS = 5.0
POLL_SECONDS = 0.02
# Below those that systems hand out to whoever asks for any: a child binds its port a moment after it was found.
_PORTS = range(20_000, 32_000)
# Loopback needs no proxy, whatever the environment says.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ProcessFailedError(RuntimeError):
    """A child ended, or did not answer in time; the message ends with the last lines of its output."""


class Process:
    """Run `command` as a child; a context manager that stops it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        logs: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start it at once; `env` is added to this process's environment, output goes to `logs`/`name`.log."""
        self.name = name
        self.log_path = logs / f"{name}.log"
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._popen = self.start(command, output=self.log_path, env=environment, cwd=cwd)
        self._stopped = False
        _tell_warden("+", self.pid)
        # A context manager is not left when the interpreter ends by sys.exit in another thread.
        atexit.register(self.stop)

    @staticmethod
    def start(
        command: Sequence[str], *, output: Path, env: Mapping[str, str], cwd: Path | None
    ) -> subprocess.Popen[bytes]:
        """Start a child in a group of its own, which appends to `output`."""
        with output.open("ab") as file:
            return subprocess.Popen(  # noqa: S603 - the commands are this package's own
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Name the child's process id, which is its process group as well."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Tell whether the child itself has not ended."""
        return self._popen.poll() is None

    def log(self) -> str:
        """Read all the child has written so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """Kill the whole group (SIGKILL) and reap the child."""
        self._signal(signal.SIGKILL)
        self._popen.wait(STOP_SECONDS)
        if not self._stopped:
            self._stopped = True
            atexit.unregister(self.stop)
            _tell_warden("-", self.pid)

    def terminate(self) -> None:
        """Ask the group to end (SIGTERM) and do not wait."""
        self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask the group to end, kill what is left after 5 s; harmless when it has ended."""
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(STOP_SECONDS)
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._stopped:  # its number may be another's by now
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for_line(self, pattern: str, *, seconds: float = 30.0) -> re.Match[str]:
        """Wait until its output matches `pattern`.

        Raises ProcessFailedError when it ends first or the time is up.
        """
        for _ in self._until(seconds, f"printed nothing like {pattern!r}"):
            if found := re.search(pattern, self.log()):
                return found
        raise AssertionError  # `_until` raises

    def wait_for_http(self, url: str) -> None:
        """Wait until `url` answers, with whatever status; raises ProcessFailedError as `wait_for_line` does."""
        for _ in self._until(60, f"did not answer at {url}"):
            if _answers(url):
                return

    def _until(self, seconds: float, complaint: str) -> Iterator[None]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            running = self.running
            yield
            if not running:
                raise ProcessFailedError(self._report(f"ended with status {self._popen.returncode}"))
            time.sleep(POLL_SECONDS)
        raise ProcessFailedError(self._report(f"{complaint} within {seconds:g} s"))

    def _report(self, what: str) -> str:
        tail = "\n".join(self.log().splitlines()[-20:])
        return f"{self.name} {what}\n{tail}"


def _answers(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=2):
            return True
    except urllib.error.HTTPError as answer:
        answer.close()
        return True
    except OSError:
        return False


@functools.cache
def _warden() -> subprocess.Popen[str]:
    warden = subprocess.Popen(  # noqa: S603 - a module of ours
        python_module("infra.local.processes.warden"),
        stdin=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
        start_new_session=True,
    )
    atexit.register(warden.communicate)
    return warden


def _tell_warden(what: str, pid: int) -> None:
    pipe = _warden().stdin
    if pipe is not None and not pipe.closed:
        with contextlib.suppress(BrokenPipeError):
            pipe.write(f"{what}{pid}\n")
            pipe.flush()


def python_module(module: str, *arguments: str) -> list[str]:
    """Build the command that runs `module` in this very interpreter."""
    return [sys.executable, "-m", module, *arguments]


def free_port() -> int:
    """Find a loopback port nobody listens on, of those that the system gives to no one else meanwhile."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def end_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into SystemExit, so that context managers stop their children as on Ctrl-C."""

    def leave(number: int, _frame: FrameType | None) -> Any:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
