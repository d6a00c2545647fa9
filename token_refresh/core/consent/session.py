"""A consent under way: who asked for which connection, and what only this browser can prove."""

from __future__ import annotations

from dataclasses import dataclass, field

from token_refresh.core.secrecy import Secret

# Signing in at a provider may take a password reset and a second factor.
SESSION_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link entitles to: one consent for this connection, the next after `consents` so far.

    `issued_at` (epoch seconds) tells tickets apart, and says when one ends. A link of the first edition, which is
    authentic and has ended, names another number: `consents` is -1 then.
    """

    connection: str
    consents: int
    issued_at: int = 0


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set, for `seconds`."""

    name: str
    value: str = field(repr=False)
    seconds: int


@dataclass(frozen=True, slots=True)
class Session:
    """Bind an authorization request to a browser; `cookie` is what the browser must bring back."""

    ticket: Ticket
    state: str = field(repr=False)
    code_verifier: Secret
    nonce: str = field(repr=False)
    cookie: Cookie
    is_over: bool = False  # its hour has passed


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a browser keeps of a consent that it has ended: for its own pages, and worth nothing else.

    `consents` is the number that the ticket named, `version` what was stored, `account` whose it is, as the provider
    calls it (empty where it does not tell), `tokens` the newest access token before it (-1 = not known).
    """

    connection: str
    consents: int
    version: int
    account: str = ""
    tokens: int = -1
    paused: bool = False
    title: str = ""
    provider: str = ""


class TicketError(ValueError):
    """A ticket, state or cookie is not ours (`forged`) or too old (`expired`, and then `ticket` is what it was)."""

    def __init__(self, ticket: Ticket | None = None) -> None:
        self.ticket = ticket
        super().__init__("expired" if ticket else "forged")
