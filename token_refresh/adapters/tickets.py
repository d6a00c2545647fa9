"""Tickets, sessions and receipts, signed with `CONSENT_SIGNING_KEY` by itsdangerous.

Nothing is stored: a ticket carries the connection and the number of its consents, the session's cookie a random id
from which `state`, `nonce` and PKCE verifier are derived. So neither the URL nor the cookie reveals the verifier, and
any instance can finish what another began. Of several keys the first signs and all verify: a link, and a consent under
way, survive a change of the key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, fields, replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from token_refresh.core.consent.session import SESSION_SECONDS, Cookie, Receipt, Session, Ticket, TicketError
from token_refresh.core.secrecy import Secret

_LONGEST: Final = 2048
_ACTION_SECONDS: Final = 12 * 3600  # a status page left open over a working day
_COOKIE: Final = re.compile(r"(?:__Host-)?consent-[0-9a-f]{16}")
_COOKIES_KEPT: Final = 5  # with its host's other cookies well below the 8 KiB that servers take as headers


class Tickets:
    """Make and read links, sessions and the status page's action tokens.

    Implements `ConsentLinks`, `ConsentTickets` and `ActionTokens` of `ports`. `key` holds one key a line, `clock` gives
    epoch seconds. `base_url` empty = consent is not deployed. Without a key, nothing that was signed elsewhere is
    accepted.
    """

    def __init__(self, key: Secret, base_url: str, ttl: float, clock: Callable[[], float]) -> None:
        # An empty key would be everybody's.
        self._keys = keys_of(key) or (secrets.token_urlsafe(32),)
        self.base_url = base_url
        self._ttl = ttl
        self._clock = clock
        self._secure = base_url.startswith("https:")
        self._tickets = self._serializer("token-refresh.ticket.consents")
        self._first_edition = self._serializer("token-refresh.ticket")
        self._sessions = self._serializer("token-refresh.session.consents")
        self._ended = self._serializer("token-refresh.ended")
        self._receipts = self._serializer("token-refresh.receipt")
        self._actions = self._serializer("token-refresh.action")

    @property
    def redirect_uri(self) -> str:
        """Return the redirect URI to be registered at the provider."""
        return f"{self.base_url}/callback"

    def url(self, connection: str, consents: int) -> str | None:
        """Return a link with a fresh ticket, good until there has been one more consent; None without `consent`."""
        if not self.base_url:
            return None
        ticket = _text(self._tickets.dumps([connection, consents]))
        return f"{self.base_url}/consent/{quote(connection, safe='')}?{urlencode({'ticket': ticket})}"

    def read(self, text: str) -> Ticket:
        """Read a ticket; raises `TicketError`."""
        ticket = self._read_as(self._tickets, text)
        if ticket is None:
            old = self._read_as(self._first_edition, text)
            if old is None:
                raise TicketError
            # It named a version, which says nothing about consents.
            raise TicketError(Ticket(old.connection, -1, old.issued_at))
        self._check_time(ticket)
        return ticket

    def begin(self, ticket: Ticket) -> Session:
        """Begin a consent in one browser."""
        return self._session(ticket, secrets.token_urlsafe(24), self._keys[0])

    def resume(self, state: str, cookies: Mapping[str, str]) -> Session:
        """Find the session that `state` belongs to in this browser's cookies; raises `TicketError`."""
        ticket, session_id, issued_at = self._read_cookie(self._sessions, state, cookies)
        for key in self._keys:
            session = self._session(ticket, session_id, key)
            if hmac.compare_digest(session.state.encode(), state.encode(errors="replace")):
                return replace(session, is_over=self._clock() > issued_at + SESSION_SECONDS)
        raise TicketError

    def end(self, session: Session) -> Cookie:
        """Make the cookie that replaces a session's once its answer has come: it only lets the owner start again."""
        value = _text(self._ended.dumps([list(astuple(session.ticket)), session.state]))
        return Cookie(session.cookie.name, value, SESSION_SECONDS)

    def again(self, state: str, cookies: Mapping[str, str]) -> Ticket:
        """Return the ticket of a session that was begun in this browser and has no receipt; raises `TicketError`.

        The ticket is no younger than it was.
        """
        try:
            ticket = self.resume(state, cookies).ticket
        except TicketError:
            ticket, ended, _ = self._read_cookie(self._ended, state, cookies)
            if ended != state:
                raise TicketError from None
        self._check_time(ticket)
        return ticket

    def give_receipt(self, session: Session, receipt: Receipt) -> Cookie:
        """Make the cookie that replaces a session's once its grant is stored."""
        value = _text(self._receipts.dumps([session.state, *astuple(receipt)]))
        return Cookie(session.cookie.name, value, int(self._ttl))

    def receipt(self, state: str, cookies: Mapping[str, str]) -> Receipt | None:
        """Return this browser's receipt for a state; None when there is none."""
        found = self._receipt(cookies.get(self._cookie_name(state), ""))
        return found[2] if found and found[1] == state else None

    def receipts(self, connection: str, cookies: Mapping[str, str]) -> list[Receipt]:
        """Return what this browser has to show for a connection, newest first."""
        ours = [name for name in cookies if _COOKIE.fullmatch(name)][-2 * _COOKIES_KEPT :]
        found = [one for name in ours if (one := self._receipt(cookies[name])) and one[2].connection == connection]
        return [receipt for _, _, receipt in sorted(found, key=lambda one: one[0], reverse=True)]

    def superfluous(self, cookies: Iterable[str]) -> list[str]:
        """Return the names of our older cookies that must go, so that they do not pile up: browsers send old first."""
        return [name for name in cookies if _COOKIE.fullmatch(name)][: -(_COOKIES_KEPT - 1)]

    def action(self, connection: str) -> str:
        """Make a token that allows one connection's "refresh now" from a status page that we served."""
        return _text(self._actions.dumps(connection))

    def allows(self, token: str, connection: str) -> bool:
        """Tell whether an action token is ours, fresh and for this connection."""
        try:
            data, issued_at = self._load(self._actions, token)
        except TicketError:
            return False
        return data == connection and self._clock() <= issued_at + _ACTION_SECONDS

    def _receipt(self, text: str) -> tuple[int, str, Receipt] | None:
        """Return when a receipt was given, for which state, and what it says; None for what is none of ours."""
        try:
            data, issued_at = self._load(self._receipts, text)
        except TicketError:
            return None
        if not isinstance(data, list) or len(data) != 1 + len(fields(Receipt)) or self._clock() > issued_at + self._ttl:
            return None
        return issued_at, data[0], Receipt(*data[1:])  # as we have signed it

    def _check_time(self, ticket: Ticket) -> None:
        if self._clock() > ticket.issued_at + self._ttl:
            raise TicketError(ticket)

    def _read_as(self, serializer: URLSafeTimedSerializer, text: str) -> Ticket | None:
        try:
            data, issued_at = self._load(serializer, text)
        except TicketError:
            return None
        match data:
            case [str(connection), int(number)]:
                return Ticket(connection, number, issued_at)
        return None

    def _read_cookie(
        self, serializer: URLSafeTimedSerializer, state: str, cookies: Mapping[str, str]
    ) -> tuple[Ticket, str, int]:
        """Return what the cookie of a state says: ticket, what belongs to it, since when; raises `TicketError`."""
        data, issued_at = self._load(serializer, cookies.get(self._cookie_name(state), ""))
        match data:
            case [[str(connection), int(consents), int(begun)], str(word)]:
                return Ticket(connection, consents, begun), word, issued_at
        raise TicketError

    def _load(self, serializer: URLSafeTimedSerializer, text: str) -> tuple[object, int]:
        """Return what was signed, and when (epoch seconds); raises `TicketError`."""
        if len(text) > _LONGEST:
            raise TicketError
        try:
            data, signed = serializer.loads(text, return_timestamp=True)
        except (BadData, ValueError):
            raise TicketError from None
        return data, int(signed.timestamp())

    def _session(self, ticket: Ticket, session_id: str, key: str) -> Session:
        state = _derive(key, "state", session_id)
        value = _text(self._sessions.dumps([list(astuple(ticket)), session_id]))
        return Session(
            ticket=ticket,
            state=state,
            code_verifier=Secret(_derive(key, "code_verifier", session_id)),
            nonce=_derive(key, "nonce", session_id),
            cookie=Cookie(self._cookie_name(state), value, SESSION_SECONDS),
        )

    def _cookie_name(self, state: str) -> str:
        """Name the cookie after its state, so that two tabs do not overwrite each other's."""
        name = "consent-" + hashlib.sha256(state.encode(errors="replace")).hexdigest()[:16]
        return f"__Host-{name}" if self._secure else name

    def _serializer(self, salt: str) -> URLSafeTimedSerializer:
        clock = self._clock

        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(clock())

        options: dict[str, Any] = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        # itsdangerous signs with the last key.
        return URLSafeTimedSerializer(list(reversed(self._keys)), salt=salt, signer=Signer, signer_kwargs=options)


def keys_of(text: Secret) -> tuple[str, ...]:
    """Return the keys, one a line."""
    return tuple(key for line in text.reveal().splitlines() if (key := line.strip()))


def _derive(key: str, purpose: str, session_id: str) -> str:
    """Derive 43 URL-safe characters, the form RFC 7636, section 4.1 asks of a verifier."""
    message = f"token-refresh.{purpose}\x1f{session_id}".encode()
    digest = hmac.new(key.encode(), message, hashlib.sha256).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _text(signed: str | bytes) -> str:
    return signed if isinstance(signed, str) else signed.decode()
