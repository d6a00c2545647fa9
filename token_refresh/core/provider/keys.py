"""The keys of one provider definition (contract 10): their types, their limits, and what excludes what."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from token_refresh.core.provider.definition import (
    CLIENT_AUTH_METHODS,
    DEFAULT_EXPIRES_IN,
    REQUEST_FORMATS,
    REVOCATION_METHODS,
    REVOCATION_WORDS,
    REVOKED_TOKENS,
    ROTATION,
    SUBJECT_SOURCES,
    TEMPLATE_WORDS,
    Provider,
    ResponsePaths,
    RevocationWay,
    SubjectSource,
)
from token_refresh.core.provider.url import check_template, is_variable_value, variables_of

Problems = list[str]

# A provider's name is the value of a label and part of a secret's id.
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_PATH = re.compile(r"[^.\s]+(?:\.[^.\s]+)*")
# These belong to the request itself: a definition that sets one breaks it.
_OUR_HEADERS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "dpop"})
_URL_KEYS: Final = ("token_url", "refresh_url", "authorization_url", "revocation_url", "issuer")
_PARAMS: Final = frozenset(
    {"grant_type", "refresh_token", "client_id", "client_secret", "code", "redirect_uri", "scope"}
)
_RESPONSE_KEYS: Final = ("access_token", "refresh_token", "expires_in", "expires_at", "scope")


def read_provider(name: str, table: Mapping[str, object], problems: Problems) -> Provider:
    """Read one definition; what is wrong with it is added to `problems`, and stands for itself in the result."""
    keys = _Keys(name, table, problems)
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
        revocation=keys.revocation(),
        issuer=urls["issuer"],
        variables=keys.variables,
        client_auth=keys.choice("client_auth", CLIENT_AUTH_METHODS, "client_secret_post"),
        request_format=keys.choice("request_format", REQUEST_FORMATS, "form"),
        token_params=keys.params("token_params"),
        refresh_params=keys.params("refresh_params"),
        authorization_params=keys.params("authorization_params"),
        headers=keys.headers(),
        param_names=keys.param_names(),
        scope_separator=keys.separator(),
        pkce=keys.flag("pkce", default=True),
        openid=keys.flag("openid", default=False),
        rotates_refresh_tokens=keys.choice("rotates_refresh_tokens", ROTATION, "maybe"),
        response=keys.response(),
        keep=keys.paths("keep"),
        default_expires_in=keys.seconds("default_expires_in") or DEFAULT_EXPIRES_IN,
        refresh_before_expiry=keys.seconds("refresh_before_expiry"),
        refresh_token_lifetime=keys.seconds("refresh_token_lifetime"),
        refresh_token_idle_lifetime=keys.seconds("refresh_token_idle_lifetime"),
        dead_errors=keys.texts("dead_errors"),
        client_errors=keys.texts("client_errors"),
        transient_errors=keys.texts("transient_errors"),
        subject=keys.subject(),
    )
    keys.check_nothing_left()
    _check_together(provider, keys)
    return provider


def _check_together(provider: Provider, keys: _Keys) -> None:
    """Find keys that are right one by one and cannot work together."""
    if provider.subject is not None and provider.subject.source == "id_token" and not provider.openid:
        keys.wrong("subject.from", '"id_token" needs openid = true')
    if provider.client_auth == "client_secret_basic" and any(h.lower() == "authorization" for h in provider.headers):
        keys.wrong("headers.Authorization", 'excludes client_auth = "client_secret_basic"')
    refresh_token = provider.response.refresh_token
    for path in provider.keep:
        # What is kept goes to the readers of the access token, and a refresh token must not.
        if f"{refresh_token}.".startswith(f"{path}."):
            keys.wrong("keep", f"{path!r} holds the refresh token")


class _Keys:
    """Takes the keys out of one table, one by one, and notes what is wrong with each."""

    def __init__(self, name: str, table: Mapping[str, object], problems: Problems) -> None:
        self._name = name
        self._left = dict(table)
        self._problems = problems
        self.variables: Mapping[str, str] = {}

    def wrong(self, key: str, fault: str) -> None:
        self._problems.append(f"{self._name}.{key}: {fault}")

    def check_nothing_left(self) -> None:
        for key in self._left:
            self.wrong(key, "there is no such key in a provider definition")

    def read_variables(self) -> None:
        self.variables = self._table("variables")
        for name, value in self.variables.items():
            if not _VARIABLE_NAME.fullmatch(name) or name in TEMPLATE_WORDS:
                self.wrong(f"variables.{name}", "is no name for a variable")
            if value and not is_variable_value(value):
                self.wrong(f"variables.{name}", "the default must be of the form [A-Za-z0-9.-]{1,253}, or empty")

    def url(self, key: str) -> str | None:
        value = self._left.pop(key, None)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(key, "must be a string")
            return None
        fault = check_template(value)
        if fault is not None:
            self.wrong(key, fault)
        # Who revokes is part of GitHub's path.
        own = {"client_id"} if key == "revocation_url" and "{client_id}" not in urlsplit(value).netloc else set()
        self._check_variables(key, value, {*self.variables, *own})
        return value

    def choice(self, key: str, allowed: Collection[str], default: str) -> str:
        value = self._left.pop(key, default)
        if isinstance(value, str) and value in allowed:
            return value
        self.wrong(key, f"must be one of {', '.join(allowed)}")
        return default

    def choice_or_none(self, key: str, allowed: Sequence[str]) -> str | None:
        return self.choice(key, allowed, allowed[0]) if key in self._left else None

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._left.pop(key, default)
        if isinstance(value, bool):
            return value
        self.wrong(key, "must be true or false")
        return default

    def seconds(self, key: str) -> int | None:
        value = self._left.pop(key, None)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
            return value
        self.wrong(key, "must be a positive whole number of seconds")
        return None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._left.pop(key, [])
        if isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value):
            return tuple(value)
        self.wrong(key, "must be a list of strings")
        return ()

    def paths(self, key: str) -> tuple[str, ...]:
        paths = self.texts(key)
        for path in paths:
            if not _PATH.fullmatch(path):
                self.wrong(key, f"{path!r} is no dotted path")
        return paths

    def path(self, key: str, default: str) -> str:
        value = self._left.pop(key, default)
        if isinstance(value, str) and _PATH.fullmatch(value):
            return value
        self.wrong(key, "is no dotted path")
        return default

    def params(self, key: str, words: Collection[str] = TEMPLATE_WORDS) -> Mapping[str, str]:
        table = self._table(key)
        for name, value in table.items():
            if not name:
                self.wrong(key, "a parameter has no name")
            self._check_variables(f"{key}.{name}", value, {*self.variables, *words})
        return table

    def headers(self, words: Collection[str] = TEMPLATE_WORDS) -> Mapping[str, str]:
        table = self._table("headers")
        for name, value in table.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
                self.wrong(f"headers.{name}", "cannot be set by a definition")
            if not (value.isascii() and value.isprintable()):
                self.wrong(f"headers.{name}", "must be printable ASCII")
            self._check_variables(f"headers.{name}", value, {*self.variables, *words})
        return table

    def param_names(self) -> Mapping[str, str]:
        table = self._table("param_names")
        if not all(table.values()):
            self.wrong("param_names", "a parameter's new name is empty")
        if len(set(table.values())) < len(table) or (_PARAMS - set(table)) & set(table.values()):
            self.wrong("param_names", "gives two parameters one name")
        return table

    def separator(self) -> str:
        value = self._left.pop("scope_separator", " ")
        if isinstance(value, str) and value:
            return value
        self.wrong("scope_separator", "must be a string that is not empty")
        return " "

    def response(self) -> ResponsePaths:
        table = self._table("response")
        for key, path in table.items():
            if key not in _RESPONSE_KEYS:
                self.wrong(f"response.{key}", f"must be one of {', '.join(_RESPONSE_KEYS)}")
            elif not _PATH.fullmatch(path):
                self.wrong(f"response.{key}", "is no dotted path")
        known = {key: path for key, path in table.items() if key in _RESPONSE_KEYS}
        if "expires_at" in known and "expires_in" not in known:
            known["expires_in"] = ""  # a definition that names one of the two means it
        return ResponsePaths(**known)

    def revocation(self) -> RevocationWay:
        if "revocation" not in self._left:
            return RevocationWay()
        table = self._left.pop("revocation")
        if not isinstance(table, Mapping):
            self.wrong("revocation", "must be a table")
            return RevocationWay()
        inner = _Keys(f"{self._name}.revocation", table, self._problems)
        inner.variables = self.variables
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

    def subject(self) -> SubjectSource | None:
        if "subject" not in self._left:
            return None
        table = self._left.pop("subject")
        if not isinstance(table, Mapping):
            self.wrong("subject", "must be a table")
            return None
        faults = len(self._problems)
        inner = _Keys(f"{self._name}.subject", table, self._problems)
        inner.variables = self.variables
        source = inner.choice("from", SUBJECT_SOURCES, "")
        url = inner.url("url")
        path = inner.path("path", "sub")
        if source and (source == "userinfo") != ("url" in table):
            inner.wrong("url", 'belongs to from = "userinfo", which needs it')
        inner.check_nothing_left()
        return SubjectSource(source, path, url) if len(self._problems) == faults else None

    def _table(self, key: str) -> dict[str, str]:
        value = self._left.pop(key, {})
        if not isinstance(value, Mapping):
            self.wrong(key, "must be a table")
            return {}
        texts: dict[str, str] = {}
        for name, item in value.items():
            if isinstance(item, bool):
                texts[name] = "true" if item else "false"
            elif isinstance(item, str | int):
                texts[name] = str(item)
            else:
                self.wrong(f"{key}.{name}", "must be a string")
        return texts

    def _check_variables(self, where: str, template: str, known: Collection[str]) -> None:
        for name in variables_of(template):
            if name not in known:
                self.wrong(where, f"{{{name}}} is not declared in variables")
