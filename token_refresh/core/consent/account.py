"""Whose grant is it? ID-token claims and the account behind a new grant (contract 6)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from token_refresh.core.connection import ANYBODY, Connection
from token_refresh.core.consent.authorization import is_issuer
from token_refresh.core.json_object import finite, read_object
from token_refresh.core.provider.definition import Provider, SubjectSource
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.reply import look_up

_LEEWAY: Final = 10  # seconds between the provider's clock and ours
_LONGEST_SUBJECT: Final = 512
_LONGEST_NAME: Final = 120


class IdTokenError(ValueError):
    """The ID token does not hold; the message names the claim, never its value."""


class AccountFault(StrEnum):
    """Why an account is not the right one, or none can be; each is the reason of a refusal."""

    NO_OWNER = "no_owner"
    UNKNOWN_ACCOUNT = "unknown_account"
    WRONG_ACCOUNT = "wrong_account"


class WrongAccountError(ValueError):
    """The grant is another account's, or it cannot be told whose it is."""

    def __init__(self, reason: AccountFault) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose grant it is: the stable id, None where the provider has no way to tell, and what the owner calls it."""

    subject: str | None = None
    name: str = ""


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
    expires = finite(claims.get("exp"))
    if expires is None or not now < expires + _LEEWAY:
        raise IdTokenError("exp")
    sent = claims.get("nonce")
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), nonce.encode()):
        raise IdTokenError("nonce")
    return claims


def why_nobody_may_consent(connection: Connection, provider: Provider, subject: str | None) -> AccountFault | None:
    """Return why no account can be the right one; None where one can.

    `subject` is the account on record.
    """
    if subject is None and connection.owner is None:
        return AccountFault.NO_OWNER
    if subject is not None and subject_source(provider) is None:
        return AccountFault.UNKNOWN_ACCOUNT
    return None


def identify(connection: Connection, provider: Provider, subject: str | None, facts: Mapping[str, object]) -> Account:
    """Return whose grant it is; raises `WrongAccountError`.

    The account on record, `subject`, must be met. At first consent the owner decides: with an ``@`` it is a verified
    address, without one a user name or the subject itself, ignoring case; ``*`` is anybody.
    """
    reason = why_nobody_may_consent(connection, provider, subject)
    if reason:
        raise WrongAccountError(reason)
    source = subject_source(provider)
    if source is None:
        return Account()
    found = _text(look_up(facts, source.path) or facts.get(source.path))
    if found is None:
        raise WrongAccountError(AccountFault.UNKNOWN_ACCOUNT)
    people = _people(facts, source.path)
    if subject is not None:
        is_right = found == subject
    else:
        owner = (connection.owner or "").casefold()
        is_right = owner == ANYBODY or owner in _names(people, found, provider, is_address="@" in owner)
    if not is_right:
        raise WrongAccountError(AccountFault.WRONG_ACCOUNT)
    return Account(found, _shown_name(people, found))


def _people(facts: Mapping[str, object], path: str) -> list[Mapping[str, object]]:
    """Return where names may stand: beside the subject, and at the top."""
    beside = look_up(facts, path.rpartition(".")[0])
    return [person for person in (facts, beside) if isinstance(person, Mapping)]


def _names(people: list[Mapping[str, object]], subject: str, provider: Provider, *, is_address: bool) -> set[str]:
    """Return what the owner may be called.

    An address proves something only where the provider has verified it: as `email`, or as the user name of a provider
    that verifies those. Elsewhere people choose their user names themselves (OpenID Connect Core, section 5.7).
    """
    names: list[str | None] = [] if is_address else [subject]
    for person in people:
        if is_address and _is_verified(person):
            names.append(_text(person.get("email")))
        if not is_address or provider.verified_usernames:
            names.append(_text(person.get("preferred_username")))
        if not is_address:
            names.append(_text(person.get("login")))
    return {name.casefold() for name in names if name}


def _shown_name(people: list[Mapping[str, object]], subject: str) -> str:
    """Return what the owner calls the account, for the page that thanks them."""
    names = [_text(person.get(name)) for name in ("email", "preferred_username", "login") for person in people]
    return next((name for name in names if name), subject)[:_LONGEST_NAME]


def _is_verified(person: Mapping[str, object]) -> bool:
    """Tell whether the provider vouches for the e-mail address; Cognito says so as text."""
    verified = person.get("email_verified")
    return verified is True or verified == "true"


def _text(value: object) -> str | None:
    """Return an identifier as text; some providers number their accounts."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _LONGEST_SUBJECT and text.isprintable() else None


def _claims(id_token: Secret | None) -> Mapping[str, object]:
    parts = id_token.reveal().split(".") if id_token else []
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature (RFC 7515, section 7.1)
        raise IdTokenError("id_token")
    try:
        claims = read_object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        claims = None
    if claims is None:
        raise IdTokenError("id_token")
    return claims
