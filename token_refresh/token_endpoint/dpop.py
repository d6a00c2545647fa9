"""DPoP (RFC 9449): requests that prove the possession of a key, for providers that bind refresh tokens to one."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import CLIENT_ERROR
from token_refresh.core.token_endpoint.reply import parse_body
from token_refresh.core.token_endpoint.request import build_dpop_claims
from token_refresh.ports import HttpTransport, Signer


@dataclass(frozen=True, slots=True)
class DpopTransport:
    """Sends requests with a proof, and once more when the server asks for its nonce, which spends nothing."""

    transport: HttpTransport
    signer: Signer
    clock: Callable[[], float]
    # The newest of each origin (RFC 9449, section 8.2).
    nonces: dict[str, str] = field(default_factory=dict)

    def send(self, request: HttpRequest, key: Secret) -> HttpReply:
        """Send `request` with a proof by `key`. Raises `NotSent`, `ReplyLost`."""
        reply = self._send(request, key)
        if reply.headers.get("dpop-nonce") and wants_nonce(reply):
            reply = self._send(request, key)
        return reply

    def _send(self, request: HttpRequest, key: Secret) -> HttpReply:
        origin = "://".join(urlsplit(request.url)[:2])
        jti = secrets.token_urlsafe(16)
        claims = build_dpop_claims(request.method, request.url, jti, self.clock(), self.nonces.get(origin))
        proof = self.signer.sign_proof(key, claims).reveal()
        reply = self.transport.send(replace(request, headers={**request.headers, "DPoP": proof}))
        nonce = reply.headers.get("dpop-nonce")
        if nonce:
            self.nonces[origin] = nonce
        return reply


def wants_nonce(reply: HttpReply) -> bool:
    """Tell whether a server refused a proof for want of its nonce (RFC 9449, section 8)."""
    body = parse_body(reply) or {}
    return reply.status in CLIENT_ERROR and body.get("error") == "use_dpop_nonce"
