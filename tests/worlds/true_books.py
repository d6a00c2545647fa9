"""Connections at a server with true books, and the instances that refresh them."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.instance import Cloud, FakeStore, FrozenClock
from tests.fakes.simulated_instance import Instance
from tests.fakes.simulated_server import Family, Sent, SimulatedServer
from token_refresh.core.connection import SUFFIX
from token_refresh.core.incident.events import Event


class BooksScene:
    """Connections at a strict provider and one with a grace window; `on_sent` may act in the middle of an exchange."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.cloud = Cloud(self.clock)
        self.server = SimulatedServer(self.clock)
        self.server.grace = {"lenient": 1800.0}
        self.people = FakeStore(self.clock, self.cloud)
        self.topic_is_down = False
        self.events: list[Event] = []
        self.on_sent: Callable[[Sent], None] = lambda _: None
        self.sent: list[str] = []

    def consent(self, name: str, provider: str = "strict", form: str = "{}") -> Family:
        token = self.server.consent(name)
        self.people.create_connection(name, form.replace("{}", token), provider=provider)
        family = self.server.family(token)
        assert family
        return family

    def newest(self, name: str = "x") -> str:
        payloads = self.people.payloads(name + SUFFIX)
        return payloads[max(payloads)].decode()

    def watch(self, sent: Sent) -> None:
        if not sent.outcome:
            self.sent.append(sent.token)
        self.on_sent(sent)

    def hear(self, event: Event) -> None:
        self.events.append(event)

    def note_crash(self, dead: Instance) -> None:
        """It is what the test wants."""
