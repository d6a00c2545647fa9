"""The transport against servers that misbehave: what may have left this machine is told exactly."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.worlds.odd_servers import OK, PATIENCE, SLACK, answering, dripping, read_request, request, serving
from token_refresh.adapters.http import PooledTransport
from token_refresh.core.http import MAX_REPLY_BYTES, HttpReply, HttpRequest
from token_refresh.errors import NotSent, ReplyLost

pytestmark = pytest.mark.timeout(30)


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
