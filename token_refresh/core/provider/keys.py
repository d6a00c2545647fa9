"""The keys of one provider definition (contract 10): their types, their limits, and what excludes what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from token_refresh.core.provider.definition import (
    ANY,
    CLIENT_AUTH_METHODS,
    DEFAULT_EXPIRES_IN,
    LIFETIME_STARTS,
    REFRESH_METHODS,
    REQUEST_FORMATS,
    REVOCATION_METHODS,
    REVOCATION_WORDS,
    REVOKED_TOKENS,
    ROTATION,
    SUBJECT_SOURCES,
    Provider,
    ResponsePaths,
    RevocationWay,
    SubjectSource,
)
from token_refresh.core.provider.reading import PATH, Keys, Problems
from token_refresh.core.provider.url import is_variable_value, urls_of, variables_in_host

# A provider's name is the value of a label and part of a secret's id.
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_URL_KEYS: Final = ("token_url", "refresh_url", "authorization_url", "revocation_url", "issuer", "probe_url")
_PARAMS: Final = frozenset(
    {"grant_type", "refresh_token", "client_id", "client_secret", "code", "redirect_uri", "scope"}
)
_RESPONSE_KEYS: Final = ("access_token", "refresh_token", "expires_in", "expires_at", "scope")


def read_provider(name: str, table: Mapping[str, object], problems: Problems) -> Provider:
    """Read one definition; what is wrong with it is added to `problems`, and stands for itself in the result."""
    keys = Keys(name, table, problems)
    keys.read_variables()
    urls = {key: keys.url(key) for key in _URL_KEYS}
    if "token_url" not in table:
        keys.wrong("token_url", "is required")
    token_url = urls["token_url"] or ""
    provider = Provider(
        name=name,
        token_url=token_url,
        refresh_url=urls["refresh_url"] or token_url,
        authorization_url=urls["authorization_url"],
        revocation_url=urls["revocation_url"],
        revocation=_revocation(keys),
        issuer=urls["issuer"],
        variables=keys.variables,
        client_auth=keys.choice("client_auth", CLIENT_AUTH_METHODS, "client_secret_post"),
        request_format=keys.choice("request_format", REQUEST_FORMATS, "form"),
        refresh_method=keys.choice("refresh_method", REFRESH_METHODS, "POST"),
        token_params=keys.params("token_params"),
        refresh_params=keys.params("refresh_params"),
        authorization_params=keys.params("authorization_params"),
        headers=keys.headers(),
        param_names=_param_names(keys),
        scope_separator=_separator(keys),
        pkce=keys.flag("pkce", default=True),
        openid=keys.flag("openid", default=False),
        rotates_refresh_tokens=keys.choice("rotates_refresh_tokens", ROTATION, "maybe"),
        response=_response(keys),
        keep=keys.paths("keep"),
        default_expires_in=keys.seconds("default_expires_in") or DEFAULT_EXPIRES_IN,
        refresh_before_expiry=keys.seconds("refresh_before_expiry"),
        refresh_token_lifetime=keys.seconds("refresh_token_lifetime"),
        refresh_token_idle_lifetime=keys.seconds("refresh_token_idle_lifetime"),
        dead_errors=keys.texts("dead_errors"),
        client_errors=keys.texts("client_errors"),
        admin_errors=keys.texts("admin_errors"),
        transient_errors=keys.texts("transient_errors"),
        learned=_learned(keys),
        probe_url=urls["probe_url"],
        refresh_token_lifetime_from=keys.choice("refresh_token_lifetime_from", LIFETIME_STARTS, "issue"),
        title=keys.text("title"),
        verified_usernames=keys.flag("verified_usernames", default=False),
        iss_required=keys.flag("iss_required", default=False),
        subject=_subject(keys),
    )
    keys.check_nothing_left()
    _check_together(provider, keys)
    return provider


def _check_together(provider: Provider, keys: Keys) -> None:
    """Find keys that are right one by one and cannot work together."""
    if provider.subject is not None and provider.subject.source == "id_token" and not provider.openid:
        keys.wrong("subject.from", '"id_token" needs openid = true')
    if provider.client_auth == "client_secret_basic" and any(h.lower() == "authorization" for h in provider.headers):
        keys.wrong("headers.Authorization", 'excludes client_auth = "client_secret_basic"')
    in_host = {name for url in urls_of(provider) for name in variables_in_host(url)}
    for name, values in provider.learned.items():
        if name not in provider.variables and name not in provider.keep:
            keys.wrong(f"learned.{name}", "is neither in variables nor in keep")
        if values == ANY and name in in_host:
            # A client secret goes to that host, and a browser's address bar must not choose it.
            keys.wrong(f"learned.{name}", 'stands in a host: list its values instead of "*"')
    refresh_token = provider.response.refresh_token
    if provider.refresh_method == "GET" and provider.request_format != "query":
        keys.wrong("refresh_method", '"GET" needs request_format = "query"')
    for path in provider.keep:
        # What is kept goes to the readers of the access token, and a refresh token must not.
        if f"{refresh_token}.".startswith(f"{path}."):
            keys.wrong("keep", f"{path!r} holds the refresh token")


def _response(keys: Keys) -> ResponsePaths:
    table = keys.table("response")
    for key, path in table.items():
        if key not in _RESPONSE_KEYS:
            keys.wrong(f"response.{key}", f"must be one of {', '.join(_RESPONSE_KEYS)}")
        elif not PATH.fullmatch(path):
            keys.wrong(f"response.{key}", "is not a dotted path")
    known = {key: path for key, path in table.items() if key in _RESPONSE_KEYS}
    if "expires_at" in known and "expires_in" not in known:
        known["expires_in"] = ""  # a definition that names one of the two means it
    return ResponsePaths(**known)


def _revocation(keys: Keys) -> RevocationWay:
    if "revocation" not in keys.left:
        return RevocationWay()
    table = keys.left.pop("revocation")
    if not isinstance(table, Mapping):
        keys.wrong("revocation", "must be a table")
        return RevocationWay()
    inner = Keys(f"{keys.name}.revocation", table, keys.problems)
    inner.variables = keys.variables
    way = RevocationWay(
        method=inner.choice("method", REVOCATION_METHODS, "POST"),
        tokens=inner.choice("tokens", REVOKED_TOKENS, "both"),
        client_auth=inner.choice_or_none("client_auth", CLIENT_AUTH_METHODS),
        request_format=inner.choice_or_none("request_format", REQUEST_FORMATS),
        params=inner.params("params", REVOCATION_WORDS) if "params" in table else RevocationWay().params,
        headers=inner.headers(REVOCATION_WORDS),
    )
    inner.check_nothing_left()
    return way


def _subject(keys: Keys) -> SubjectSource | None:
    if "subject" not in keys.left:
        return None
    table = keys.left.pop("subject")
    if not isinstance(table, Mapping):
        keys.wrong("subject", "must be a table")
        return None
    faults = len(keys.problems)
    inner = Keys(f"{keys.name}.subject", table, keys.problems)
    inner.variables = keys.variables
    source = inner.choice("from", SUBJECT_SOURCES, "")
    url = inner.url("url")
    path = inner.path("path", "sub")
    if source and (source == "userinfo") != ("url" in table):
        inner.wrong("url", 'belongs to from = "userinfo", which needs it')
    inner.check_nothing_left()
    return SubjectSource(source, path, url) if len(keys.problems) == faults else None


def _learned(keys: Keys) -> Mapping[str, tuple[str, ...]]:
    table = keys.left.pop("learned", {})
    if not isinstance(table, Mapping):
        keys.wrong("learned", "must be a table")
        return {}
    learned: dict[str, tuple[str, ...]] = {}
    for name, values in table.items():
        if values == "*":
            learned[name] = ANY
        elif isinstance(values, list) and values and all(isinstance(v, str) and is_variable_value(v) for v in values):
            learned[name] = tuple(values)
        else:
            keys.wrong(f"learned.{name}", 'must be "*" or a list of values of the form [A-Za-z0-9.-]{1,253}')
    return learned


def _param_names(keys: Keys) -> Mapping[str, str]:
    table = keys.table("param_names")
    if not all(table.values()):
        keys.wrong("param_names", "a parameter's new name is empty")
    if len(set(table.values())) < len(table) or (_PARAMS - set(table)) & set(table.values()):
        keys.wrong("param_names", "gives two parameters one name")
    return table


def _separator(keys: Keys) -> str:
    value = keys.left.pop("scope_separator", " ")
    if isinstance(value, str) and value:
        return value
    keys.wrong("scope_separator", "must be a string that is not empty")
    return " "
