"""A server as a process of its own, with a control endpoint through which tests and the demo prepare it."""

from __future__ import annotations

import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from infra.local.processes.process import DIRECT, Process, ProcessFailedError


class RequestRefusedError(RuntimeError):
    """The control endpoint refused; the message says why."""


class ControlledServer:
    """An authorization server on loopback; a context manager that starts and stops it.

    A subclass says what to start and where, once started, its keys are; the server prints its URL on a line.
    """

    name = ""
    control = ""

    def __init__(self, *, logs: Path | None = None) -> None:
        """Prepare it; `logs` is a folder for its output (default: a temporary one)."""
        self.logs = logs
        self._exits = ExitStack()
        self._process: Process | None = None
        self.url = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except ProcessFailedError:
            # Seen once in several hundred starts of the npm peer: it hung before its first line. We found no reason.
            self._start()
        return self

    def _start(self) -> None:
        with ExitStack() as exits:
            logs = self.logs or Path(exits.enter_context(tempfile.TemporaryDirectory(prefix=f"{self.name}-")))
            process = exits.enter_context(Process(self.name, self.command(), logs=logs, cwd=self.folder()))
            self.url = process.wait_for_line(r"(?m)^(http://127\.0\.0\.1:\d+)\n")[1]
            process.wait_for_http(self.jwks_url)
            self._process, self._exits = process, exits.pop_all()

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def command(self) -> Sequence[str]:
        """Return the command that starts the server."""
        raise NotImplementedError

    def folder(self) -> Path:
        """Return the folder to start it in."""
        raise NotImplementedError

    @property
    def jwks_url(self) -> str:
        """Name the document with the public keys (RFC 7517)."""
        raise NotImplementedError

    @property
    def issuer(self) -> str:
        """Name the issuer, as in ID tokens and the `iss` parameter (RFC 9207)."""
        return self.url

    def log(self) -> str:
        """Read what the process has written."""
        return self._process.log() if self._process else ""

    def revoke(self, refresh_token: str) -> None:
        """Kill the grant this refresh token belongs to."""
        self.ask("revoke", refresh_token=refresh_token)

    def is_alive(self, refresh_token: str) -> bool:
        """Tell whether this very refresh token would be accepted (a grace period does not count)."""
        return bool(self.ask("look", refresh_token=refresh_token)["alive"])

    def is_grant_alive(self, refresh_token: str) -> bool:
        """Tell whether this refresh token or one that came from it by rotation would be accepted."""
        return bool(self.ask("look", refresh_token=refresh_token)["grant_alive"])

    def calls(self, *, clear: bool = False) -> list[dict[str, Any]]:
        """List the calls of the token endpoint, oldest first; tokens appear as SHA-256 only."""
        calls: list[dict[str, Any]] = self.ask("calls", clear=clear)["calls"]
        return calls

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Run one command of the control endpoint; raises RequestRefusedError when it is refused."""
        request = urllib.request.Request(  # noqa: S310 - a loopback URL of our own
            f"{self.url}/{self.control}/{command}",
            data=json.dumps(arguments).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with DIRECT.open(request, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise RequestRefusedError(f"{command}: {refusal.read(500).decode(errors='replace')}") from refusal
