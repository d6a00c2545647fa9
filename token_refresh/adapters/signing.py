"""Signatures with PyJWT: assertions (RFC 7523) and DPoP proofs (RFC 9449).

PyJWT and cryptography are imported by the first signature: most connections never need one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from token_refresh.core.secrecy import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    Key = RSAPrivateKey | EllipticCurvePrivateKey

# Parsing an RSA key costs milliseconds, and a run signs with few keys.
_KEYS_KEPT: Final = 64
_ALGORITHM_OF_CURVE: Final = {"secp256r1": "ES256", "secp384r1": "ES384"}
# What RFC 7638 has of a public key; the rest of a JWK (`key_ops`) is not a proof's business.
_PUBLIC: Final = ("kty", "crv", "x", "y", "n", "e")


class KeySigner:
    """Signs with RSA (RS256) and EC keys (ES256, ES384) in PEM form."""

    def sign(self, private_key: Secret, claims: Mapping[str, object], *, key_id: str | None = None) -> Secret:
        """Return a JWT (RFC 7519). Raises `ValueError` for a key that cannot be used."""
        return _sign(private_key, {"typ": "JWT"} | ({} if key_id is None else {"kid": key_id}), claims)

    def sign_proof(self, private_key: Secret, claims: Mapping[str, object]) -> Secret:
        """Return a DPoP proof (RFC 9449, section 4.2). Raises `ValueError` for a key that cannot be used."""
        return _sign(private_key, {"typ": "dpop+jwt", "jwk": _public_jwk(private_key)}, claims)

    def check(self, private_key: Secret) -> None:
        """Raise `ValueError` when the key cannot be used."""
        _load(private_key)


def _sign(private_key: Secret, header: Mapping[str, object], claims: Mapping[str, object]) -> Secret:
    import jwt  # noqa: PLC0415 - see above

    key, algorithm = _load(private_key)
    return Secret(jwt.encode(dict(claims), key, algorithm, headers=dict(header)))


@functools.lru_cache(maxsize=_KEYS_KEPT)
def _load(private_key: Secret) -> tuple[Key, str]:
    """Return the key and the algorithm that it signs with."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - see above

    try:
        key = load_pem_private_key(private_key.reveal().encode(), password=None)
    except Exception as exc:  # the parser raises a dozen types; none may carry the key on
        raise ValueError("not a private key in PEM form") from exc
    if isinstance(key, rsa.RSAPrivateKey):
        return key, "RS256"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _ALGORITHM_OF_CURVE:
        return key, _ALGORITHM_OF_CURVE[key.curve.name]
    raise ValueError("not an RSA or EC (P-256, P-384) key")


@functools.lru_cache(maxsize=_KEYS_KEPT)
def _public_jwk(private_key: Secret) -> dict[str, object]:
    """Return the public key as RFC 7517 has it."""
    from jwt import get_algorithm_by_name  # noqa: PLC0415 - see above

    key, algorithm = _load(private_key)
    jwk = get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {name: jwk[name] for name in _PUBLIC if name in jwk}
