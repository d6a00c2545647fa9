"""What a connection secret and a client registration hold, recognised by what it is (contract 2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from token_refresh.core.json_object import finite, text_of
from token_refresh.core.secrecy import Secret
from token_refresh.errors import Misconfigured

MAX_TOKEN_LENGTH: Final = 16_384
# Google's credential files whose refresh token, if any, belongs to an endpoint that the file itself names (AIP-4117).
_OF_OTHERS: Final = ("external_account", "external_account_authorized_user", "impersonated_service_account")
# What a registration says of where its secrets may go: beside or inside `"web"` and `"installed"`.
_BOUNDARIES: Final = ("variables", "provider", "allowed_variables")


class PayloadError(Misconfigured):
    """The payload cannot be used; the message names fault and fix and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client registration (RFC 7591's words)."""

    client_id: str
    client_secret: Secret | None = None
    private_key: Secret | None = None
    private_key_id: str | None = None
    dpop_private_key: Secret | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    # The providers that it says it belongs to, beside the one in its secret's id.
    providers: tuple[str, ...] = ()
    # Values that an annotation may choose for a variable in a host; `ANY` for any.
    allowed_variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefreshTokenGrant:
    """A refresh token and what is known of it; `client` when the payload carries its own. Times in epoch seconds.

    `consented_at` is when the owner consented, where the first issue is no longer known; `is_bare` that the payload is
    nothing but the token, so that nothing can be kept beside it.
    """

    refresh_token: Secret
    issued_at: float | None = None
    consented_at: float | None = None
    expires_at: float | None = None
    is_bare: bool = False
    scope: str | None = None
    sub: str | None = None
    client: Client | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceAccountGrant:
    """A Google service-account key: JWT bearer (RFC 7523). The key's own `token_uri` is ignored on purpose."""

    client_email: str
    private_key: Secret
    private_key_id: str | None = None
    # Whom it may stand for (domain-wide delegation); `ANY` for anybody.
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientCredentialsGrant:
    """A client that stands for itself (RFC 6749, section 4.4)."""

    client: Client


Grant = RefreshTokenGrant | ServiceAccountGrant | ClientCredentialsGrant


def parse_grant(payload: bytes) -> Grant:
    """Recognise the payload of a connection secret.

    Raises `PayloadError` for anything that is not one of the four forms.
    """
    text = _text(payload, "connection secret")
    if text.startswith(("{", "[", '"')):
        return _parse_grant_json(_json_object(text, "connection secret"))
    if any(c.isspace() or not c.isprintable() for c in text):
        raise PayloadError("connection secret is neither JSON nor one bare refresh token (it has white space inside)")
    return RefreshTokenGrant(refresh_token=_token(text, "refresh_token"), is_bare=True)


def parse_client(payload: bytes) -> Client:
    """Recognise a client registration: plain, or Google's downloaded ``{"web": ...}`` / ``{"installed": ...}``.

    Raises `PayloadError`.
    """
    data = _json_object(_text(payload, "client registration"), "client registration")
    beside = {key: data[key] for key in _BOUNDARIES if data.get(key) is not None}
    for wrapper in ("web", "installed"):
        inner = data.get(wrapper)
        if isinstance(inner, dict):
            data = {**inner, **beside}
            break
    return _client(data, "client registration")


def render_rotated(payload: bytes, refresh_token: Secret, facts: Mapping[str, object]) -> bytes:
    """Write a new refresh token in the form the old payload had (contract 2).

    Text stays text; JSON keeps every other field and takes `facts` (`issued_at`, `expires_at`, `scope`), where a
    fact of None removes the field: an end that belonged to the old refresh token is not the new one's.
    """
    text = payload.decode("utf-8").lstrip("\ufeff").strip()
    if not text.startswith("{"):
        return refresh_token.reveal().encode()
    data = json.loads(text)
    data["refresh_token"] = refresh_token.reveal()
    for name, value in facts.items():
        if value is None:
            data.pop(name, None)
        else:
            data[name] = value
    return json.dumps(data, ensure_ascii=False).encode()


def _parse_grant_json(data: Mapping[str, object]) -> Grant:
    if data.get("type") == "service_account":
        return _service_account(data)
    if data.get("type") in _OF_OTHERS:
        raise PayloadError(
            'connection secret is a credential file of a "type" that brings its own token endpoint: store a refresh '
            'token, an "authorized_user" file or a "service_account" key'
        )
    if "refresh_token" in data:
        own = "client_id" in data and "client_secret" in data
        return RefreshTokenGrant(
            refresh_token=_token(data["refresh_token"], "refresh_token"),
            issued_at=finite(data.get("issued_at")),
            consented_at=finite(data.get("consented_at")),
            expires_at=finite(data.get("expires_at")),
            scope=text_of(data, "scope"),
            sub=text_of(data, "sub"),
            client=_client(data, "connection secret") if own else None,
            variables=_variables(data.get("variables"), "connection secret"),
        )
    if "client_id" in data and "client_secret" in data:
        return ClientCredentialsGrant(_client(data, "connection secret"))
    raise PayloadError(
        'connection secret is JSON without "refresh_token": store a refresh token, a service-account key '
        'or {"client_id", "client_secret"}'
    )


def _service_account(data: Mapping[str, object]) -> ServiceAccountGrant:
    missing = [k for k in ("client_email", "private_key") if text_of(data, k) is None]
    if missing:
        raise PayloadError(f"service-account key lacks {' and '.join(missing)}: store the key file as downloaded")
    key_id = data.get("private_key_id")
    return ServiceAccountGrant(
        client_email=str(data["client_email"]),
        private_key=Secret(str(data["private_key"])),
        private_key_id=key_id if isinstance(key_id, str) else None,
        subjects=_names(data.get("subjects"), "subjects", "service-account key"),
    )


def _client(data: Mapping[str, object], where: str) -> Client:
    client_id = data.get("client_id")
    if not isinstance(client_id, str) or not client_id.strip():
        raise PayloadError(f'{where} has no "client_id"')
    return Client(
        client_id=client_id.strip(),
        client_secret=_optional_secret(data, "client_secret", where),
        private_key=_optional_secret(data, "private_key", where),
        private_key_id=text_of(data, "private_key_id"),
        dpop_private_key=_optional_secret(data, "dpop_private_key", where),
        variables=_variables(data.get("variables"), where),
        providers=_names(data.get("provider"), "provider", where),
        allowed_variables=_allowed(data.get("allowed_variables"), where),
    )


def _variables(value: object, where: str) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise PayloadError(f'{where}: "variables" must be a JSON object of strings')
    return dict(value)


def _names(value: object, key: str, where: str) -> tuple[str, ...]:
    """Read a string or a list of strings; one string is a list of one."""
    if value is None:
        return ()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise PayloadError(f'{where}: "{key}" must be a string or a list of strings')
    return tuple(names)


def _allowed(value: object, where: str) -> Mapping[str, tuple[str, ...]]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PayloadError(f'{where}: "allowed_variables" must be a JSON object of lists')
    return {name: _names(values, "allowed_variables", where) for name, values in value.items()}


def _text(payload: bytes, what: str) -> str:
    try:
        text = payload.decode("utf-8").lstrip("\ufeff").strip()
    except UnicodeDecodeError:
        raise PayloadError(f"{what} is binary: expected UTF-8 text or JSON") from None
    if not text:
        raise PayloadError(f"{what} is empty")
    return text


def _json_object(text: str, what: str) -> dict[str, object]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        # The parser's own message may quote the document.
        raise PayloadError(f"{what} looks like JSON and cannot be parsed (truncated?)") from None
    if not isinstance(data, dict):
        raise PayloadError(f"{what} must be a JSON object")
    return data


def _token(value: object, name: str) -> Secret:
    if not isinstance(value, str) or not value.strip():
        raise PayloadError(f'"{name}" is empty or not a string')
    value = value.strip()
    if len(value) > MAX_TOKEN_LENGTH or not value.isprintable():
        raise PayloadError(f'"{name}" is too long or has unprintable characters')
    return Secret(value)


def _optional_secret(data: Mapping[str, object], name: str, where: str) -> Secret | None:
    value = data.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise PayloadError(f'{where}: "{name}" is not a string')
    return Secret(value)
