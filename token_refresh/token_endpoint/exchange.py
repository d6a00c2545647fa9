"""The use case at the heart: one exchange at a token endpoint, judged.

One request is sent per call. The exception is DPoP's `use_dpop_nonce` (RFC 9449, section 8), which spends nothing.
Trying again after an unknown outcome is the caller's decision, who holds the lease.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, assert_never
from urllib.parse import urlsplit

from token_refresh.core.boundaries import resolve
from token_refresh.core.grant import Client, ClientCredentialsGrant, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.url import learned_variables
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import SUCCESS, Asked, GrantKind, classify_reply
from token_refresh.core.token_endpoint.outcome import Refreshed, TokenOutcome, Unavailable, UnknownOutcome
from token_refresh.core.token_endpoint.reply import parse_body
from token_refresh.core.token_endpoint.request import (
    basic_credentials,
    build_assertion_params,
    build_client_assertion_claims,
    build_client_credentials_params,
    build_code_params,
    build_refresh_params,
    build_resource_request,
    build_service_account_claims,
    build_token_request,
)
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured, NotSent, ReplyLost
from token_refresh.ports import HttpTransport, Signer
from token_refresh.token_endpoint.checks import check, check_client
from token_refresh.token_endpoint.dpop import DpopTransport

# What an owner may be called beside the subject (OpenID Connect Core, section 5.1; GitHub's `login`).
_NAMES_OF_OWNER: Final = ("email", "email_verified", "preferred_username", "login")


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of a token endpoint, before client authentication; `secrets` are those in `params`."""

    url: str
    params: Mapping[str, str] = field(repr=False)
    secrets: tuple[Secret | None, ...]
    kind: GrantKind = GrantKind.OWNER
    sent: Secret | None = None
    scopes: Sequence[str] = ()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Exchange:
    """Exchanges grants. One for the instance's life; safe for threads."""

    transport: HttpTransport
    signer: Signer
    clock: Callable[[], float]
    proving: DpopTransport = field(init=False)

    def __post_init__(self) -> None:
        self.proving = DpopTransport(self.transport, self.signer, self.clock)

    def check(self, request: TokenRequest) -> None:
        """Find whatever can be found wrong before anything is sent; raises `Misconfigured`."""
        check(request, self.signer)

    def refresh(self, request: TokenRequest) -> TokenOutcome:
        """Exchange a grant once; raises `Misconfigured` and nothing else."""
        self.check(request)
        provider, connection, grant = request.provider, request.connection, request.grant
        url, values = resolve(request.endpoint, request)
        match grant:
            case RefreshTokenGrant(refresh_token=token):
                question = _Question(url, build_refresh_params(grant), (token,), sent=token)
            case ServiceAccountGrant():
                claims = build_service_account_claims(grant, url, connection.scopes, connection.owner, self.clock())
                assertion = self.signer.sign(grant.private_key, claims, key_id=grant.private_key_id)
                question = _Question(url, build_assertion_params(assertion), (assertion,), GrantKind.SERVICE_ACCOUNT)
            case ClientCredentialsGrant():
                params = build_client_credentials_params(provider, connection.scopes)
                question = _Question(url, params, (), GrantKind.CLIENT)
            case None:
                raise Misconfigured(f"connection {connection.name} has no grant")
            case _:
                assert_never(grant)
        outcome = self._ask(replace(question, scopes=connection.scopes, values=values), provider, request.client)
        if not isinstance(outcome, Refreshed):
            return outcome
        outcome = replace(outcome, scope=outcome.scope or request.scope)
        if not isinstance(grant, RefreshTokenGrant):
            # RFC 6749, section 4.4.3: none should come. Stored, it would turn a key or a client into an owner's grant.
            return replace(outcome, refresh_token=None)
        return replace(outcome, extra={**learned_variables(provider, grant.variables), **outcome.extra})

    def redeem(
        self, request: TokenRequest, *, code: Secret, code_verifier: Secret | None, redirect_uri: str
    ) -> TokenOutcome:
        """Exchange an authorization code (RFC 6749, section 4.1.3); raises `Misconfigured`.

        `GrantDead` here means that the code is spent, expired or not ours. Where the token reply tells the account,
        `extra` holds what it says.
        """
        provider = request.provider
        check_client(request, self.signer)
        url, values = resolve(provider.token_url, request)
        params = build_code_params(code, code_verifier, redirect_uri)
        question = _Question(url, params, (code, code_verifier), values=values)
        return self._ask(question, _keeping_account(provider), request.client)

    def fetch_json(self, provider: Provider, url: str, access_token: Secret) -> Mapping[str, object] | None:
        """GET a JSON object as the owner (userinfo); None when the provider does not answer with one.

        `url` is resolved already. Raises `NotSent`, `ReplyLost` (also for an answer that means trouble which passes).
        """
        reply = self.transport.send(build_resource_request(provider, url, access_token))
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise ReplyLost(f"{urlsplit(url).hostname} answered {reply.status}")
        return parse_body(reply) if reply.status in SUCCESS else None

    def _ask(self, question: _Question, provider: Provider, client: Client | None) -> TokenOutcome:
        now = self.clock()
        client_assertion = sign_client_assertion(self.signer, client, provider.client_auth, question.url, now)
        request = build_token_request(
            provider,
            question.url,
            question.params,
            client,
            values=question.values,
            scopes=question.scopes,
            client_assertion=client_assertion,
        )
        known = [*question.secrets, client_assertion]
        if client is not None:
            known += [client.client_secret, basic_credentials(client)]
        asked = Asked(now, tuple(known), question.sent, question.kind)
        try:
            if client is None or client.dpop_private_key is None:
                reply = self.transport.send(request)
            else:
                reply = self.proving.send(request, client.dpop_private_key)
        except NotSent:
            return Unavailable("not_sent")
        except ReplyLost:
            return UnknownOutcome("reply_lost")
        return classify_reply(reply, provider, asked)


def sign_client_assertion(
    signer: Signer, client: Client | None, client_auth: str, audience: str, now: float
) -> Secret | None:
    """Sign what proves who the client is (RFC 7523), where that is its way; None where it is not.

    `audience` is what names the authorization server, at whichever of its endpoints: the token endpoint's URL (RFC
    7523, section 3; OpenID Connect Core, section 9). RFC 7009 and RFC 8414 name no other value for the revocation
    endpoint, and there are servers that refuse that endpoint's own URL.
    """
    if client is None or client.private_key is None or client_auth != "private_key_jwt":
        return None
    claims = build_client_assertion_claims(client.client_id, audience, secrets.token_urlsafe(16), now)
    return signer.sign(client.private_key, claims, key_id=client.private_key_id)


def _keeping_account(provider: Provider) -> Provider:
    """Return `provider` so that a token reply's words about the account are kept, where it has any."""
    if provider.subject is None or provider.subject.source != "token_response":
        return provider
    path = provider.subject.path
    return replace(provider, keep=(*provider.keep, path, path.partition(".")[0], *_NAMES_OF_OWNER))
