"""The requests that a definition makes, as text, with everything secret masked."""

from __future__ import annotations

from token_refresh.core.grant import Client, RefreshTokenGrant
from token_refresh.core.http import HttpRequest
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.url import fill
from token_refresh.core.secrecy import Secret, redact
from token_refresh.core.token_endpoint.request import (
    basic_credentials,
    build_code_params,
    build_refresh_params,
    build_token_request,
    forms_of,
)

# Stand-ins that occur nowhere else, so that masking them masks nothing else.
_CLIENT = Client("CLIENT_ID", Secret("client-secret-stand-in"))
_ASSERTION = Secret("client-assertion-stand-in")
_REFRESH_TOKEN = Secret("refresh-token-stand-in")
_CODE = Secret("authorization-code-stand-in")
_VERIFIER = Secret("code-verifier-stand-in")
_SECRETS = forms_of([_CLIENT.client_secret, basic_credentials(_CLIENT), _ASSERTION, _REFRESH_TOKEN, _CODE, _VERIFIER])


def preview_refresh(provider: Provider) -> str:
    """Show the request of a refresh."""
    return _preview(provider, provider.refresh_url, build_refresh_params(RefreshTokenGrant(_REFRESH_TOKEN)))


def preview_code(provider: Provider) -> str:
    """Show the request that redeems an authorization code."""
    verifier = _VERIFIER if provider.pkce else None
    return _preview(
        provider, provider.token_url, build_code_params(_CODE, verifier, "https://consent.example/callback")
    )


def _preview(provider: Provider, url: str, params: dict[str, str]) -> str:
    values = {name: default or name.upper() for name, default in provider.variables.items()}
    request = build_token_request(
        provider,
        fill(url, values),
        params,
        _CLIENT,
        values=values,
        scopes=("SCOPES",),
        client_assertion=_ASSERTION,
    )
    return redact(_text(request), _SECRETS)


def _text(request: HttpRequest) -> str:
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\n".join([*lines, "", request.body.decode()]).rstrip()
