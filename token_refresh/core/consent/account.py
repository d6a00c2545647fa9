"""Whose grant is it? ID-token claims and the account behind a new grant (contract 6)."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Final

from token_refresh.core.connection import Connection
from token_refresh.core.consent.authorization import is_issuer
from token_refresh.core.provider.definition import Provider, SubjectSource
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.reply import look_up

_LEEWAY: Final = 10  # seconds between the provider's clock and ours
_LONGEST_SUBJECT: Final = 512


class IdTokenError(ValueError):
    """The ID token does not hold; the message names the claim, never its value."""


class WrongAccountError(ValueError):
    """The grant is another account's, or nobody can tell whose it is."""


def subject_source(provider: Provider) -> SubjectSource | None:
    """Return how the provider tells the account; an OpenID provider always does."""
    return provider.subject or (SubjectSource("id_token") if provider.openid else None)


def read_id_token(  # noqa: PLR0913 - OpenID Connect Core, section 3.1.3.7
    id_token: Secret | None, *, issuer: str | None, authorization_url: str, client_id: str, nonce: str, now: float
) -> Mapping[str, object]:
    """Return the claims after checking `iss`, `aud`, `azp`, `exp` and `nonce`; raises `IdTokenError`.

    The signature is not looked at: the token came straight from the token endpoint over TLS, which vouches for it
    (OpenID Connect Core, section 3.1.3.7, point 6).
    """
    claims = _claims(id_token)
    if not is_issuer(claims.get("iss"), issuer, authorization_url, claims):
        raise IdTokenError("iss")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise IdTokenError("aud")
    if "azp" in claims and claims["azp"] != client_id or len(audiences) > 1 and "azp" not in claims:
        raise IdTokenError("azp")
    expires = claims.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not now < expires + _LEEWAY:
        raise IdTokenError("exp")
    sent = claims.get("nonce")
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), nonce.encode()):
        raise IdTokenError("nonce")
    return claims


def identify(connection: Connection, source: SubjectSource | None, facts: Mapping[str, object]) -> str | None:
    """Return the account's stable id, None where the provider has no way to tell; raises `WrongAccountError`.

    A recorded subject must be met. At first consent the owner, where one is named, must be the verified e-mail
    address, the user name or the subject itself, ignoring case.
    """
    if source is None:
        if connection.subject or connection.owner:
            raise WrongAccountError("unknowable")
        return None
    subject = _text(look_up(facts, source.path) or facts.get(source.path))
    if subject is None:
        raise WrongAccountError("unknown")
    if connection.subject is not None:
        if subject != connection.subject:
            raise WrongAccountError("other_subject")
        return subject
    if connection.owner is not None and connection.owner.casefold() not in _names(facts, source.path, subject):
        raise WrongAccountError("other_owner")
    return subject


def _names(facts: Mapping[str, object], path: str, subject: str) -> set[str]:
    """Return what the owner may be called: facts that stand beside the subject, an e-mail address only if verified."""
    beside = look_up(facts, path.rpartition(".")[0])
    names: list[str | None] = [subject]
    for person in (facts, beside):
        if isinstance(person, Mapping):
            names += [_text(person.get("preferred_username")), _text(person.get("login"))]
            verified = person.get("email_verified")
            if verified is True or verified == "true":  # Cognito writes it as text
                names.append(_text(person.get("email")))
    return {name.casefold() for name in names if name}


def _text(value: object) -> str | None:
    """Return an identifier as text; some providers number their accounts."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _LONGEST_SUBJECT and text.isprintable() else None


def _claims(id_token: Secret | None) -> Mapping[str, object]:
    if id_token is None:
        raise IdTokenError("id_token")
    parts = id_token.reveal().split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature (RFC 7515, section 7.1)
        raise IdTokenError("id_token")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        raise IdTokenError("id_token") from None
    if not isinstance(claims, dict):
        raise IdTokenError("id_token")
    return claims
