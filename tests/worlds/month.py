"""Days of a whole project by virtual time: ticks, duplicates, restarts, outages, and owners who revoke and consent.

    month = Month(connections=60, days=3)
    month.live()
    assert month.faults() == []

The real code. What is checked: what a reader of `latest` finds, what a connection costs, and that each event has a
cause and each cause its event.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.fakes.store import StoredSecret, StoredVersion
from tests.fakes.virtual_time import VirtualTime
from tests.worlds.incidents import open_incidents
from tests.worlds.metered import MeteredCloud, MeteredStore, MeteredWorld
from token_refresh.core.connection import SecretRecord
from token_refresh.core.incident.events import Event
from token_refresh.core.token_endpoint.outcome import ErrorDetail, GrantDead, TokenOutcome, Unavailable
from token_refresh.core.trigger import Trigger

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
MARGIN: Final = 900
AFTERMATH: Final = 20 * MINUTE  # of an outage, in which no promise holds
NOTICED_AFTER: Final = 75 * MINUTE  # at the next refresh, confirmed a quarter of an hour later
CONSENT_AFTER: Final = 6 * HOUR
DEAD: Final = GrantDead("revoked_or_expired", ErrorDetail("invalid_grant", "Token has been expired or revoked."))
VERSION_DOLLARS: Final = 0.06
ACCESS_DOLLARS: Final = 0.03 / 10_000


class MonthCloud(MeteredCloud):
    """Secrets of which only the present is kept, and books of what readers find and Google bills."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__(time)
        self.expires_at: dict[str, float] = {}  # by connection: what `latest` holds
        self.least: dict[str, tuple[float, float]] = {}
        self.found: list[tuple[str, float, float]] = []  # connection, when, life that was left to a reader until then
        self.version_seconds = 0.0
        self.accesses = 0
        self._versions = 0
        self._since = time()

    def write(self, record: SecretRecord) -> SecretRecord:
        record = super().write(record)
        stored: StoredSecret = self.secrets[record.secret_id]
        del stored.past[:-1]
        return record

    def bill(self, secret_id: str, more: int) -> None:
        """Note that versions of a connection whose refresh token is kept come or go."""
        if secret_id.startswith("k"):
            now = self.clock()
            self.version_seconds += self._versions * (now - self._since)
            self._since = now
            self._versions += more

    def note_token(self, secret_id: str, payload: bytes) -> None:
        """Note what a reader finds from now on, and what one found at the last moment before."""
        name, expires_at = secret_id.removesuffix("-access-token"), json.loads(payload)["expires_at"]
        before = self.expires_at.get(name)
        if before is not None:
            self.found.append((name, self.clock(), before - self.clock()))
        self.expires_at[name] = expires_at


class MonthStore(MeteredStore):
    """One instance's view; forgets what nobody will read again."""

    cloud: MonthCloud

    def add(self, secret_id: str, payload: bytes) -> int:
        number = super().add(secret_id, payload)
        self.cloud.bill(secret_id, 1)
        if secret_id.endswith("-access-token"):
            self.cloud.note_token(secret_id, payload)
        return number

    def destroy(self, secret_id: str, version: int) -> None:
        stored = self.cloud.secrets[secret_id].versions[version - 1]
        is_there = stored.state != "DESTROYED"
        super().destroy(secret_id, version)
        if is_there:
            stored.payload = b""
            self.cloud.bill(secret_id, -1)

    def annotate(self, record: SecretRecord, changes: Mapping[str, str | None]) -> SecretRecord:
        record = super().annotate(record, changes)
        self._own_writes.pop(record.secret_id, None)
        return record

    def _latest(self, versions: Sequence[StoredVersion]) -> int:
        self.cloud.accesses += 1
        return len(versions)


@dataclass(eq=False)
class Month(MeteredWorld):
    """So many days of a project. Every third connection's refresh token is replaced if `rotating`."""

    connections: int = 60
    days: float = 3
    rotating: bool = False
    outage: float = 8 * MINUTE
    deaths_a_day: float = 1.0
    seed: int = 1
    causes: Counter[str] = field(default_factory=Counter)  # revocations, by connection
    outages: list[tuple[float, float]] = field(default_factory=list)
    dead: dict[str, float] = field(default_factory=dict)
    alive_again: dict[str, float] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        super().__post_init__()
        kept = self.connections * 2 // 3 if self.rotating else self.connections
        self.names = [
            *self.add(kept, versions=0),
            *self.add(self.connections - kept, rotating=True, versions=0),
        ]
        self.cloud.bill("k", 2 * kept)  # their grants and tokens
        for name in self.names:  # as in the midst of life: a cohort that began at once would stay together
            left = self.dice.uniform(MARGIN, self.life)
            document = {"expires_at": int(self.time() + left), "refreshed_at": int(self.time() + left - self.life)}
            payload = json.dumps({**document, "connection_version": "1"}).encode()
            self.store.put(f"{name}-access-token", payload)
            self.cloud.note_token(f"{name}-access-token", payload)
        self.answer = self._answer_as_it_is
        self.began = self.time()
        self._consents: list[tuple[float, str]] = []

    @property
    def cloud(self) -> MonthCloud:
        return self._cloud

    @cloud.setter
    def cloud(self, cloud: MeteredCloud) -> None:
        assert isinstance(cloud, MonthCloud)
        self._cloud = cloud

    def build_cloud(self) -> MonthCloud:
        return MonthCloud(self.time)

    def build_store(self) -> MonthStore:
        return MonthStore(self.time, self.cloud)

    def live(self) -> None:
        """Let the days pass."""
        every = self.settings.run_every
        per_day = int(DAY / every)
        events: dict[int, list[str]] = {}
        for tick in range(int(self.days * per_day)):
            if tick % per_day == 0:
                events = self._plan(self.began + tick * every, min(per_day, int(self.days * per_day)))
            self.time.now = max(self.time.now, self.began + tick * every)
            for event in events.get(tick % per_day, ()):
                if event:
                    self._revoke(event)
                else:
                    self.start_instance()
            self._consent()
            self._tick(is_cleaning=tick % per_day == per_day // 2)

    def _plan(self, begin: float, ticks: int) -> dict[int, list[str]]:
        """Plan a day: an outage in its first part, a restart (""), and who revokes a grant, by tick."""
        start = begin + self.dice.uniform(0.1, 0.8) * ticks * self.settings.run_every
        self.outages.append((start, start + self.outage))
        events: dict[int, list[str]] = {self.dice.randrange(ticks): [""]}
        for _ in range(round(self.deaths_a_day * ticks * self.settings.run_every / DAY)):
            events.setdefault(self.dice.randrange(ticks), []).append(self.dice.choice(self.names))
        return events

    def _tick(self, *, is_cleaning: bool) -> None:
        programs = [lambda: self._run(clean=is_cleaning)]
        if self.dice.random() < 0.1:  # Scheduler has tried again
            programs.append(self._run)
        if self.dice.random() < 0.1:  # a notification, twice
            name = self.dice.choice(self.names)
            programs += [lambda: self._run(connections=(name,), versions={name: 1})] * 2
        self.time.play(*programs)

    def _run(self, **trigger: object) -> None:
        began = self.time()
        self.runner.run(Trigger(**trigger))  # type: ignore[arg-type]
        self.runs += 1
        self.longest = max(self.longest, self.time() - began)

    def _revoke(self, name: str) -> None:
        if name not in self.dead:
            self.dead[name] = self.time()
            self.causes[name] += 1
            self._consents.append((self.time() + CONSENT_AFTER, name))

    def _consent(self) -> None:
        """Owners consent again: a newer version is there, however it came."""
        for due in [c for c in self._consents if c[0] <= self.time()]:
            self._consents.remove(due)
            name = due[1]
            del self.dead[name]
            self.alive_again[name] = self.time()
            self.current[name] = f"{name}.again-{self.causes[name]}"
            self.store.put(f"{name}-refresh-token", self.current[name])
            self.cloud.bill(f"{name}-refresh-token", 1)

    def _answer_as_it_is(self, name: str) -> TokenOutcome | None:
        if self._is_down(self.time()):
            return Unavailable("http_503")
        return DEAD if name in self.dead else None

    def _is_down(self, moment: float, aftermath: float = 0.0, outages: Sequence[tuple[float, float]] = ()) -> bool:
        return any(begin <= moment < end + aftermath for begin, end in outages or self.outages[-2:])

    # -- what came of it -----------------------------------------------------------------------------------------------

    @property
    def promise(self) -> float:
        return max(MARGIN - self.settings.run_every - self.settings.run_seconds, 0)

    def broken_promises(self) -> list[tuple[str, float, float]]:
        """Return (connection, hours after the beginning, life) of readers that found too little."""
        broken = []
        for name, at, life in self.cloud.found:
            if life >= self.promise or any(b <= at < e + AFTERMATH for b, e in self.outages):
                continue
            if name in self.causes and at < self.alive_again.get(name, at + 1) + AFTERMATH:
                continue
            broken.append((name, (at - self.began) / HOUR, life))
        return broken

    def dollars(self) -> float:
        """Return what a connection whose refresh token is kept costs a month: its versions by time, and its reads."""
        cloud = self.cloud
        cloud.bill("k", 0)
        kept = sum(n.startswith("k") for n in self.names)
        month = 30 * DAY / (self.time() - self.began)
        versions = cloud.version_seconds / (30 * DAY) / kept * VERSION_DOLLARS * month
        return versions + cloud.accesses / len(self.names) * ACCESS_DOLLARS * month

    def faults(self) -> list[str]:
        """Return what is not as it should be."""
        faults = [
            f"{n} was left {life:.0f} s, {hours:.1f} h after the beginning" for n, hours, life in self.broken_promises()
        ]
        told = Counter(e.subject for e in self.publisher.events if e.type == "invalid_grant")
        unnoticed = Counter(name for name, at in self.dead.items() if at > self.time() - NOTICED_AFTER)
        if told - self.causes or self.causes - told - unnoticed:
            faults.append(f"told of {told - self.causes}, not of {self.causes - told}")
        faults += self._incidents_that_do_not_end()
        faults += [f"{n} is lost" for n in self.lost() if n not in self.dead]
        if self.made.total() != len(self.cloud.found):
            faults.append("a token was thrown away")
        if self.longest > self.settings.run_seconds + 2 * self.settings.http_timeout:
            faults.append(f"a run took {self.longest:.0f} s")
        if self.cloud.refused:
            faults.append(f"{self.cloud.refused} writes were refused")
        return faults

    def _incidents_that_do_not_end(self) -> list[str]:
        """Walk through the events: an incident begins with its cause, may be followed by a worse one, and ends once."""
        faults, told = list[str](), defaultdict[str, list[Event]](list)
        for event in self.publisher.events:
            told[event.subject].append(event)
        for name, events in told.items():
            for number, event in enumerate(events):
                if event.type in ("recovered", "consent_overdue", "invalid_grant"):
                    continue
                is_first = not open_incidents(events[:number], name)[0]
                if not (is_first and self._may_fail(event)):
                    faults.append(f"{event.type} of {name} without a cause")
            left, odd = open_incidents(events, name)
            faults += odd + ([f"{name} has not recovered from {left}"] if left and name not in self.dead else [])
        return faults

    def _may_fail(self, event: Event) -> bool:
        """Tell whether an outage explains it: who waits for the next attempt hears of its end with that."""
        return event.type == "refresh_failing" and self._is_down(event.time, AFTERMATH, self.outages)
