"""The outside as plain objects in plain sight: Secret Manager, the topics, a token endpoint and the time.

`build_runner` puts one instance together; several may share what lies behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from tests.fakes.faults import Crash, Faults
from tests.fakes.store import CLIENT_PAYLOAD, Cloud, FakeStore
from token_refresh.core.grant import Grant, RefreshTokenGrant
from token_refresh.core.incident.events import Event
from token_refresh.core.provider.definition import Provider
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import TokenOutcome
from token_refresh.core.token_endpoint.revocation import Revocation, Revoked
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured, PublishError
from token_refresh.ports import ConsentLinks, Publisher, Revoker, SecretStore, TokenEndpoint
from token_refresh.run.build import Outside
from token_refresh.run.build import build_runner as build_instance
from token_refresh.run.runner import Runner
from token_refresh.settings import Settings

__all__ = [
    "CLIENT_PAYLOAD",
    "START",
    "Cloud",
    "Crash",
    "FakeLinks",
    "FakePublisher",
    "FakeStore",
    "Faults",
    "FrozenClock",
    "ScriptedExchange",
    "build_provider",
    "build_runner",
]

START: Final = 1_800_000_000.0


class FrozenClock:
    """Stands still; `sleep` passes the time without waiting."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    sleep = advance


class FakePublisher(Publisher):
    """The topics; `down` makes every publication fail."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.events: list[Event] = []
        self.refresh_requests: list[dict[str, object]] = []
        self.down = False
        self.faults = faults or Faults()

    def publish(self, event: Event) -> None:
        self.faults.strike("publish", event.subject, "before")
        if self.down:
            raise PublishError("cannot publish: the topic is down")
        self.events.append(event)
        self.faults.strike("publish", event.subject, "after")

    def request_refresh(self, message: Mapping[str, object]) -> None:
        if self.down:
            raise PublishError("cannot publish: the topic is down")
        self.refresh_requests.append(dict(message))

    def types(self) -> list[str]:
        """Return the events' types, oldest first."""
        return [event.type for event in self.events]


class ScriptedExchange(TokenEndpoint):
    """A token endpoint: `answers` is a list of outcomes, one for each call, or a function from grant to outcome.

    `sent` lists the refresh tokens in the order in which they came (empty for other grants); `problem` is raised by
    `check`, as `Misconfigured` would be.
    """

    def __init__(
        self, answers: Iterable[TokenOutcome] | Callable[[Grant], TokenOutcome], faults: Faults | None = None
    ) -> None:
        self._answer = answers if callable(answers) else _one_by_one(answers)
        self.sent: list[str] = []
        self.problem: Exception | None = None
        self.faults = faults or Faults()

    def check(self, request: TokenRequest) -> None:  # noqa: ARG002
        if self.problem:
            raise self.problem

    def refresh(self, request: TokenRequest) -> TokenOutcome:
        grant = request.grant
        assert grant is not None
        self.faults.strike("exchange", "", "before")
        self.sent.append(grant.refresh_token.reveal() if isinstance(grant, RefreshTokenGrant) else "")
        outcome = self._answer(grant)
        self.faults.strike("exchange", "", "after")
        return outcome


class FakeRevoker(Revoker):
    """A revocation endpoint: `answer` is what it says; `takes` lets time pass; `revoked` lists both tokens."""

    def __init__(self) -> None:
        self.answer: Revocation = Revoked()
        self.impossible: Misconfigured | None = None
        self.takes: Callable[[], object] = lambda: None
        self.revoked: list[tuple[str, str | None]] = []

    def check(self, request: TokenRequest) -> RefreshTokenGrant:
        if self.impossible:
            raise self.impossible
        assert isinstance(request.grant, RefreshTokenGrant)
        return request.grant

    def revoke(self, request: TokenRequest, *, access_token: Secret | None) -> Revocation:
        grant = self.check(request)
        self.takes()
        self.revoked.append((grant.refresh_token.reveal(), access_token.reveal() if access_token else None))
        return self.answer


def _one_by_one(outcomes: Iterable[TokenOutcome]) -> Callable[[Grant], TokenOutcome]:
    left = iter(outcomes)
    return lambda _: next(left)


class FakeLinks(ConsentLinks):
    """Links that name what they are for."""

    def url(self, connection: str, consents: int) -> str | None:
        return f"https://consent.example/consent/{connection}?ticket=for-consent-{consents}"


def build_provider(name: str = "rotating", *, rotates: str = "always", **fields: object) -> Provider:
    """Build a provider at which nothing is ever sent anywhere."""
    url = f"https://{name}.example/token"
    return replace(Provider(name, url, url, rotates_refresh_tokens=rotates), **fields)  # type: ignore[arg-type]


def build_runner(  # noqa: PLR0913 - the parts of an instance
    store: SecretStore,
    exchange: TokenEndpoint,
    publisher: Publisher,
    clock: FrozenClock,
    *,
    providers: Iterable[Provider] = (),
    settings: Settings | None = None,
    revoker: Revoker | None = None,
) -> Runner:
    """Put one instance together, as `wiring` does, with the memory of a fresh one."""
    settings = settings or Settings(project="some-project", refresh_workers=4)
    known_providers = {p.name: p for p in providers or (build_provider(), build_provider("google", rotates="never"))}
    outside = Outside(store, exchange, publisher, FakeLinks(), revoker or FakeRevoker(), clock, clock.sleep, clock)
    return build_instance(outside, known_providers, settings)
