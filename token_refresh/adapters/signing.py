"""Signatures with google-auth's signers: assertions (RFC 7523) and DPoP proofs (RFC 9449)."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth.crypt import EsSigner, RSASigner

from token_refresh.core.secrecy import Secret

# Parsing an RSA key costs milliseconds, and a run signs with few keys.
_KEYS_KEPT: Final = 64
_CURVES: Final = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48)}


class KeySigner:
    """Signs with RSA (RS256) and EC keys (ES256, ES384) in PEM form."""

    def sign(
        self, private_key: Secret, claims: Mapping[str, object], *, key_id: str | None = None, typ: str = "JWT"
    ) -> Secret:
        """Return a JWT (RFC 7519). Raises `ValueError` for a key that cannot be used."""
        header = {"typ": typ} | ({} if key_id is None else {"kid": key_id})
        return _sign(private_key, header, claims)

    def sign_proof(self, private_key: Secret, claims: Mapping[str, object]) -> Secret:
        """Return a DPoP proof (RFC 9449, section 4.2). Raises `ValueError` for a key that cannot be used."""
        return _sign(private_key, {"typ": "dpop+jwt", "jwk": _public_jwk(_load(private_key))}, claims)

    def check(self, private_key: Secret) -> None:
        """Raise `ValueError` when the key cannot be used."""
        _load(private_key)


def _sign(private_key: Secret, header: Mapping[str, object], claims: Mapping[str, object]) -> Secret:
    key = _load(private_key)
    # google-auth's own `jwt.encode` overwrites `typ`, which a DPoP proof must choose.
    signer: Any = RSASigner(key) if isinstance(key, rsa.RSAPrivateKey) else EsSigner(key)  # type: ignore[no-untyped-call]
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else signer.algorithm
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in ({"alg": algorithm, **header}, claims))
    return Secret(f"{signed}.{_base64url(signer.sign(signed.encode()))}")


@functools.lru_cache(maxsize=_KEYS_KEPT)
def _load(private_key: Secret) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(private_key.reveal().encode(), password=None)
    except Exception as exc:  # the parser raises a dozen types; none may carry the key on
        raise ValueError("not a private key in PEM form") from exc
    if isinstance(key, rsa.RSAPrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return key
    raise ValueError("not an RSA or EC (P-256, P-384) key")


def _public_jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """Return the public key as RFC 7517 has it."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    curve, size = _CURVES[key.curve.name]
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": curve, "x": _number(point.x, size), "y": _number(point.y, size)}


def _number(value: int, size: int | None = None) -> str:
    return _base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
