"""A project whose quota is enforced, by virtual time: the real code, thousands of connections, and the true books."""

from __future__ import annotations

import itertools
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fakes.faults import Faults
from tests.fakes.instance import FakeLinks, FakePublisher, FakeRevoker, FakeStore, ScriptedExchange, build_provider
from tests.fakes.store import Cloud
from tests.fakes.virtual_time import VirtualCrew, VirtualTime
from token_refresh.core.connection import STATUS
from token_refresh.core.grant import Grant, RefreshTokenGrant
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import Refreshed, TokenOutcome
from token_refresh.core.trigger import Trigger
from token_refresh.errors import QuotaExceeded
from token_refresh.run.build import Outside, build_runner
from token_refresh.run.report import Report
from token_refresh.settings import Settings

MINUTE = 60.0
QUOTA = 600
LIFE = 3600
# s: what a call takes. Payloads are read in no time: their quota is no matter here, and client registrations are read
# under a lock, which greenlets cannot wait for.
LATENCY: Mapping[str, float] = {"add": 0.03, "destroy": 0.03, "annotate": 0.03, "list_connections": 0.5}
TOKEN_SECONDS = 0.15
WRITES = ("add", "destroy", "annotate")


class MeteredCloud(Cloud):
    """Secrets of a project that grants so many writes in any minute, over all instances."""

    def __init__(self, time: VirtualTime, quota: int = QUOTA) -> None:
        super().__init__(time)
        self.quota = quota
        self.writes: deque[float] = deque()  # of the last minute
        self.written = 0
        self.refused = 0
        self.first_write = 0.0
        self.last_write = 0.0

    def spend(self) -> None:
        """Count a write; raises `QuotaExceeded`."""
        now = self.clock()
        while self.writes and self.writes[0] <= now - MINUTE:
            self.writes.popleft()
        if len(self.writes) >= self.quota:
            self.refused += 1
            raise QuotaExceeded("the project's quota is used up")
        self.writes.append(now)
        self.first_write, self.last_write = self.first_write or now, now
        self.written += 1


class _Quota(Faults):
    """Refuses the writes that the project has no quota for."""

    def __init__(self, cloud: MeteredCloud) -> None:
        super().__init__()
        self._cloud = cloud

    def strike(self, operation: str, secret_id: str, when: str) -> None:
        super().strike(operation, secret_id, when)
        if when == "before" and operation in WRITES:
            self._cloud.spend()


class MeteredStore(FakeStore):
    """One instance's view: each call takes its time, and a write is refused where the quota is used up."""

    cloud: MeteredCloud

    def __init__(self, time: VirtualTime, cloud: MeteredCloud) -> None:
        super().__init__(time, cloud, _Quota(cloud))
        self._time = time
        self.on_call = self._pass

    def _pass(self, operation: str) -> None:
        self.calls.clear()
        if operation in LATENCY:
            self._time.sleep(LATENCY[operation])


@dataclass(eq=False)
class MeteredWorld:
    """One project and one refresher; `made` counts the tokens that the provider has made, by connection."""

    settings: Settings = field(default_factory=lambda: Settings(project="some-project"))
    quota: int = QUOTA
    token_seconds: float = TOKEN_SECONDS
    life: int = LIFE

    def __post_init__(self) -> None:
        self.time = VirtualTime()
        self.cloud = self.build_cloud()
        self.store = self.build_store()
        self.publisher = FakePublisher()
        self.exchange = ScriptedExchange(self._answer)
        self.made = Counter[str]()
        self.current: dict[str, str] = {}  # the refresh token that works, by connection that rotates
        self.answer: Callable[[str], TokenOutcome | None] = lambda _: None
        self.longest = 0.0
        self._numbers = itertools.count(1)
        self.start_instance()

    def build_cloud(self) -> MeteredCloud:
        return MeteredCloud(self.time, self.quota)

    def build_store(self) -> MeteredStore:
        return MeteredStore(self.time, self.cloud)

    def start_instance(self) -> None:
        """Let a cold instance take over."""
        store = self.build_store()
        providers = {p.name: p for p in (build_provider(), build_provider("google", rotates="never"))}
        self.crew = VirtualCrew(int(self.settings.refresh_workers), self.time)
        outside = Outside(
            store, self.exchange, self.publisher, FakeLinks(), FakeRevoker(), self.time, self.time.sleep, self.time
        )
        self.runner = build_runner(outside, providers, self.settings, self.crew)

    def add(self, count: int, *, rotating: bool = False, prefix: str = "", versions: int = 2) -> list[str]:
        """Declare connections whose access token has run out; `versions` of it are there."""
        prefix = prefix or ("r" if rotating else "k")
        names = [f"{prefix}{number:05}" for number in range(count)]
        ended = {"expires_at": self.time() - 1, "refreshed_at": self.time() - LIFE, "connection_version": "1"}
        for name in names:
            token = self.current[name] = f"{name}.0"
            self.store.create_connection(name, token, provider="rotating" if rotating else "google")
            for _ in range(versions):
                self.store.put(f"{name}-access-token", json.dumps(ended))
        return names

    def run(self, **trigger: Any) -> Report:
        """Carry out one run, here and now."""
        reports: list[Report] = []
        self.time.play(lambda: reports.append(self.timed_run(**trigger)))
        return reports[0]

    def timed_run(self, **trigger: Any) -> Report:
        """Carry out a run within a play."""
        began = self.time()
        report = self.runner.run(Trigger(**trigger))
        self.longest = max(self.longest, self.time() - began)
        return report

    def stored(self) -> int:
        """Return how many access tokens were ever stored by a refresh."""
        return sum(
            b'"access_token"' in v.payload
            for s, secret in self.cloud.secrets.items()
            if s.endswith("-access-token")
            for v in secret.versions
        )

    def statuses(self) -> list[str]:
        return [s for s, secret in self.cloud.secrets.items() if STATUS in secret.record.annotations]

    def lost(self) -> list[str]:
        """Return the connections that rotate whose newest stored refresh token is not the one that works."""
        return [
            name
            for name, token in self.current.items()
            if self.cloud.secrets[f"{name}-refresh-token"].versions[-1].payload.decode() != token
        ]

    def used(self) -> float:
        """Return which part of the paced writes were made between the first and the last."""
        seconds = self.cloud.last_write - self.cloud.first_write
        return self.cloud.written / (self.settings.secret_writes_per_minute / MINUTE * seconds)

    def _answer(self, grant: Grant) -> TokenOutcome:
        assert isinstance(grant, RefreshTokenGrant)
        token = grant.refresh_token.reveal()
        name = token.split(".")[0]
        self.time.sleep(self.token_seconds)
        answer = self.answer(name)
        if answer is not None:
            return answer
        self.made[name] += 1
        number = next(self._numbers)
        new = None
        if name.startswith("r"):
            assert token == self.current[name], "a refresh token was spent twice"
            self.current[name] = f"{name}.{number}"
            new = Secret(self.current[name])
        return Refreshed(Secret(f"CANARY-{number}"), int(self.time()) + self.life, refresh_token=new)


def with_settings(**fields: Any) -> Settings:
    """Return the default settings with these changed."""
    return replace(Settings(project="some-project"), **fields)
