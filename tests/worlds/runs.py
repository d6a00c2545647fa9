"""A small world for whole runs: connections, a token endpoint that answers by refresh token, events, and the time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.fakes.instance import (
    FakePublisher,
    FakeRevoker,
    FakeStore,
    FrozenClock,
    ScriptedExchange,
    build_provider,
    build_runner,
)
from tests.worlds.event_schemas import validate
from token_refresh.core.access_token import build_annotation
from token_refresh.core.connection import LEASE, STATUS
from token_refresh.core.grant import Grant, RefreshTokenGrant
from token_refresh.core.incident.events import Event
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import (
    ClientRejected,
    ErrorDetail,
    GrantDead,
    Refreshed,
    TokenOutcome,
    Unavailable,
)
from token_refresh.core.trigger import Trigger
from token_refresh.run.report import Report
from token_refresh.run.runner import Runner
from token_refresh.settings import Settings

__all__ = ["DEAD", "REFUSED", "SILENT", "RunWorld", "build_annotation"]

LIFE = 3600
DAY = 86_400
DEAD = GrantDead("revoked_or_expired", ErrorDetail("invalid_grant", "Token has been expired or revoked."))
REFUSED = ClientRejected("invalid_client", ErrorDetail("invalid_client"))
SILENT = Unavailable("http_503")


# The paces have tests of their own: here no virtual time passes for them.
_UNPACED: Mapping[str, Any] = {"secret_reads_per_minute": 1e9, "token_requests_per_second": 1e9}


class RunWorld:
    """One project. `answers` maps a refresh token to what the endpoint says of it; others are refreshed."""

    def __init__(self, **settings: float) -> None:
        self.clock = FrozenClock()
        self.store = FakeStore(self.clock)
        self.publisher = FakePublisher()
        self.answers: dict[str, TokenOutcome] = {}
        self.exchange = ScriptedExchange(self._answer)
        self.revoker = FakeRevoker()
        self.providers = [build_provider(), build_provider("google", rotates="never")]
        fields: Mapping[str, Any] = {"refresh_workers": 4.0, "secret_writes_per_minute": 1e9, **_UNPACED, **settings}
        self.settings = replace(Settings(project="some-project"), **fields)
        self._numbers = itertools.count(1)
        self.runner = self.new_instance()

    def new_instance(self) -> Runner:
        """Return a cold instance on the same secrets, and use it from here on."""
        self.store = self.store.restarted()
        self.runner = build_runner(
            self.store,
            self.exchange,
            self.publisher,
            self.clock,
            providers=self.providers,
            settings=self.settings,
            revoker=self.revoker,
        )
        return self.runner

    def add(self, name: str, token: str | bytes | None = "", provider: str = "google", **more: Any) -> None:
        """Declare a connection; its refresh token is ``<name>-token`` unless given."""
        payload = f"{name}-token" if token == "" else token
        self.store.create_connection(name, payload, provider=provider, **more)

    def add_many(self, count: int) -> list[str]:
        names = [f"c{n}" for n in range(count)]
        for name in names:
            self.add(name)
        return names

    def dying(self, *names: str) -> None:
        """Let the provider say that these grants are dead."""
        self.answers |= {f"{n}-token": DEAD for n in names}

    def healed(self, *names: str) -> None:
        for name in names:
            self.answers.pop(f"{name}-token", None)

    def report(self, *connections: str, **trigger: Any) -> Report:
        """Run, and hold every event that was published against its schema."""
        before = len(self.publisher.events)
        try:
            return self.runner.run(Trigger(connections or None, **trigger))
        finally:
            for event in self.publisher.events[before:]:
                validate(event)

    def run(self, *connections: str, **trigger: Any) -> dict[str, str]:
        """Run; return ``outcome: reason`` by connection."""
        entries = self.report(*connections, **trigger).document()["connections"]
        assert isinstance(entries, list)
        return {e["name"]: f"{e['outcome']}: {e['reason']}" for e in entries}

    def later(self, seconds: float, *connections: str, **trigger: Any) -> dict[str, str]:
        """Let time pass, then run."""
        self.clock.advance(seconds)
        return self.run(*connections, **trigger)

    def confirmed(self, *connections: str) -> dict[str, str]:
        """Run, and once more when a refusal confirms the first one."""
        self.run(*connections)
        return self.later(self.settings.confirm_after, *connections)

    def status(self, name: str) -> dict[str, Any] | None:
        text = self.store.annotations(f"{name}-refresh-token").get(STATUS)
        return json.loads(text) if text else None

    def lease(self, name: str) -> dict[str, Any] | None:
        text = self.store.annotations(f"{name}-refresh-token").get(LEASE)
        return json.loads(text) if text else None

    def token(self, name: str) -> dict[str, Any]:
        """Return what a reader of `latest` finds."""
        payloads = self.store.payloads(f"{name}-access-token")
        document = json.loads(payloads[max(payloads)])
        assert isinstance(document, dict)
        return document

    def calls(self) -> list[str]:
        """Return the operations since the last look, and forget them."""
        seen = [operation for operation, _ in self.store.calls]
        self.store.calls.clear()
        return seen

    def events(self) -> list[str]:
        """Return ``type subject`` of every event so far."""
        return [f"{e.type} {e.subject}" for e in self.publisher.events]

    def last(self) -> Event:
        return self.publisher.events[-1]

    def _answer(self, grant: Grant) -> TokenOutcome:
        token = grant.refresh_token.reveal() if isinstance(grant, RefreshTokenGrant) else ""
        answer = self.answers.get(token)
        if answer is not None:
            return answer
        number = next(self._numbers)
        new = Secret(f"rotating-{number}") if token.startswith("rotating") else None
        return Refreshed(Secret(f"CANARY-{number}"), int(self.clock()) + LIFE, scope="a b", refresh_token=new)
