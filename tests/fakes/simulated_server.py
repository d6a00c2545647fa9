"""An authorization server in memory: rotation, grace, reuse detection, and true books of every grant."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.fakes.faults import Faults
from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import (
    ClientRejected,
    GrantDead,
    Refreshed,
    TokenOutcome,
    Unavailable,
    UnknownOutcome,
)
from token_refresh.core.token_request import TokenRequest
from token_refresh.ports import TokenEndpoint


@dataclass(slots=True)
class Family:
    """One grant: its refresh tokens in the order in which they were issued; the last is the one that works."""

    name: str
    tokens: list[str] = field(default_factory=list)
    alive: bool = True
    revoked_by_owner: bool = False
    rotated_at: float = 0.0


class SimulatedServer:
    """The server. `mode` says how it answers; in every mode it keeps its own books truly.

    `ok`, `down` (nothing happens), `lost_before` and `lost_after` (the answer is lost, before or after a commit),
    `bad_client` (`invalid_client`), `lying` (`invalid_grant` for grants that live).
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.mode = "ok"
        self.grace: Mapping[str, float] = {}  # by provider; others detect reuse
        self.deaths_told: dict[str, int] = {}  # by refresh token
        self._families: dict[str, Family] = {}  # by refresh token
        self._numbers = itertools.count(1)

    def consent(self, name: str) -> str:
        """Issue a refresh token to the owner of `name`."""
        family = Family(name)
        return self._issue(family)

    def revoke(self, token: str) -> None:
        family = self._families[token]
        family.alive, family.revoked_by_owner = False, True

    def family(self, token: str) -> Family | None:
        return self._families.get(token)

    def answer(self, provider: Provider, token: str) -> TokenOutcome:
        """Answer one request as `mode` says."""
        match self.mode:
            case "down":
                return Unavailable("http_503")
            case "bad_client":
                return ClientRejected("invalid_client")
            case "lost_before":
                return UnknownOutcome("reply_lost")
            case "lying":
                return self._dead(token, "revoked_or_expired")
        outcome = self._exchange(provider, token)
        return UnknownOutcome("reply_lost") if self.mode == "lost_after" else outcome

    def _exchange(self, provider: Provider, token: str) -> TokenOutcome:
        family = self._families.get(token)
        if family is None or not family.alive:
            return self._dead(token, "revoked_or_expired")
        if token != family.tokens[-1]:
            is_in_grace = self.clock() < family.rotated_at + self.grace.get(provider.name, 0)
            if not (is_in_grace and len(family.tokens) > 1 and token == family.tokens[-2]):
                family.alive = family.alive and provider.name in self.grace
                return self._dead(token, "refresh_token_reused")
        elif provider.rotates:
            self._issue(family)
            family.rotated_at = self.clock()
        new = Secret(family.tokens[-1]) if provider.rotates else None
        expires_at = int(self.clock()) + 3600
        return Refreshed(Secret(f"CANARY-access-token-{next(self._numbers)}"), expires_at, refresh_token=new)

    def _dead(self, token: str, reason: str) -> TokenOutcome:
        self.deaths_told[token] = self.deaths_told.get(token, 0) + 1
        return GrantDead(reason)

    def _issue(self, family: Family) -> str:
        token = f"CANARY-refresh-token-{next(self._numbers)}"
        family.tokens.append(token)
        self._families[token] = family
        return token


@dataclass(frozen=True, slots=True)
class Sent:
    """One exchange: what was sent, and how it ended (empty while it runs, or for ever if the instance died)."""

    token: str
    provider: Provider
    at: float
    outcome: str
    is_late: bool = False  # time passed between the last look at the clock and the send


class SimulatedExchange(TokenEndpoint):
    """One instance's way to the server; `watch` hears of every exchange before it is sent and after."""

    def __init__(self, server: SimulatedServer, faults: Faults, watch: Callable[[Sent], None]) -> None:
        self.server, self.faults, self.watch = server, faults, watch

    def check(self, request: TokenRequest) -> None:  # noqa: ARG002
        return

    def refresh(self, request: TokenRequest) -> TokenOutcome:
        provider, grant = request.provider, request.grant
        assert isinstance(grant, RefreshTokenGrant)
        token = grant.refresh_token.reveal()
        self.faults.strike("exchange", "", "before")
        self.watch(Sent(token, provider, self.server.clock(), "", getattr(self.faults, "is_late", False)))
        outcome = self.server.answer(provider, token)
        self.watch(Sent(token, provider, self.server.clock(), type(outcome).__name__))
        self.faults.strike("exchange", "", "after")
        return outcome
