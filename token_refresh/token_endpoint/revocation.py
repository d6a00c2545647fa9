"""Revokes grants at their providers: the refresh token first, then the access token (RFC 7009).

Safe to repeat: a token that is gone already counts as revoked. The caller holds the connection's lease, so that no
exchange replaces the refresh token meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from token_refresh.core.boundaries import resolve
from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.provider.url import fill
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import Asked
from token_refresh.core.token_endpoint.request import basic_credentials
from token_refresh.core.token_endpoint.revocation import (
    ACCESS_TOKEN,
    REFRESH_TOKEN,
    NotRevoked,
    Revocation,
    Revoked,
    build_revocation_request,
    classify_revocation,
)
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured, NotSent, ReplyLost
from token_refresh.ports import HttpTransport, Signer
from token_refresh.token_endpoint.exchange import sign_client_assertion


@dataclass(frozen=True, slots=True)
class Revoker:
    """Revokes grants. One for the instance's life; safe for threads."""

    transport: HttpTransport
    signer: Signer
    clock: Callable[[], float]

    def check(self, request: TokenRequest) -> RefreshTokenGrant:
        """Return the grant as one that can be revoked; raises `Misconfigured` where there is nothing to ask."""
        if not isinstance(request.grant, RefreshTokenGrant):
            raise Misconfigured("there is no owner's grant to revoke: disable the key or the client at the provider")
        if request.provider.revocation_url is None:
            raise Misconfigured(
                f"provider {request.provider.name} has no revocation_url: "
                "its owner can end the grant in the account's settings there"
            )
        return request.grant

    def revoke(self, request: TokenRequest, *, access_token: Secret | None) -> Revocation:
        """Revoke a grant; at most two requests. Raises `Misconfigured` where grant, URL or client cannot be used."""
        grant, client, provider = self.check(request), request.require_client(), request.provider
        own = {"client_id": quote(client.client_id, safe="")}
        url, values = resolve(fill(provider.revocation_url or "", own), request)
        audience, _ = resolve(provider.token_url, request)

        def end(token: Secret, hint: str) -> Revocation:
            now = self.clock()
            auth = provider.revocation.client_auth or provider.client_auth
            assertion = sign_client_assertion(self.signer, client, auth, audience, now)
            known = (token, assertion, client.client_secret, basic_credentials(client))
            try:
                reply = self.transport.send(
                    build_revocation_request(
                        provider, url, token, hint, client, values=values, client_assertion=assertion
                    )
                )
            except NotSent:
                return NotRevoked("not_sent")
            except ReplyLost:
                return NotRevoked("reply_lost")
            return classify_revocation(reply, provider, Asked(now, known))

        tokens = provider.revocation.tokens
        if tokens == ACCESS_TOKEN:
            if access_token is None:
                return NotRevoked("no_access_token")
            return end(access_token, ACCESS_TOKEN)
        ended = end(grant.refresh_token, REFRESH_TOKEN)
        if isinstance(ended, Revoked) and access_token is not None and tokens != REFRESH_TOKEN:
            end(access_token, ACCESS_TOKEN)
        return ended
