"""Token files that other tools have written, as the payload of a connection secret (contract 2).

file                                            what is kept of it
google-auth, gcloud (authorized_user)           refresh token and client
Authlib, requests-oauthlib, Node, Go            the refresh token; the access token and its expiry are left behind
a bare refresh token                            itself
a service-account key                           all of it, and whom it may stand for
client_id and client_secret                     both: client credentials

An `expires_at` in such a file is the access token's; in a payload it would be the refresh token's. So none is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from token_refresh.core.grant import PayloadError
from token_refresh.core.json_object import text_of

_PICKLE: Final = b"\x80"
# What Google's tokens begin with, for those who take the wrong one out of a reply.
_NO_REFRESH_TOKENS: Final = {"ya29.": "an access token", "4/": "an authorization code"}
_CLIENT: Final = ("client_id", "client_secret")


@dataclass(frozen=True, slots=True)
class TokenFile:
    """What a file holds: `payload` for the connection secret, and what else it tells. `kind` is for people."""

    kind: str
    payload: bytes = field(repr=False)
    scopes: tuple[str, ...] = ()
    owner: str | None = None
    token_uri: str | None = None
    has_own_client: bool = False


def parse_token_file(content: bytes, owner: str | None = None) -> TokenFile:
    """Recognise a token file; `owner` is whom a service account is to stand for.

    Raises `PayloadError`, which says what the file is instead, and quotes nothing of it.
    """
    if content.startswith(_PICKLE):
        raise PayloadError("this is a Python pickle: load it where it was written, and save `credentials.to_json()`")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise PayloadError("this is not text") from None
    if not text:
        raise PayloadError("the file is empty")
    if not text.startswith(("{", "[", '"')):
        return _bare(text)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise PayloadError("this is neither JSON nor a bare refresh token") from None
    if isinstance(data, str):
        return _bare(data)
    if not isinstance(data, dict):
        raise PayloadError("this JSON is not an object: a token file is one")
    return _object(data, owner)


def _bare(text: str) -> TokenFile:
    token = _refresh_token(text.strip())
    return TokenFile("a bare refresh token", token.encode())


def _object(data: Mapping[str, object], owner: str | None) -> TokenFile:
    kind = data.get("type")
    if kind == "service_account":
        subjects = {"subjects": [owner]} if owner and "subjects" not in data else {}
        return TokenFile(
            "a service-account key",
            _dump({**data, **subjects}),
            token_uri=text_of(data, "token_uri"),
            has_own_client=True,
        )
    if "web" in data or "installed" in data:
        raise PayloadError(
            "this is a client registration and holds no token: store it as the secret that --client names "
            "(oauth-client-PROVIDER by default), and import the token file"
        )
    if kind not in (None, "authorized_user"):
        raise PayloadError(f"a credential file of type {str(kind)[:40]!r} holds no grant")
    # Half a client is none: a public client's id stands in its registration.
    own = {key: data[key] for key in _CLIENT} if all(text_of(data, key) for key in _CLIENT) else {}
    if "refresh_token" not in data:
        if own:
            return TokenFile("client credentials", _dump(own), _scopes(data), has_own_client=True)
        raise PayloadError(
            "this file has no refresh token: let the owner consent again, at Google with access_type=offline and "
            "prompt=consent"
        )
    scopes = _scopes(data)
    payload: dict[str, object] = {"refresh_token": _refresh_token(text_of(data, "refresh_token") or ""), **own}
    if kind:
        payload["type"] = kind
    if scopes:
        payload["scope"] = " ".join(scopes)
    return TokenFile(
        "a refresh token with its client" if own else "a refresh token",
        _dump(payload),
        scopes,
        text_of(data, "account"),
        text_of(data, "token_uri"),
        has_own_client=bool(own),
    )


def _refresh_token(token: str) -> str:
    if "%2F" in token or "%2f" in token:
        token = unquote(token)
    if not token or any(c.isspace() or not c.isprintable() for c in token):
        raise PayloadError("this is neither JSON nor a bare refresh token (it is empty, or has white space inside)")
    for prefix, what in _NO_REFRESH_TOKENS.items():
        if token.startswith(prefix):
            raise PayloadError(f"this is {what}, not a refresh token")
    return token


def _scopes(data: Mapping[str, object]) -> tuple[str, ...]:
    value = data.get("scopes") or data.get("scope")
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _dump(data: Mapping[str, object]) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()
