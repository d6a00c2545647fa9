"""A consent under way: who asked for which connection, and what only this browser can prove."""

from __future__ import annotations

from dataclasses import dataclass, field

from token_refresh.core.secrecy import Secret

# Signing in at a provider may take a password reset and a second factor.
SESSION_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link entitles to: one consent for this connection, the next after `consents` so far."""

    connection: str
    consents: int


@dataclass(frozen=True, slots=True)
class Session:
    """Bind an authorization request to a browser; `cookie` is what the browser must bring back."""

    ticket: Ticket
    state: str = field(repr=False)
    code_verifier: Secret
    nonce: str = field(repr=False)
    cookie_name: str
    cookie: str = field(repr=False)


class TicketError(ValueError):
    """A ticket, state or cookie is not ours (`forged`) or too old (`expired`)."""

    def __init__(self, *, expired: bool = False) -> None:
        self.expired = expired
        super().__init__("expired" if expired else "forged")
