"""The transport and TLS: without a good certificate and a finished handshake nothing leaves this machine."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.worlds.odd_servers import OK, PATIENCE, SLACK, answering, dripping, request, serving, sleeping_until_closed
from token_refresh.adapters.http import PooledTransport
from token_refresh.errors import NotSent, ReplyLost

pytestmark = pytest.mark.timeout(30)


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
