"""One function instance against the simulated server: it may die, and be interrupted by another in mid-call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from google.api_core.exceptions import FailedPrecondition

from tests.fakes.instance import (
    Cloud,
    Crash,
    FakePublisher,
    FakeStore,
    Faults,
    FrozenClock,
    build_provider,
    build_runner,
)
from tests.fakes.simulated_server import Sent, SimulatedExchange, SimulatedServer
from token_refresh.core.incident.events import Event
from token_refresh.core.trigger import Trigger
from token_refresh.errors import PublishError, StoreUnavailable
from token_refresh.settings import Settings

PROVIDERS = (
    build_provider("strict"),
    build_provider("lenient"),
    build_provider("google", rotates="never"),
)
SETTINGS = Settings(project="some-project", refresh_workers=1, breaker_min=3)


class World(Protocol):
    """What an instance finds around it, and who watches what it does."""

    clock: FrozenClock
    cloud: Cloud
    server: SimulatedServer
    topic_is_down: bool

    def watch(self, sent: Sent) -> None: ...

    def hear(self, event: Event) -> None: ...

    def note_crash(self, dead: Instance) -> None: ...


class Instance:
    """One function instance: it may die, and comes back without memory."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = FakeStore(world.clock, world.cloud)
        self.start()

    def start(self) -> None:
        world = self.world
        self.faults = Interruptible()
        self.store = self.store.restarted(self.faults)
        self.publisher = WatchedPublisher(self.faults, world.hear, lambda: world.topic_is_down)
        self.exchange = SimulatedExchange(world.server, self.faults, world.watch)
        self.runner = build_runner(
            self.store, self.exchange, self.publisher, world.clock, providers=PROVIDERS, settings=SETTINGS
        )

    @property
    def unsaved(self) -> dict[str, str]:
        """Return the new refresh tokens of which the only copy may be here."""
        replies = self.runner.unsaved.all()
        return {r.name: t.reveal() for r in replies if (t := r.refreshed.refresh_token)}

    def run(self, trigger: Trigger) -> None:
        """Run, and come back to life if that was deadly."""
        try:
            self.runner.run(trigger)
        except (StoreUnavailable, ValueError, FailedPrecondition):
            pass  # the caller is answered 500 or 503
        except Crash:
            self.world.note_crash(self)
            self.start()


class Interruptible(Faults):
    """Lets time pass and others act in the middle of a call; `is_late`: just now, before it took effect."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_left = 0
        self.interruption: Callable[[str, str], None] | None = None
        self.is_late = False

    def strike(self, operation: str, secret_id: str, when: str) -> None:
        super().strike(operation, secret_id, when)
        interruption, self.is_late = self.interruption, False
        if interruption:
            self.calls_left -= 1
            if self.calls_left < 0:
                self.interruption = None
                self.is_late = when == "before"
                interruption(operation, when)


class WatchedPublisher(FakePublisher):
    def __init__(self, faults: Faults, watch: Callable[[Event], None], is_down: Callable[[], bool]) -> None:
        super().__init__(faults)
        self._watch, self._is_down = watch, is_down

    def publish(self, event: Event) -> None:
        self.down = self._is_down()
        self.faults.strike("publish", event.subject, "before")
        if self.down:
            raise PublishError("cannot publish: the topic is down")
        self._watch(event)
        self.events.append(event)
        self.faults.strike("publish", event.subject, "after")
