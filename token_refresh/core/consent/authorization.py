"""The front channel of the authorization-code grant: the URL the owner is sent to, and what comes back."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from token_refresh.core.connection import Connection
from token_refresh.core.consent.session import Session
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.url import fill_params, name_params
from token_refresh.core.secrecy import Secret, shown

# The longest codes seen (Microsoft's) have two thousand characters.
_LONGEST: Final = {"code": 8192, "state": 256, "iss": 1024, "error": 256, "error_description": 8192, "error_uri": 2048}
# Google answers on either, https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
_GOOGLE: Final = {"accounts.google.com": "https://accounts.google.com"}
# Authorities of Entra that stand for many tenants; a token names the one it came from.
_ANY_TENANT: Final = ("common", "organizations", "consumers")
_ALIASES: Final = {
    "https://www.googleapis.com/auth/userinfo.email": "email",
    "https://www.googleapis.com/auth/userinfo.profile": "profile",
}
_GRAPH: Final = "https://graph.microsoft.com/"


class CallbackError(ValueError):
    """The callback's parameters are not what RFC 6749, section 4.1.2 allows."""


@dataclass(frozen=True, slots=True)
class Callback:
    """What the provider sent back through the browser; exactly one of `code` and `error` is set."""

    state: str
    code: Secret | None = None
    iss: str | None = None
    error: str | None = None
    error_description: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)


def code_challenge(code_verifier: Secret) -> str:
    """Compute the S256 challenge (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(code_verifier.reveal().encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def requested_scopes(connection: Connection, provider: Provider) -> tuple[str, ...]:
    """Return the connection's scopes and, for OpenID Connect, those without which the account stays unknown."""
    wanted = list(connection.scopes)
    if provider.openid:
        known = {_canonical(scope) for scope in wanted}
        by_email = connection.subject is None and "@" in (connection.owner or "")
        extra = ["openid"] + (["email"] if by_email else [])
        wanted += [scope for scope in extra if scope not in known]
    return tuple(wanted)


def missing_scopes(required: Sequence[str], granted: str | None) -> tuple[str, ...]:
    """Return the required scopes that were not granted; an absent `scope` means: as asked (RFC 6749, section 5.1).

    `openid` and `offline_access` are proven by an ID token and a refresh token, not by the list.
    """
    if granted is None:
        return ()
    have = {_canonical(scope) for scope in granted.replace(",", " ").split()} | {"openid", "offline_access"}
    # A scope may hold a comma; then the list as it came has it whole.
    have |= {_canonical(scope) for scope in granted.split()}
    return tuple(scope for scope in required if _canonical(scope) not in have)


def build_authorization_url(  # noqa: PLR0913 - RFC 6749, 4.1.1; RFC 7636, 4.3; OpenID Connect Core, 3.1.2.1
    provider: Provider,
    url: str,
    session: Session,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: Sequence[str],
    login_hint: str | None,
    values: Mapping[str, str],
    prompt: str | None = None,
) -> str:
    """Build the URL of the authorization request; `url` is the provider's template, already filled.

    `prompt` makes the provider ask which account to use; None leaves it as the definition has it. The definition's
    `authorization_params` add to and outrank the request's own parameters, never those that protect it.
    """
    scope = provider.scope_separator.join(scopes)
    words = {**values, "client_id": client_id, "scopes": scope}
    params: dict[str, str | tuple[str, ...]] = {"response_type": "code", "client_id": client_id, "scope": scope}
    params["login_hint"] = login_hint or ""
    params |= fill_params(provider.authorization_params, words)
    params |= {"prompt": prompt} if prompt else {}
    params |= {"redirect_uri": redirect_uri, "state": session.state}
    if provider.pkce:
        params |= {"code_challenge": code_challenge(session.code_verifier), "code_challenge_method": "S256"}
    if provider.openid:
        params["nonce"] = session.nonce
    named = name_params(params, provider)
    scheme, netloc, path, query, _ = urlsplit(url)
    fixed = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in named]
    return urlunsplit((scheme, netloc, path, urlencode([*fixed, *named.items()], doseq=True), ""))


def prompt_for_account(provider: Provider) -> str | None:
    """Return the `prompt` that makes a provider ask which account to use; None where there is no such word.

    OpenID Connect Core, 3.1.2.1. Google knows no `login`, Entra takes one word only, and strict servers refuse
    `select_account`.
    """
    if not provider.openid:
        return None
    host = urlsplit(provider.authorization_url or "").hostname
    given = str(provider.authorization_params.get("prompt", "")).split()
    if host == "login.microsoftonline.com":
        return "select_account"
    word = "select_account" if host == "accounts.google.com" else "login"
    return " ".join([word, *(one for one in given if one not in ("none", word))])


def parse_callback(query: Sequence[tuple[str, str]]) -> Callback:
    """Read the callback's query; raises `CallbackError` for a missing, doubled (RFC 6749, 3.1) or huge parameter."""
    found: dict[str, str] = {}
    more: dict[str, str] = {}
    for name, value in query:
        if name not in _LONGEST:
            more.setdefault(name, value)
            continue
        if name in found:
            raise CallbackError(f"{name} came twice")
        if len(value) > _LONGEST[name]:
            raise CallbackError(f"{name} is too long")
        found[name] = value
    if not found.get("state"):
        raise CallbackError("state is missing")
    code, error = found.get("code"), found.get("error")
    if bool(code) == bool(error):
        raise CallbackError("neither code nor error came" if not code else "both code and error came")
    return Callback(
        state=found["state"],
        code=Secret(code) if code else None,
        iss=found.get("iss"),
        error=shown(error, limit=100) if error else None,
        error_description=shown(found.get("error_description", "")) or None if error else None,
        more=more,
    )


def is_issuer(
    iss: object, issuer: str | None, authorization_url: str, claims: Mapping[str, object] | None = None
) -> bool:
    """Tell whether `iss` names the provider we asked: compared as a string (RFC 9207, section 2.4).

    Where the definition names no issuer, it must at least have the origin of the authorization endpoint. An ID
    token's `claims` name the Entra tenant behind ``common``.
    """
    if not isinstance(iss, str):
        return False
    iss = _GOOGLE.get(iss, iss)
    if issuer is None:
        return _origin(iss) == _origin(authorization_url)
    tenant = claims.get("tid") if claims else None
    if isinstance(tenant, str) and urlsplit(issuer).hostname == "login.microsoftonline.com":
        segments = [tenant if segment in _ANY_TENANT else segment for segment in issuer.split("/")]
        issuer = "/".join(segments)
    return iss == issuer


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.hostname, parts.port) if parts.hostname else None
    except ValueError:
        return None


def _canonical(scope: str) -> str:
    """Return one spelling of a scope that providers spell in two ways; Entra also changes upper and lower case."""
    scope = _ALIASES.get(scope, scope)
    return scope.removeprefix(_GRAPH).lower()
