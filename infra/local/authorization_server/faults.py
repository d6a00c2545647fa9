"""What can go wrong at the token endpoint, on demand, and a journal of what was asked of it.

This is WSGI around the real server: a fault happens before or after the server has committed, which is the difference
between a refresh token that is still good and one that is spent.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

PATH = "/token/"
# Set by the server: the client's socket, so that a fault can drop the connection.
CONNECTION = "local.connection"
REASONS = {429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}


@dataclass
class Fault:
    """What happens to the next `times` matching calls (0: to all), after `skip` more have passed unharmed.

    In this order: the server handles the call if `commit` is set or nothing below replaces its answer; `delay` seconds
    pass; then the connection is dropped (`drop`), held open until the faults are cleared (`hang`), or answered with
    `status`, `headers` and `body`; without any of the three the server's own answer is sent.
    """

    client_id: str = ""
    skip: int = 0
    times: int = 1
    commit: bool = False
    delay: float = 0.0
    drop: bool = False
    hang: bool = False
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def replaces_answer(self) -> bool:
        """Tell whether the server's own answer never reaches the client."""
        return self.drop or self.hang or self.status > 0


@dataclass
class Call:
    """One call of the token endpoint; tokens appear as SHA-256 only."""

    number: int
    client_id: str
    grant_type: str
    refresh_token_sha256: str
    at: float
    committed: bool = False
    result: str = "waiting"
    issued_refresh_token_sha256: str = ""


class TokenEndpoint:
    """Stand before `application` and handle POST `/token/`; everything else passes."""

    application: Application

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._faults: list[Fault] = []
        self._calls: list[Call] = []

    def calls(self) -> list[dict[str, Any]]:
        """List the calls so far, oldest first."""
        with self._lock:
            return [asdict(call) for call in self._calls]

    def forget_calls(self) -> None:
        """Start the journal afresh."""
        with self._lock:
            self._calls.clear()

    def faults(self) -> list[dict[str, Any]]:
        """List the faults that are still to happen."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def add_fault(self, fault: Fault) -> None:
        """Let `fault` happen; the first fault that matches a call takes it."""
        with self._lock:
            self._faults.append(fault)

    def clear_faults(self) -> None:
        """Remove all faults and let go of the calls that hang."""
        with self._lock:
            self._faults.clear()
            self._released.set()
            self._released = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return self.application(environ, start_response)
        call, fault, released = self._enter(_form(environ), environ)
        answer: list[Any] = []
        body = b""
        if fault.commit or not fault.replaces_answer:
            body = b"".join(self.application(environ, lambda *args: answer.extend(args)))
            self._note(call, answer[0], body)
        if fault.hang:
            call.result = "hanging"
            released.wait()
        released.wait(fault.delay)
        if fault.drop or fault.hang:
            call.result = "dropped"
            _drop(environ[CONNECTION])
        if fault.status:
            call.result = f"fault {fault.status}"
            reason = REASONS.get(fault.status, "Status")
            body = fault.body.encode()
            answer = [f"{fault.status} {reason}", [*fault.headers.items(), ("Content-Length", str(len(body)))]]
        start_response(*answer[:2])
        return [body]

    def _enter(self, form: dict[str, str], environ: Environ) -> tuple[Call, Fault, threading.Event]:
        refresh_token = form.get("refresh_token", "")
        with self._lock:
            number = len(self._calls) + 1
            client_id = form.get("client_id") or _basic_user(environ.get("HTTP_AUTHORIZATION", ""))
            call = Call(number, client_id, form.get("grant_type", ""), sha256(refresh_token), time.time())
            self._calls.append(call)
            return call, self._take_fault(client_id), self._released

    def _take_fault(self, client_id: str) -> Fault:
        for fault in self._faults:
            if fault.client_id in {"", client_id}:
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times == 1:
                    self._faults.remove(fault)
                fault.times -= fault.times > 0
                return fault
        return Fault()

    def _note(self, call: Call, status: str, body: bytes) -> None:
        try:
            reply = json.loads(body)
        except ValueError:
            reply = {}
        call.issued_refresh_token_sha256 = sha256(reply.get("refresh_token", ""))
        call.committed = status.startswith("200")
        call.result = reply.get("error") or status[:3]


def sha256(token: str) -> str:
    """Name a token without telling it; empty for none."""
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def _form(environ: Environ) -> dict[str, str]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return dict(urllib.parse.parse_qsl(body.decode(errors="replace")))


def _basic_user(header: str) -> str:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user = base64.b64decode(credentials).decode().partition(":")[0]
    except ValueError:
        return ""
    return urllib.parse.unquote(user)


def _drop(connection: socket.socket) -> NoReturn:
    connection.shutdown(socket.SHUT_RDWR)
    # The server below takes this for a client that went away: nothing is sent or logged.
    raise ConnectionResetError
