"""HTTP to providers on urllib3: one send, no redirect, bounded in time and size, honest about what may have left.

Whether a request can have reached the provider decides whether a single-use refresh token may be spent. So it is not
guessed from the exception's type (a TLS failure may be a handshake's or a reply's): the connection itself notes the
moment before the first byte of the request goes out.
"""

from __future__ import annotations

import http.client
import io
import logging
import threading
import time
from typing import Any, Final
from urllib.parse import urlsplit

import certifi
from urllib3 import PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from token_refresh.core.http import MAX_REPLY_BYTES, HttpReply, HttpRequest
from token_refresh.errors import NotSent, ReplyLost

_CHUNK: Final = 1 << 14
_CONNECTIONS: Final = 32  # kept alive: to as many hosts, and to each
# Their lines quote the request line, and `request_format = "query"` puts the refresh token there.
_TALKATIVE: Final = ("urllib3.connectionpool", "urllib3.connection")


class _Attempt(threading.local):
    """The request that this thread is sending: until when, and whether a byte of it may have left."""

    deadline = 0.0
    sent = False

    def remaining(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("HTTP_TIMEOUT")
        return left


_attempt = _Attempt()


class _BoundedReader(io.RawIOBase):
    """A reply's bytes; each read waits for what is left of the whole time, so that a slow drip ends too."""

    def __init__(self, sock: Any, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_attempt.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(sock, self.fp.detach()))


class _Noting:
    """Connects first and notes the sending then: what fails before has not left this machine."""

    sock: Any

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        self.sock.settimeout(_attempt.remaining())
        _attempt.sent = True
        super().send(data)  # type: ignore[misc]


class _Connection(_Noting, HTTPConnection):
    response_class = _BoundedResponse


class _TlsConnection(_Noting, HTTPSConnection):
    response_class = _BoundedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class PooledTransport:
    """Send requests to providers, keeping connections alive; safe for threads.

    `timeout` (s) bounds an exchange from the look-up of the name to the last byte. Proxies, netrc and cookies of the
    environment are not used: an `Authorization` or a destination that nobody declared has no place here. `ca_bundle`
    names a file of trusted certificates instead of certifi's.
    """

    def __init__(self, timeout: float, *, ca_bundle: str | None = None) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.ERROR)
        self._timeout = timeout
        self._pools = PoolManager(_CONNECTIONS, maxsize=_CONNECTIONS, ca_certs=ca_bundle or certifi.where())
        self._pools.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(self, request: HttpRequest) -> HttpReply:
        """Send a request once.

        Raises `NotSent` when nothing can have left this machine, `ReplyLost` when something may have and no complete
        reply came within the time.
        """
        host = urlsplit(request.url).hostname
        _attempt.deadline = time.monotonic() + self._timeout
        _attempt.sent = False
        try:
            return self._exchange(request)
        except Exception:  # noqa: BLE001 - urllib3, http.client and ssl raise what they like
            # Only the moment counts; and their texts quote the URL, so they are not chained.
            if _attempt.sent:
                raise ReplyLost(f"no complete reply from {host}") from None
            raise NotSent(f"no connection to {host}") from None

    def close(self) -> None:
        """Close idle connections."""
        self._pools.clear()

    def _exchange(self, request: HttpRequest) -> HttpReply:
        response = self._pools.urlopen(
            request.method,
            request.url,
            body=request.body or None,
            headers=dict(request.headers),
            timeout=Timeout(total=self._timeout),
            redirect=False,
            retries=False,
            preload_content=False,
        )
        body = bytearray()
        whole = False
        try:
            while len(body) <= MAX_REPLY_BYTES:
                chunk = response.read(_CHUNK, decode_content=True)
                if not chunk:
                    whole = True
                    break
                body += chunk
        finally:
            if whole:
                response.release_conn()
            else:
                response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpReply(response.status, headers, bytes(body[:MAX_REPLY_BYTES]), too_large=not whole)
