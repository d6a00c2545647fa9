"""Signatures of security event tokens, with PyJWT and the issuer's public keys (JWKS)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import jwt
from jwt import PyJWK, PyJWKClient, PyJWS
from jwt.exceptions import PyJWTError

from token_refresh.core.json_object import read_object
from token_refresh.core.signals import INVALID_KEY, INVALID_REQUEST, SetError
from token_refresh.errors import KeysUnavailable

# Google's signatures; anything else is an attempt to have a public key taken for a secret (RFC 8725, section 2.1).
_ALGORITHMS: Final = ["RS256"]
_KEYS_LAST_SECONDS: Final = 300


class JwksVerifier:
    """Verifies tokens with the keys at a URL; they are read again after five minutes, and for a key not among them.

    `may_look_up` says whether they are for such a key now.
    """

    def __init__(self, url: str, timeout: float, may_look_up: Callable[[], bool]) -> None:
        self._client = PyJWKClient(url, lifespan=_KEYS_LAST_SECONDS, timeout=timeout)
        self._may_look_up = may_look_up

    def verify(self, token: str) -> Mapping[str, object]:
        """Return the claims of a token whose signature holds; raises `SetError`, `KeysUnavailable`."""
        try:
            header = jwt.get_unverified_header(token)
        except (PyJWTError, ValueError, RecursionError):
            raise SetError(INVALID_REQUEST, "the body is not a signed token") from None
        if header.get("alg") not in _ALGORITHMS:
            raise SetError(INVALID_KEY, "the token is not signed with RS256")
        key = self._key(header.get("kid"))
        try:
            # No claim: a token may be of any age (it is delivered again for days), and the core compares the others.
            claims = read_object(PyJWS().decode(token, key, algorithms=_ALGORITHMS))
        except jwt.InvalidSignatureError:
            raise SetError(INVALID_KEY, "the signature does not hold") from None
        except Exception:  # noqa: BLE001 - nobody's signature; a parser's message may quote it
            claims = None
        if claims is None:
            raise SetError(INVALID_REQUEST, "the token cannot be read")
        return claims

    def _key(self, key_id: object) -> PyJWK:
        if not isinstance(key_id, str) or not key_id:
            raise SetError(INVALID_KEY, "the token names no key")
        key = self._find(key_id, refresh=False)
        if key is None and self._may_look_up():
            key = self._find(key_id, refresh=True)
        if key is None:
            raise SetError(INVALID_KEY, "the issuer has no such key")
        return key

    def _find(self, key_id: str, *, refresh: bool) -> PyJWK | None:
        try:
            return self._client.match_kid(self._client.get_signing_keys(refresh), key_id)
        except Exception as fault:  # a connection that breaks raises one of a dozen types, of three libraries
            raise KeysUnavailable(
                f"the issuer's keys cannot be read ({type(fault).__name__}): see RISC_JWKS_URL"
            ) from fault
