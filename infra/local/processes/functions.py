"""The entry points of `main.py` under functions-framework, each in a process of its own, as Cloud Run runs them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from infra.local.processes.process import Process, free_port, python_module

MAIN = Path(__file__).resolve().parents[3] / "main.py"
SIGNATURES = {
    "refresh_http": "http",
    "refresh": "cloudevent",
    "consent": "http",
    "notify": "cloudevent",
    "status": "http",
    "token": "http",
}


class Function:
    """One entry point at `url`; a context manager that stops it. The port stays the same across restarts."""

    def __init__(self, name: str, *, environment: Mapping[str, str], logs: Path, source: Path = MAIN) -> None:
        """Prepare it; `environment` is read at each start, so it may still be filled in."""
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment
        self._logs = logs
        self._source = source
        self.process: Process | None = None

    def start(self) -> None:
        """Start the process; `wait` waits until it answers."""
        command = [
            *python_module("functions_framework", "--source", str(self._source), "--target", self.name),
            *("--signature-type", SIGNATURES.get(self.name, "http"), "--host", "127.0.0.1", "--port", str(self.port)),
        ]
        self.process = Process(self.name, command, logs=self._logs, env=self._environment, cwd=self._source.parent)

    def wait(self) -> None:
        """Wait until it answers; raises ProcessFailedError with the end of its log when it does not."""
        if self.process is not None:
            # The framework answers this path itself: the function is not called.
            self.process.wait_for_http(f"{self.url}/favicon.ico")

    def restart(self) -> None:
        """Kill it (SIGKILL), start it anew on the same port, and wait until it answers."""
        if self.process is not None:
            self.process.kill()
        self.start()
        self.wait()

    def log(self) -> str:
        """Read what it has written, over all restarts."""
        return self.process.log() if self.process else ""

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            self.start()
            exits.callback(self.stop)
            self.wait()
            exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def terminate(self) -> None:
        """Ask it to end and do not wait."""
        if self.process is not None:
            self.process.terminate()

    def stop(self) -> None:
        """Stop it; harmless when it has not been started."""
        if self.process is not None:
            self.process.stop()
