"""The transport against servers that misbehave: what may have left this machine is told exactly."""

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import logging
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from token_refresh.adapters.http import PooledTransport
from token_refresh.core.http import MAX_REPLY_BYTES, HttpReply, HttpRequest
from token_refresh.errors import NotSent, ReplyLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(30)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\n\r\n{}"
PATIENCE = 0.4
SLACK = 1.5


class Server:
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
def serving(script: Callable[[socket.socket], None]) -> Iterator[Server]:
    server = Server(script)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def transport() -> Iterator[PooledTransport]:
    transport = PooledTransport(PATIENCE)
    yield transport
    transport.close()


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


def test_a_reply_has_lower_case_headers_and_all_of_its_body(transport: PooledTransport) -> None:
    with serving(answering(OK)) as server:
        reply = transport.send(request(server.port))
    assert reply == HttpReply(200, {"content-length": "2", "x-one": "1"}, b"{}")


def test_what_is_sent_is_what_was_asked_for() -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    with serving(script) as server:
        PooledTransport(PATIENCE).send(request(server.port))
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /token?refresh_token=canary-1234 HTTP/1.1"
    assert "Content-Type: text/plain" in lines
    assert body == b"secret=canary-1234"
    assert not any(line.lower().startswith(("cookie", "authorization")) for line in lines)


def test_connections_are_kept_alive(transport: PooledTransport) -> None:
    with serving(answering(OK)) as server:
        for _ in range(5):
            transport.send(request(server.port))
        assert server.connections == 1


def test_threads_share_the_pool(transport: PooledTransport) -> None:
    replies: list[HttpReply] = []
    with serving(answering(OK)) as server:
        threads = [
            threading.Thread(target=lambda: replies.append(transport.send(request(server.port)))) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert [reply.status for reply in replies] == [200] * 16


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer(transport: PooledTransport, status: int) -> None:
    reply = f"HTTP/1.1 {status} Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".encode()
    with serving(answering(reply)) as server:
        assert transport.send(request(server.port)).status == status
        assert server.connections == 1


def test_a_refused_connection_sent_nothing(transport: PooledTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NotSent) as caught:
        transport.send(request(port))
    assert str(caught.value) == "no connection to 127.0.0.1"


def test_a_name_that_does_not_resolve_sent_nothing(transport: PooledTransport) -> None:
    with pytest.raises(NotSent):
        transport.send(HttpRequest("POST", "http://nobody.invalid/token"))


def test_a_connection_that_does_not_open_in_time_sent_nothing(transport: PooledTransport) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            began = time.monotonic()
            with pytest.raises(NotSent):
                transport.send(request(full.getsockname()[1]))
            assert time.monotonic() - began < PATIENCE + SLACK
        finally:
            for filler in fillers:
                filler.close()


def test_a_tls_handshake_that_fails_sent_nothing(transport: PooledTransport) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(script) as server, pytest.raises(NotSent):
        transport.send(request(server.port, "https"))


def test_a_tls_handshake_that_hangs_sent_nothing(transport: PooledTransport) -> None:
    began = time.monotonic()
    with serving(sleeping_until_closed) as server, pytest.raises(NotSent):
        transport.send(request(server.port, "https"))
    assert time.monotonic() - began < PATIENCE + SLACK


def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    transport: PooledTransport, self_signed: tuple[str, str]
) -> None:
    seen: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed)

    def script(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            seen.append(secure.recv(4096))

    with serving(script) as server, pytest.raises(NotSent):
        transport.send(request(server.port, "https"))
    assert [data for data in seen if data] == []


def secure(self_signed: tuple[str, str], script: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed)

    def wrapped(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            script(inner)

    return wrapped


def test_a_trusted_certificate_carries_requests_and_is_kept_alive(self_signed: tuple[str, str]) -> None:
    transport = PooledTransport(5, ca_bundle=self_signed[0])
    with serving(secure(self_signed, answering(OK))) as server:
        assert [transport.send(request(server.port, "https")).body for _ in range(3)] == [b"{}"] * 3
        assert server.connections == 1
        transport.close()


def test_a_slow_drip_over_tls_ends_in_time(self_signed: tuple[str, str]) -> None:
    transport = PooledTransport(PATIENCE, ca_bundle=self_signed[0])
    script = secure(self_signed, dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"))
    began = time.monotonic()
    with serving(script) as server, pytest.raises(ReplyLost):
        transport.send(request(server.port, "https"))
    assert time.monotonic() - began < PATIENCE + SLACK


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(read_request, id="closed without a word"),
        pytest.param(answering(b""), id="silence"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), id="body cut short"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz"), id="broken chunks"),
        pytest.param(answering(b"no HTTP at all\r\n\r\n"), id="no HTTP"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"), id="dripping body"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX-Long: "), id="dripping header"),
        pytest.param(dripping(b"H"), id="dripping status line"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"), id="no gzip"
        ),
    ],
)
def test_after_the_request_anything_may_have_happened(
    transport: PooledTransport, script: Callable[[socket.socket], None]
) -> None:
    began = time.monotonic()
    with serving(script) as server:
        with pytest.raises(ReplyLost) as caught:
            transport.send(request(server.port))
        assert server.connections == 1
        transport.close()
    assert time.monotonic() - began < PATIENCE + SLACK
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


def test_a_kept_connection_that_dies_under_a_request_is_not_tried_again(transport: PooledTransport) -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(OK)
        requests.append(read_request(connection))

    with serving(script) as server:
        assert transport.send(request(server.port)).status == 200
        with pytest.raises(ReplyLost):
            transport.send(request(server.port))
        assert (server.connections, len(requests)) == (1, 2)


def test_a_kept_connection_that_is_closed_already_is_replaced(transport: PooledTransport) -> None:
    closed = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with serving(script) as server:
        for expected in (1, 2):
            closed.clear()
            assert transport.send(request(server.port)).status == 200
            assert closed.wait(10)
            assert server.connections == expected


def test_more_than_a_mebibyte_is_cut_and_not_read_on() -> None:
    transport = PooledTransport(5)
    big = b"x" * (3 * MAX_REPLY_BYTES)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(big)}\r\n\r\n".encode()
    with serving(answering(head + big)) as server:
        reply = transport.send(request(server.port))
        assert (reply.too_large, len(reply.body)) == (True, MAX_REPLY_BYTES)
        assert transport.send(request(server.port)).too_large
        assert server.connections == 2


def test_a_mebibyte_is_read_whole() -> None:
    body = b"x" * MAX_REPLY_BYTES
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with serving(answering(head + body)) as server:
        reply = PooledTransport(5).send(request(server.port))
    assert (reply.too_large, len(reply.body)) == (False, MAX_REPLY_BYTES)


def test_a_small_reply_that_unpacks_without_end_is_cut() -> None:
    body = gzip.compress(b"x" * (64 * MAX_REPLY_BYTES))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with serving(answering(head + body)) as server:
        reply = PooledTransport(5).send(request(server.port))
    assert (reply.too_large, len(reply.body)) == (True, MAX_REPLY_BYTES)


def test_a_packed_reply_is_unpacked(transport: PooledTransport) -> None:
    body = gzip.compress(b"{}")
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with serving(answering(head + body)) as server:
        assert transport.send(request(server.port)).body == b"{}"


def test_the_environment_adds_neither_credentials_nor_a_proxy(
    transport: PooledTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with serving(answering(OK)) as server:
        assert transport.send(request(server.port)).status == 200


def test_no_log_line_quotes_the_url(transport: PooledTransport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    defective = b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}"
    for reply in (OK, defective, b"nonsense\r\n\r\n"):
        with serving(answering(reply)) as server, suppress(ReplyLost):
            transport.send(request(server.port))
    assert "canary" not in caplog.text


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, key_pem = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(pem), str(key_pem)
