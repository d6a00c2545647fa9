"""Signatures of security event tokens, with PyJWT and the issuer's public keys (JWKS)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
from jwt import PyJWK, PyJWKClient
from jwt.exceptions import PyJWTError

from token_refresh.core.signals import INVALID_KEY, INVALID_REQUEST, SetError
from token_refresh.errors import KeysUnavailable

# Google's signatures; anything else is an attempt to have a public key taken for a secret (RFC 8725, section 2.1).
_ALGORITHMS: Final = ["RS256"]
_KEYS_LAST_SECONDS: Final = 300
# An unknown key is looked up at once, for issuers rotate; but a flood of made-up ones is no reason to ask each time.
_RELOADS: Final = 10
_RELOADS_SECONDS: Final = 60.0
# A token may be of any age (it is delivered again for days), and its audience and issuer are compared by the core.
_OPTIONS: Final[Any] = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


class JwksVerifier:
    """Verifies tokens with the keys at a URL; they are read again after five minutes, and for a key not among them."""

    def __init__(self, url: str, timeout: float, clock: Callable[[], float]) -> None:
        self._client = PyJWKClient(url, lifespan=_KEYS_LAST_SECONDS, timeout=timeout)
        self._clock = clock
        self._reloads: list[float] = []
        self._lock = threading.Lock()

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
            claims: Mapping[str, object] = jwt.decode(token, key, algorithms=_ALGORITHMS, options=_OPTIONS)
        except jwt.InvalidSignatureError:
            raise SetError(INVALID_KEY, "the signature does not hold") from None
        except Exception:  # noqa: BLE001 - nobody's signature; a parser's message may quote it
            raise SetError(INVALID_REQUEST, "the token cannot be read") from None
        return claims

    def _key(self, key_id: object) -> PyJWK:
        if not isinstance(key_id, str) or not key_id:
            raise SetError(INVALID_KEY, "the token names no key")
        key = self._find(key_id, refresh=False)
        if key is None and self._may_reload():
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

    def _may_reload(self) -> bool:
        now = self._clock()
        with self._lock:
            self._reloads = [moment for moment in self._reloads if moment > now - _RELOADS_SECONDS]
            if len(self._reloads) >= _RELOADS:
                return False
            self._reloads.append(now)
            return True
