"""Requests to a token endpoint: RFC 6749's parameters, bent to what a provider's definition says (contract 10)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote, quote_plus, urlencode

from token_refresh.core.grant import Client, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.http import HttpRequest
from token_refresh.core.provider.definition import Params, Provider
from token_refresh.core.provider.url import fill, fill_params, name_params, templates_of, variables_of
from token_refresh.core.secrecy import Secret

REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - RFC 6749, section 6
# Google accepts at most an hour for a service account's assertion; a client assertion or proof is used at once.
_SERVICE_ACCOUNT_SECONDS: Final = 3600
_CLIENT_ASSERTION_SECONDS: Final = 300

# What every request of ours says, unless a definition says it in its own words.
OUR_HEADERS: Final = {"Accept": "application/json", "User-Agent": "token-refresh"}


def build_refresh_params(grant: RefreshTokenGrant) -> dict[str, str]:
    """Build the parameters of RFC 6749, section 6; no `scope`: the refresh token's own holds."""
    return {"grant_type": REFRESH_TOKEN, "refresh_token": grant.refresh_token.reveal()}


def build_code_params(code: Secret, code_verifier: Secret | None, redirect_uri: str) -> dict[str, str]:
    """Build the parameters of RFC 6749, section 4.1.3, with the PKCE verifier of RFC 7636, section 4.5."""
    params = {"grant_type": "authorization_code", "code": code.reveal(), "redirect_uri": redirect_uri}
    if code_verifier is not None:
        params["code_verifier"] = code_verifier.reveal()
    return params


def build_client_credentials_params(provider: Provider, scopes: Sequence[str]) -> dict[str, str]:
    """Build the parameters of RFC 6749, section 4.4.2."""
    params = {"grant_type": "client_credentials"}
    if scopes:
        params["scope"] = provider.scope_separator.join(scopes)
    return params


def build_assertion_params(assertion: Secret) -> dict[str, str]:
    """Build the parameters of RFC 7523, section 2.1."""
    return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion.reveal()}


def build_service_account_claims(
    grant: ServiceAccountGrant, audience: str, scopes: Sequence[str], subject: str | None, now: float
) -> dict[str, object]:
    """Build a service account's claims; `subject` is the user it stands for (domain-wide delegation).

    https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests
    """
    issued = int(now)
    claims: dict[str, object] = {
        "iss": grant.client_email,
        "scope": " ".join(scopes),
        "aud": audience,
        "iat": issued,
        "exp": issued + _SERVICE_ACCOUNT_SECONDS,
    }
    if subject:
        claims["sub"] = subject
    return claims


def build_client_assertion_claims(client_id: str, audience: str, jti: str, now: float) -> dict[str, object]:
    """Build the claims of `private_key_jwt` (RFC 7523, section 3; OpenID Connect Core, section 9)."""
    issued = int(now)
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": jti,
        "iat": issued,
        "exp": issued + _CLIENT_ASSERTION_SECONDS,
    }


def build_dpop_claims(method: str, url: str, jti: str, now: float, nonce: str | None) -> dict[str, object]:
    """Build a DPoP proof's claims (RFC 9449, section 4.2): `htu` is the URL without query and fragment."""
    claims: dict[str, object] = {"jti": jti, "htm": method, "htu": url.partition("?")[0], "iat": int(now)}
    if nonce is not None:
        claims["nonce"] = nonce
    return claims


def build_token_request(  # noqa: PLR0913 - the parts of a request
    provider: Provider,
    url: str,
    params: Mapping[str, str],
    client: Client | None,
    *,
    values: Mapping[str, str],
    scopes: Sequence[str] = (),
    client_assertion: Secret | None = None,
) -> HttpRequest:
    """Build the request: standard parameters, client authentication, then what the definition adds or renames.

    `token_params` go with every request and `refresh_params` with a refresh; a refresh's own standard parameters
    outrank `token_params` (which may name `grant_type`).
    """
    headers, credentials = authenticate_client(provider.client_auth, client, client_assertion)
    words = {**values, **words_of(client), "scopes": provider.scope_separator.join(scopes)}
    own: dict[str, str | tuple[str, ...]] = {**params, **credentials}
    token_params = fill_params(provider.token_params, words)
    is_refresh = params["grant_type"] == REFRESH_TOKEN
    if is_refresh:
        fields = {**token_params, **own, **fill_params(provider.refresh_params, words)}
    else:
        fields = {**own, **token_params}
    headers |= {name: fill(value, words) for name, value in provider.headers.items()}
    method = provider.refresh_method if is_refresh else "POST"
    return render_request(provider, method, provider.request_format, url, headers, fields)


def needs_client_secret(provider: Provider) -> bool:
    """Tell whether a request to `provider` carries the client secret: by its `client_auth`, or by a template."""
    templates = (
        *provider.headers.values(),
        *templates_of(provider.token_params),
        *templates_of(provider.refresh_params),
    )
    by_template = any("client_secret" in variables_of(template) for template in templates)
    return by_template or provider.client_auth in {"client_secret_post", "client_secret_basic"}


def forms_of(secrets: Iterable[Secret | None]) -> tuple[Secret, ...]:
    """Return each secret in every form in which a provider may send it back: as it is, URL-encoded, JSON-escaped.

    With or without white space around it, and percent-encoded as others do it: .NET in lower case, and not every "/".
    """
    forms: set[str] = set()
    for secret in secrets:
        if secret is not None:
            for value in {secret.reveal(), secret.reveal().strip()}:
                encoded = {quote(value, safe=""), quote_plus(value), quote(value), quote_plus(value, safe="/")}
                escaped = json.dumps(value)[1:-1]
                forms |= {value, escaped, escaped.replace("/", "\\/"), *encoded, *map(_in_lower_case, encoded)}
    return tuple(Secret(form) for form in forms)


def _in_lower_case(encoded: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)


def basic_credentials(client: Client) -> Secret:
    """Encode client id and secret for HTTP Basic: each form-encoded first (RFC 6749, section 2.3.1)."""
    words = words_of(client)
    pair = f"{quote_plus(words['client_id'])}:{quote_plus(words['client_secret'])}"
    return Secret(base64.b64encode(pair.encode()).decode())


def words_of(client: Client | None) -> dict[str, str]:
    """Return what a template may say of the client; as parameters they are its `client_secret_post`."""
    if client is None:
        return {}
    return {
        "client_id": client.client_id,
        "client_secret": client.client_secret.reveal() if client.client_secret else "",
    }


def authenticate_client(
    client_auth: str, client: Client | None, client_assertion: Secret | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers and the parameters that prove who the client is (RFC 6749, section 2.3; RFC 7523)."""
    if client is None:
        return {}, {}
    match client_auth:
        case "client_secret_basic":
            return {"Authorization": f"Basic {basic_credentials(client).reveal()}"}, {}
        case "private_key_jwt":
            return {}, {
                "client_id": client.client_id,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": client_assertion.reveal() if client_assertion else "",
            }
        case "none":
            return {}, {"client_id": client.client_id}
        case _:
            return {}, words_of(client)


def build_resource_request(provider: Provider, url: str, access_token: Secret | None) -> HttpRequest:
    """Build a GET of a resource of the provider (userinfo, metadata) with an access token (RFC 6750), or without."""
    headers = {**OUR_HEADERS, **{name: value for name, value in provider.headers.items() if "{" not in value}}
    if access_token is not None:
        headers["Authorization"] = f"Bearer {access_token.reveal()}"
    return HttpRequest("GET", url, headers)


def render_request(  # noqa: PLR0913, PLR0917 - the parts of a request
    provider: Provider, method: str, request_format: str, url: str, headers: Mapping[str, str], fields: Params
) -> HttpRequest:
    """Put parameters into a body or, for `query`, into the URL, by the names that the provider has for them."""
    fields = name_params(fields, provider)
    given = {name.lower() for name in headers}
    headers = {**headers, **{name: value for name, value in OUR_HEADERS.items() if name.lower() not in given}}
    if not fields:
        return HttpRequest(method, url, headers)
    if request_format == "json":
        return HttpRequest(method, url, {**headers, "Content-Type": "application/json"}, json.dumps(fields).encode())
    encoded = urlencode(fields, doseq=True)
    if request_format == "query":
        return HttpRequest(method, f"{url}{'&' if '?' in url else '?'}{encoded}", headers)
    return HttpRequest(method, url, {**headers, "Content-Type": "application/x-www-form-urlencoded"}, encoded.encode())
