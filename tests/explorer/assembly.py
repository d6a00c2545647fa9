"""How the parts of an instance are put together for the explorer: the only lines that know how the product is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.instance import FakeLinks, FrozenClock, build_provider, build_runner
from token_refresh.connections.incidents import Incidents
from token_refresh.connections.lease import Leases
from token_refresh.consent.redemption import NewGrant
from token_refresh.consent.save import NewGrantSaver
from token_refresh.core.connection import SUFFIX, parse_connection
from token_refresh.core.consent.account import Account
from token_refresh.core.consent.session import Ticket
from token_refresh.core.status import CONSENT_HOLDER
from token_refresh.ports import Publisher, SecretStore, TokenEndpoint
from token_refresh.refresh.attempt import Reply
from token_refresh.run.runner import Runner
from token_refresh.settings import Settings

PROVIDERS = (build_provider("strict"), build_provider("lenient"), build_provider("google", rotates="never"))
SETTINGS = Settings(project="some-project", refresh_workers=1, breaker_min=3)


@dataclass(frozen=True, slots=True)
class Parts:
    """One instance's use cases."""

    runner: Runner
    consent: Callable[[str, Callable[[], str]], int]
    stop: Callable[[], None]  # what `wiring` has done at SIGTERM


def assemble(  # noqa: PLR0913, PLR0917 - what an instance is made of
    store: SecretStore,
    endpoint: TokenEndpoint,
    publisher: Publisher,
    clock: FrozenClock,
    sleep: Callable[[float], None],
    name: str,
) -> Parts:
    watch = Watch(clock, sleep)
    runner = build_runner(store, endpoint, publisher, watch, providers=PROVIDERS, settings=SETTINGS)
    remember = runner.unsaved.remember

    def remember_here(reply: Reply) -> None:
        reply.lock = Lock(sleep)  # type: ignore[assignment]
        remember(reply)

    runner.unsaved.remember = remember_here  # type: ignore[method-assign]
    leases = Leases(store, SETTINGS, clock, f"{CONSENT_HOLDER}{name}-")
    saver = NewGrantSaver(store, leases, Incidents(store, publisher, FakeLinks(), clock), publisher, clock, sleep)

    def consent(connection_name: str, redeem: Callable[[], str]) -> int:
        secret_id = connection_name + SUFFIX
        connection = parse_connection(store.get(secret_id))
        assert connection
        ticket = Ticket(connection_name, connection.consents)
        return saver.put(connection, NewGrant(ticket, redeem().encode(), Account(), 0, rotates=True))

    def end() -> None:
        for reply in runner.unsaved.all():
            runner.saver.end(reply)

    return Parts(runner, consent, end)


class Lock:
    """A lock between greenlets: while one waits for it, others act."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep, self._is_held = sleep, False

    def acquire(self, timeout: float = float("inf")) -> bool:
        while self._is_held:
            if timeout <= 0:
                return False
            self._sleep(1)
            timeout -= 1
        self._is_held = True
        return True

    def release(self) -> None:
        self._is_held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Watch(FrozenClock):
    """The stage's clock; sleeping on it lets others act."""

    def __init__(self, clock: FrozenClock, sleep: Callable[[float], None]) -> None:
        super().__init__()
        self._clock, self._sleep = clock, sleep

    def __call__(self) -> float:
        return self._clock()

    def sleep(self, seconds: float) -> None:
        self._sleep(seconds)
