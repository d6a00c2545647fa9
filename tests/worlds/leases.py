"""One connection whose refresh tokens are good for one use, and the instances that want its lease."""

from __future__ import annotations

from itertools import count

from tests.fakes.instance import FakePublisher, FakeStore, FrozenClock, ScriptedExchange, build_runner
from token_refresh.core.connection import LEASE
from token_refresh.core.grant import Grant, RefreshTokenGrant
from token_refresh.core.secrecy import Secret
from token_refresh.core.status import Lease, parse_lease, render_lease
from token_refresh.core.token_endpoint.outcome import GrantDead, Refreshed, TokenOutcome
from token_refresh.core.trigger import Trigger
from token_refresh.run.runner import Runner

GRANT, TOKEN = "alice-refresh-token", "alice-access-token"
FORCED = Trigger(force=True)


class LeaseScene:
    """One rotating connection, `alice`, at a server that honours only the newest refresh token."""

    def __init__(self, payload: str = "rt-0", **notes: str) -> None:
        self.clock = FrozenClock()
        self.store = FakeStore(self.clock)
        self.store.create_connection("alice", payload, annotations=notes)
        self.clock.advance(3600)
        self.publisher = FakePublisher()
        self.numbers = count(1)
        self.newest = "rt-0"
        self.exchange = ScriptedExchange(self.answer)
        self.runner = self.start(self.store)

    def answer(self, grant: Grant) -> TokenOutcome:
        assert isinstance(grant, RefreshTokenGrant)
        if grant.refresh_token.reveal() != self.newest:
            return GrantDead("revoked_or_expired")
        number = next(self.numbers)
        self.newest = f"rt-{number}"
        return Refreshed(Secret(f"at-{number}"), int(self.clock()) + 3600, refresh_token=Secret(self.newest))

    def start(self, store: FakeStore | None = None) -> Runner:
        """Start another instance."""
        return build_runner(store or self.store.restarted(), self.exchange, self.publisher, self.clock)

    def lease(self) -> Lease | None:
        return parse_lease(self.store.annotations(GRANT).get(LEASE))

    def hold_lease(self, until: float, version: int) -> None:
        self.store.set_annotations(GRANT, {LEASE: render_lease(Lease("somebody", until, version))})


def outcome(runner: Runner, trigger: Trigger = FORCED) -> tuple[str, str]:
    work = runner.run(trigger).visits[0]
    return work.outcome, work.reason
