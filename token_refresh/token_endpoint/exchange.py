"""The use case at the heart: one exchange at a token endpoint, judged.

One request is sent per call. The exception is DPoP's `use_dpop_nonce` (RFC 9449, section 8), which spends nothing.
Trying again after an unknown outcome is the caller's decision, who holds the lease.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from token_refresh.core.grant import Client, ClientCredentialsGrant, Grant, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.http import HttpRequest
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.url import UrlError, resolve_url, resolve_values, unknown_variables, variables_of
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
    build_service_account_claims,
    build_token_request,
    forms_of,
    needs_client_secret,
)
from token_refresh.errors import Misconfigured, NotSent, ReplyLost
from token_refresh.ports import HttpTransport, Signer
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


class Exchange:
    """Exchanges grants. One for the instance's life; safe for threads."""

    def __init__(self, transport: HttpTransport, signer: Signer, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._signer = signer
        self._clock = clock
        self._proving = DpopTransport(transport, signer, clock)

    def check(
        self,
        provider: Provider,
        client: Client | None,
        grant: Grant,
        variables: Mapping[str, str],
        scopes: Sequence[str] | None = None,
    ) -> None:
        """Find whatever can be found wrong before anything is sent; `scopes` None leaves them unchecked.

        Raises `Misconfigured`.
        """
        client = client_of(grant, client)
        unknown = unknown_variables(provider, variables)
        if unknown:
            raise Misconfigured(f"token-refresh.variables: provider {provider.name} has no variable {unknown[0]}")
        if isinstance(grant, ServiceAccountGrant):
            self._check_key(grant.private_key, "the service account's private_key")
            if scopes is not None and not scopes:
                raise Misconfigured("a service account needs token-refresh.scopes")
        elif client is None:
            raise Misconfigured(f"provider {provider.name}: there is no client registration")
        else:
            self._check_client(provider, client)
        _resolve(_url_of(provider, grant), provider, variables, _learned(grant), client)

    def refresh(  # noqa: PLR0913 - one keyword for each thing that a grant may need
        self,
        provider: Provider,
        client: Client | None,
        grant: Grant,
        *,
        variables: Mapping[str, str],
        scopes: Sequence[str],
        subject: str | None,
    ) -> TokenOutcome:
        """Exchange a grant once; raises `Misconfigured` and nothing else."""
        self.check(provider, client, grant, variables, scopes)
        client = client_of(grant, client)
        url, values = _resolve(_url_of(provider, grant), provider, variables, _learned(grant), client)
        match grant:
            case RefreshTokenGrant(refresh_token=token):
                question = _Question(
                    url, build_refresh_params(grant), (token,), sent=token, scopes=scopes, values=values
                )
            case ServiceAccountGrant():
                claims = build_service_account_claims(grant, url, scopes, subject, self._clock())
                assertion = self._signer.sign(grant.private_key, claims, key_id=grant.private_key_id)
                params = build_assertion_params(assertion)
                question = _Question(url, params, (assertion,), GrantKind.SERVICE_ACCOUNT, scopes=scopes, values=values)
            case ClientCredentialsGrant():
                params = build_client_credentials_params(provider, scopes)
                question = _Question(url, params, (), GrantKind.CLIENT, scopes=scopes, values=values)
            case _:
                assert_never(grant)
        outcome = self._ask(question, provider, client)
        learned = _learned(grant)
        if learned and isinstance(outcome, Refreshed):
            return replace(outcome, extra={**learned, **outcome.extra})
        return outcome

    def redeem(  # noqa: PLR0913 - RFC 6749, section 4.1.3
        self,
        provider: Provider,
        client: Client,
        *,
        code: Secret,
        code_verifier: Secret | None,
        redirect_uri: str,
        variables: Mapping[str, str],
        payload_variables: Mapping[str, str] | None = None,
    ) -> TokenOutcome:
        """Exchange an authorization code (RFC 6749, section 4.1.3); raises `Misconfigured`.

        `GrantDead` here means that the code is spent, expired or not ours. Where the token reply tells the account,
        `extra` holds what it says.
        """
        self._check_client(provider, client)
        url, values = _resolve(provider.token_url, provider, variables, payload_variables or {}, client)
        params = build_code_params(code, code_verifier, redirect_uri)
        question = _Question(url, params, (code, code_verifier), values=values)
        return self._ask(question, _keeping_account(provider), client)

    def fetch_json(self, provider: Provider, url: str, access_token: Secret) -> Mapping[str, object] | None:
        """GET a JSON object as the owner (userinfo); None when the provider does not answer with one.

        `url` is resolved already. Raises `NotSent`, `ReplyLost`.
        """
        headers = {"Accept": "application/json", "User-Agent": "token-refresh"}
        headers |= {name: value for name, value in provider.headers.items() if "{" not in value}
        headers["Authorization"] = f"Bearer {access_token.reveal()}"
        reply = self._transport.send(HttpRequest("GET", url, headers))
        return parse_body(reply) if reply.status in SUCCESS else None

    def _ask(self, question: _Question, provider: Provider, client: Client | None) -> TokenOutcome:
        now = self._clock()
        client_assertion = None
        if client is not None and client.private_key is not None and provider.client_auth == "private_key_jwt":
            claims = build_client_assertion_claims(client.client_id, question.url, secrets.token_urlsafe(16), now)
            client_assertion = self._signer.sign(client.private_key, claims, key_id=client.private_key_id)
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
        asked = Asked(now, forms_of(known), question.sent, question.kind)
        try:
            if client is None or client.dpop_private_key is None:
                reply = self._transport.send(request)
            else:
                reply = self._proving.send(request, client.dpop_private_key)
        except NotSent:
            return Unavailable("not_sent")
        except ReplyLost:
            return UnknownOutcome("reply_lost")
        return classify_reply(reply, provider, asked)

    def _check_client(self, provider: Provider, client: Client) -> None:
        where = f"client registration of {client.client_id}"
        if not (client.client_id.isascii() and client.client_id.isprintable()):
            raise Misconfigured("client registration: client_id has characters that RFC 6749, appendix A.1, forbids")
        if provider.client_auth == "private_key_jwt":
            if client.private_key is None:
                raise Misconfigured(f'{where}: provider {provider.name} needs "private_key" (private_key_jwt)')
            self._check_key(client.private_key, f"{where}: private_key")
        elif client.client_secret is None and needs_client_secret(provider):
            raise Misconfigured(f'{where}: provider {provider.name} needs "client_secret" ({provider.client_auth})')
        if client.dpop_private_key is not None:
            self._check_key(client.dpop_private_key, f"{where}: dpop_private_key")
        secret = client.client_secret.reveal() if client.client_secret else ""
        in_header = any("client_secret" in variables_of(template) for template in provider.headers.values())
        if in_header and not (secret.isascii() and secret.isprintable()):
            raise Misconfigured(f"{where}: client_secret has characters that cannot stand in a header")

    def _check_key(self, key: Secret, where: str) -> None:
        try:
            self._signer.check(key)
        except ValueError:
            # The parser's own message may quote the key.
            raise Misconfigured(f"{where} is no RSA or EC (P-256, P-384) private key in PEM form") from None


def client_of(grant: Grant, registered: Client | None) -> Client | None:
    """Return the client that an exchange authenticates: the payload's own, else the registered one."""
    match grant:
        case RefreshTokenGrant():
            return grant.client or registered
        case ClientCredentialsGrant():
            return grant.client
        case ServiceAccountGrant():
            return None
        case _:
            assert_never(grant)


def _keeping_account(provider: Provider) -> Provider:
    """Return `provider` so that a token reply's words about the account are kept, where it has any."""
    if provider.subject is None or provider.subject.source != "token_response":
        return provider
    path = provider.subject.path
    return replace(provider, keep=(*provider.keep, path, path.partition(".")[0], *_NAMES_OF_OWNER))


def _url_of(provider: Provider, grant: Grant) -> str:
    return provider.refresh_url if isinstance(grant, RefreshTokenGrant) else provider.token_url


def _learned(grant: Grant) -> Mapping[str, str]:
    return grant.variables if isinstance(grant, RefreshTokenGrant) else {}


def _resolve(
    template: str,
    provider: Provider,
    variables: Mapping[str, str],
    learned: Mapping[str, str],
    client: Client | None,
) -> tuple[str, Mapping[str, str]]:
    registered = client.variables if client is not None else {}
    try:
        url = resolve_url(
            template,
            provider,
            connection_variables=variables,
            payload_variables=learned,
            client_variables=registered,
        )
        return url, resolve_values(provider, variables, learned, registered)
    except UrlError as exc:
        raise Misconfigured(str(exc)) from exc
