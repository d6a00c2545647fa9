"""Revocation signals: what a security event token says (RFC 8417, OpenID RISC), and which grant it is about.

Events and subjects as Google sends them: https://developers.google.com/identity/protocols/risc
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from token_refresh.core.secrecy import Secret
from token_refresh.errors import BadRequest

# RFC 8935, section 2.4.
INVALID_REQUEST: Final = "invalid_request"
INVALID_KEY: Final = "invalid_key"
INVALID_ISSUER: Final = "invalid_issuer"
INVALID_AUDIENCE: Final = "invalid_audience"

MAX_BODY: Final = 1024 * 1024
# One security event token has one event as a rule; a message holds what a few of them say.
MAX_SIGNALS: Final = 100
PREFIX_LENGTH: Final = 16

_OAUTH: Final = "https://schemas.openid.net/secevent/oauth/event-type/"
_RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
_ABOUT_A_TOKEN: Final = f"{_OAUTH}token-revoked"
_ABOUT_AN_ACCOUNT: Final = frozenset(
    {f"{_OAUTH}tokens-revoked", f"{_RISC}account-disabled", f"{_RISC}sessions-revoked"}
)
_ALGORITHMS: Final = {"prefix": "prefix", "hash_base64_sha512_sha512": "sha512"}

_LONGEST_SUB: Final = 255  # OpenID Connect Core, section 2
_LONGEST_JTI: Final = 512
_PREFIX = re.compile(rf"[\x21-\x7e]{{{PREFIX_LENGTH}}}")
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class SetError(ValueError):
    """A security event token is refused; `code` is RFC 8935's, the message never quotes the token."""

    def __init__(self, code: str, description: str) -> None:
        self.code = code
        super().__init__(description)


@dataclass(frozen=True, slots=True)
class Signal:
    """Whose grant may be gone: `kind` is ``sub`` (an account), ``prefix`` or ``sha512`` (a token)."""

    issuer: str
    kind: str
    value: str

    def as_json(self) -> dict[str, str]:
        """Return the signal as a message on the refresh topic carries it."""
        return {"iss": self.issuer, self.kind: self.value}


@dataclass(frozen=True, slots=True)
class SecurityEvents:
    """What a security event token holds for us; `names` are the last parts of the events' URIs, for the log."""

    jti: str
    signals: tuple[Signal, ...]
    names: tuple[str, ...]


def parse_set(body: bytes) -> str:
    """Return the token of a request's body, as far as it has the form of one (RFC 7519); raises `SetError`."""
    try:
        text = body.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if len(body) > MAX_BODY or not _JWT.fullmatch(text):
        raise SetError(INVALID_REQUEST, "the body is not a security event token of at most 1 MiB")
    return text


def read_events(claims: Mapping[str, object], issuer: str, audiences: Collection[str]) -> SecurityEvents:
    """Read the claims of a token whose signature holds; its age does not matter. Raises `SetError`.

    Events of other kinds are acknowledged and mean nothing here, `verification` among them.
    """
    if not isinstance(claims.get("iss"), str) or not is_same_issuer(str(claims["iss"]), issuer):
        raise SetError(INVALID_ISSUER, "the token is from another issuer")
    audience = claims.get("aud")
    found = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(one, str) and one in audiences for one in found):
        raise SetError(INVALID_AUDIENCE, "the token is meant for another audience")
    jti, events = claims.get("jti"), claims.get("events")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise SetError(INVALID_REQUEST, "the token has no usable jti")
    if not isinstance(events, dict) or not events:
        # An ID token of the same issuer for the same client ends here.
        raise SetError(INVALID_REQUEST, "the token has no events")
    signals = dict[Signal, None]()
    faults = list[SetError]()
    for kind, event in events.items():
        try:
            signal = _read_event(kind, event, issuer)
        except SetError as fault:
            faults.append(fault)
            continue
        if signal:
            signals[signal] = None
    if faults and not signals:  # beside others an unusable event is no reason to lose them
        raise faults[0]
    return SecurityEvents(jti, tuple(signals)[:MAX_SIGNALS], tuple(_short_name(kind) for kind in events)[:MAX_SIGNALS])


def parse_signals(value: object) -> tuple[Signal, ...]:
    """Read ``"signals"`` of a message on the refresh topic (contract 4); raises `BadRequest`."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_SIGNALS:
        raise BadRequest(f'"signals" is not a list of 1 to {MAX_SIGNALS} signals')
    return tuple(_parse_signal(one) for one in value)


def matches(signal: Signal, issuer: str | None, subject: str | None, token: Secret | None) -> bool:
    """Tell whether a signal is about this grant: the provider's `issuer`, its account's `subject`, its refresh token.

    A signal about an account is compared with `subject`, one about a token with `token`; what is not known matches
    nothing.
    """
    if issuer is None or not is_same_issuer(issuer, signal.issuer):
        return False
    if signal.kind == "sub":
        return subject is not None and subject == signal.value
    if token is None:
        return False
    if signal.kind == "prefix":
        return token.reveal()[:PREFIX_LENGTH] == signal.value
    return double_hash(token) == signal.value


def double_hash(token: Secret) -> str:
    """Return base64 of SHA-512 of SHA-512 of a token: Google's ``hash_base64_sha512_sha512``."""
    once = hashlib.sha512(token.reveal().encode("utf-8", "replace")).digest()
    return base64.b64encode(hashlib.sha512(once).digest()).decode()


def is_same_issuer(one: str, other: str) -> bool:
    """Compare issuers without a trailing slash: Google writes its own with one and without."""
    return one.removesuffix("/") == other.removesuffix("/")


def _read_event(kind: str, event: object, issuer: str) -> Signal | None:
    if kind not in _ABOUT_AN_ACCOUNT and kind != _ABOUT_A_TOKEN:
        return None
    subject = event.get("subject") if isinstance(event, dict) else None
    if not isinstance(subject, dict):
        raise SetError(INVALID_REQUEST, f"{_short_name(kind)} has no subject")
    if kind == _ABOUT_A_TOKEN:
        name = _ALGORITHMS.get(str(subject.get("token_identifier_alg")))
        signal = _signal(issuer, name, subject.get("token"))
    else:
        named = subject.get("iss", issuer)
        is_ours = isinstance(named, str) and is_same_issuer(named, issuer)
        signal = _signal(issuer, "sub", subject.get("sub")) if is_ours else None
    if signal is None:
        raise SetError(INVALID_REQUEST, f"{_short_name(kind)} names neither account nor token")
    return signal


def _parse_signal(value: object) -> Signal:
    if isinstance(value, dict) and len(value) == 2 and isinstance(value.get("iss"), str) and value["iss"]:  # noqa: PLR2004 - iss and one more
        (kind,) = value.keys() - {"iss"}
        signal = _signal(value["iss"], kind, value[kind])
        if signal is not None:
            return signal
    raise BadRequest('a signal has "iss" and one of "sub", "prefix", "sha512"')


def _signal(issuer: str, kind: str | None, value: object) -> Signal | None:
    if not isinstance(value, str):
        return None
    match kind:
        case "sub":
            return Signal(issuer, kind, value) if 0 < len(value) <= _LONGEST_SUB else None
        case "prefix":
            return Signal(issuer, kind, value) if _PREFIX.fullmatch(value) else None
        case "sha512":
            digest = _digest(value)
            return Signal(issuer, kind, digest) if digest else None
        case _:
            return None


def _digest(text: str) -> str | None:
    """Return a SHA-512 digest in plain base64, whichever alphabet and padding it came in."""
    plain = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return base64.b64encode(raw).decode() if len(raw) == hashlib.sha512().digest_size else None


def _short_name(kind: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", kind.rsplit("/", 1)[-1])[:40]
