"""Servers that misbehave on loopback, by script."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from token_refresh.core.http import HttpRequest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\n\r\n{}"
PATIENCE = 0.4
SLACK = 1.5


class ScriptedServer:
    """A socket server that hands each connection to a script and counts them."""

    def __init__(self, script: Callable[[socket.socket], None]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                self._script(connection)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)


@contextmanager
def serving(script: Callable[[socket.socket], None]) -> Iterator[ScriptedServer]:
    server = ScriptedServer(script)
    try:
        yield server
    finally:
        server.close()


def request(port: int, scheme: str = "http") -> HttpRequest:
    url = f"{scheme}://127.0.0.1:{port}/token?refresh_token=canary-1234"
    return HttpRequest("POST", url, {"Content-Type": "text/plain"}, b"secret=canary-1234")


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"canary-1234"):
        chunk = connection.recv(4096)
        if not chunk:
            raise ConnectionResetError
        data += chunk
    return data


def answering(reply: bytes) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        while True:
            read_request(connection)
            connection.sendall(reply)

    return script


def sleeping_until_closed(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def dripping(head: bytes) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return script
