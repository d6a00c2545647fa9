"""An issuer of security event tokens: it signs with real keys and publishes them on loopback."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(3)]


class Issuer(http.server.ThreadingHTTPServer):
    """Publishes keys at /certs, as many as `published` says, and counts how often they are read."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Certs)
        self.published: dict[str, Any] = {"k0": KEYS[0]}
        self.body: bytes | None = None
        self.reads = 0
        self.cuts = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/certs"

    def jwks(self) -> bytes:
        if self.body is not None:
            return self.body
        keys = [
            {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": "RS256"}
            for kid, key in self.published.items()
        ]
        return json.dumps({"keys": keys}).encode()


class _Certs(http.server.BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        self.server.reads += 1
        if self.server.cuts:
            self.close_connection = True
            return
        body = self.server.jwks()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve_keys() -> Iterator[Issuer]:
    """Serve the issuer's keys until the block ends."""
    server = Issuer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
