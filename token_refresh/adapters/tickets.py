"""Tickets and sessions, signed with `CONSENT_SIGNING_KEY` by itsdangerous.

Nothing is stored: a ticket carries connection and version, the session's cookie a random id from which `state`,
`nonce` and PKCE verifier are derived. So neither the URL nor the cookie reveals the verifier, and any instance can
finish what another began.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from itsdangerous import BadData, SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from token_refresh.core.consent.session import SESSION_SECONDS, Session, Ticket, TicketError
from token_refresh.core.secrecy import Secret

_LONGEST: Final = 2048
_ACTION_SECONDS: Final = 12 * 3600  # a status page left open over a working day


class Tickets:
    """Make and read links, sessions and the status page's action tokens; implements `ports.ConsentLinks`.

    `clock` gives epoch seconds. `base_url` empty = consent is not deployed. Without a key, nothing that was signed
    elsewhere is accepted.
    """

    def __init__(self, key: Secret, base_url: str, ttl: float, clock: Callable[[], float]) -> None:
        # An empty key would be everybody's.
        self._key = key = key or Secret(secrets.token_urlsafe(32))
        self._base_url = base_url
        self._ttl = ttl
        self._secure = base_url.startswith("https:")
        self._tickets = _serializer(key, "token-refresh.ticket.consents", clock)
        self._first_edition = _serializer(key, "token-refresh.ticket", clock)
        self._sessions = _serializer(key, "token-refresh.session.consents", clock)
        self._actions = _serializer(key, "token-refresh.action", clock)

    @property
    def redirect_uri(self) -> str:
        """Return the redirect URI to be registered at the provider."""
        return f"{self._base_url}/callback"

    def url(self, connection: str, consents: int) -> str | None:
        """Return a link with a fresh ticket, good until there has been one more consent; None without `consent`."""
        if not self._base_url:
            return None
        ticket = self._tickets.dumps([connection, consents])
        return f"{self._base_url}/consent/{quote(connection, safe='')}?{urlencode({'ticket': ticket})}"

    def read(self, ticket: str) -> Ticket:
        """Read a ticket; raises `TicketError`."""
        return Ticket(*_pair(self._load_ticket(ticket)))

    def _load_ticket(self, text: str) -> object:
        try:
            return _load(self._tickets, text, self._ttl)
        except TicketError as fault:
            if not fault.expired:
                # A link of the first edition named a version: it is authentic, and its time is over.
                _load(self._first_edition, text, math.inf)
                raise TicketError(expired=True) from None
            raise

    def begin(self, ticket: Ticket) -> Session:
        """Begin a consent in one browser."""
        return self._session(ticket, secrets.token_urlsafe(24))

    def resume(self, state: str, cookies: Mapping[str, str]) -> Session:
        """Find the session that `state` belongs to in this browser's cookies; raises `TicketError`."""
        data = _load(self._sessions, cookies.get(self._cookie_name(state), ""), SESSION_SECONDS)
        if not isinstance(data, list) or len(data) != 2 or not isinstance(data[1], str):  # noqa: PLR2004
            raise TicketError
        session = self._session(Ticket(*_pair(data[0])), data[1])
        if not hmac.compare_digest(session.state.encode(), state.encode(errors="replace")):
            raise TicketError
        return session

    def action(self, connection: str) -> str:
        """Make a token that allows one connection's "refresh now" from a status page that we served."""
        token = self._actions.dumps(connection)
        return token if isinstance(token, str) else token.decode()

    def allows(self, token: str, connection: str) -> bool:
        """Tell whether an action token is ours, fresh and for this connection."""
        try:
            return bool(_load(self._actions, token, _ACTION_SECONDS) == connection)
        except TicketError:
            return False

    def _session(self, ticket: Ticket, session_id: str) -> Session:
        state = self._derive("state", session_id)
        cookie = self._sessions.dumps([[ticket.connection, ticket.consents], session_id])
        return Session(
            ticket=ticket,
            state=state,
            code_verifier=Secret(self._derive("code_verifier", session_id)),
            nonce=self._derive("nonce", session_id),
            cookie_name=self._cookie_name(state),
            cookie=cookie if isinstance(cookie, str) else cookie.decode(),
        )

    def _cookie_name(self, state: str) -> str:
        """Name the cookie after its state, so that two tabs do not overwrite each other's."""
        name = "consent-" + hashlib.sha256(state.encode(errors="replace")).hexdigest()[:16]
        return f"__Host-{name}" if self._secure else name

    def _derive(self, purpose: str, session_id: str) -> str:
        """Derive 43 URL-safe characters, the form RFC 7636, section 4.1 asks of a verifier."""
        message = f"token-refresh.{purpose}\x1f{session_id}".encode()
        digest = hmac.new(self._key.reveal().encode(), message, hashlib.sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _serializer(key: Secret, salt: str, clock: Callable[[], float]) -> URLSafeTimedSerializer:
    class Signer(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(clock())

    options: dict[str, Any] = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    return URLSafeTimedSerializer(key.reveal(), salt=salt, signer=Signer, signer_kwargs=options)


def _load(serializer: URLSafeTimedSerializer, text: str, max_age: float) -> object:
    if len(text) > _LONGEST:
        raise TicketError
    try:
        # itsdangerous only compares the age, so that a fraction of a second is as good as a whole number.
        return serializer.loads(text, max_age=max_age)  # type: ignore[arg-type]
    except SignatureExpired:
        raise TicketError(expired=True) from None
    except (BadData, ValueError):
        raise TicketError from None


def _pair(data: object) -> tuple[str, int]:
    match data:
        case [str(connection), int(version)]:
            return connection, version
    raise TicketError
