"""What is wrong with a file of definitions, and the exact requests that they would send, with secrets masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from token_refresh.core.grant import Client, RefreshTokenGrant
from token_refresh.core.http import HttpRequest
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import ProviderTableError, parse_providers
from token_refresh.core.provider.url import fill, is_secure
from token_refresh.core.secrecy import Secret, redact
from token_refresh.core.token_endpoint.request import (
    basic_credentials,
    build_code_params,
    build_refresh_params,
    build_token_request,
    forms_of,
)
from token_refresh.errors import BadEnvironment
from token_refresh.providers import BUILT_IN, read_tables

# Stand-ins that occur nowhere else, so that masking them masks nothing else.
_CLIENT = Client("CLIENT_ID", Secret("client-secret-stand-in"))
_ASSERTION = Secret("client-assertion-stand-in")
_REFRESH_TOKEN = Secret("refresh-token-stand-in")
_CODE = Secret("authorization-code-stand-in")
_VERIFIER = Secret("code-verifier-stand-in")
_SECRETS = forms_of([_CLIENT.client_secret, basic_credentials(_CLIENT), _ASSERTION, _REFRESH_TOKEN, _CODE, _VERIFIER])


def check_file(file: Path) -> tuple[bool, list[str]]:
    """Tell whether a file of definitions can be used, and what is wrong with it, or what they would send."""
    try:
        tables = read_tables(file)
        providers = parse_providers(tables, read_tables(BUILT_IN))
    except BadEnvironment as exc:
        return False, [str(exc)]
    except ProviderTableError as exc:
        return False, [f"{len(exc.problems)} problem{'s' if len(exc.problems) > 1 else ''}:", *exc.problems]
    unusable = list(_unusable(providers, tables))
    if unusable:
        return False, unusable
    lines: list[str] = []
    for name in tables:
        provider = providers[name]
        lines += [f"{name}: a refresh sends", "", *_indented(_preview_refresh(provider)), ""]
        if provider.authorization_url:
            lines += [f"{name}: a new consent sends", "", *_indented(_preview_code(provider)), ""]
    return True, [*lines, f"{len(tables)} provider{'s' if len(tables) != 1 else ''}, nothing wrong."]


def _unusable(providers: Mapping[str, Provider], names: Iterable[str]) -> Iterator[str]:
    """Say what concerns one provider's connections only, and so does not stop the others at run time."""
    for name in names:
        provider = providers[name]
        for key in ("token_url", "refresh_url", "authorization_url", "revocation_url"):
            url = getattr(provider, key)
            if url and not is_secure(url):
                yield f"{name}.{key}: must be https:// (http:// is for loopback only)"
        if provider.authorization_params.get("response_mode", "query") != "query":
            # An answer that another site posts comes without the session's cookie, which is SameSite=Lax.
            yield f'{name}.authorization_params.response_mode: only "query" works: the callback takes no POST'


def _indented(text: str) -> Iterator[str]:
    return (f"    {line}".rstrip() for line in text.splitlines())


def _preview_refresh(provider: Provider) -> str:
    """Show the request of a refresh."""
    return _preview(provider, provider.refresh_url, build_refresh_params(RefreshTokenGrant(_REFRESH_TOKEN)))


def _preview_code(provider: Provider) -> str:
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
    return redact(_request_text(request), _SECRETS)


def _request_text(request: HttpRequest) -> str:
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\n".join([*lines, "", request.body.decode()]).rstrip()
