"""The stage of a schedule: two instances, the consent function, people and a provider around the same secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from tests.explorer.books import Books
from tests.explorer.instance import STALE, Member
from tests.explorer.scheduler import Actor, Scheduler
from tests.fakes.instance import Cloud, FakeStore, FrozenClock
from tests.fakes.simulated_server import SimulatedServer
from token_refresh.core.connection import LABEL, SUFFIX
from token_refresh.core.trigger import Trigger

GRACE: Final = {"lenient": 1800.0}


class Stage:
    """Everything there is, at the beginning of a scene: a connection `x` whose access token is about to run out."""

    def __init__(self, provider: str, names: Sequence[str] = ("x",), *, warm: bool = False) -> None:
        self.clock = FrozenClock()
        self.cloud = Cloud(self.clock)
        self.server = SimulatedServer(self.clock)
        self.server.grace = GRACE
        self.mode = "ok"
        self.provider = provider
        self.people = FakeStore(self.clock, self.cloud)
        self.denied: set[tuple[str, str]] = set()
        self.scheduler: Scheduler | None = None
        self.books = Books(self)
        for name in names:
            token = self.server.consent(name)
            self.people.create_connection(name, token, provider=provider)
            self.books.note_consent(name, token, 1)
        self.clock.advance(STALE + 86_400)
        self.a, self.b, self.c = Member(self, "A"), Member(self, "B"), Member(self, "consent")
        self.a.run(Trigger())
        if warm:
            self.b.run(Trigger())
        else:
            self.a.start()
        self.clock.advance(3000)
        self.books.begin()

    @property
    def instances(self) -> tuple[Member, ...]:
        return (self.a, self.b)

    def note(self, words: str) -> None:
        if self.scheduler:
            self.scheduler.note(words)
        else:
            self.books.diary.append((self.clock(), words))

    def sleep(self, seconds: float) -> None:
        """Pass the time as an instance would."""
        if self.scheduler is None:
            self.clock.advance(seconds)
            return
        fault = self.scheduler.point("sleep", f"{seconds:g} s")
        host = self.scheduler.current.host
        if fault and isinstance(host, Member):
            host.store.strikes._before(fault, "sleep", "")
        self.scheduler.sleep(seconds)

    # -- what people do ------------------------------------------------------------------------------------------------

    def step(self, what: str, obj: str) -> None:
        """Stand before something that a person does."""
        assert self.scheduler
        self.scheduler.point("person", what)
        self.scheduler.reads(obj, what=what)
        self.scheduler.writes(obj, judged=True)
        if obj.startswith("metadata"):
            self.scheduler.writes("metadata of all")
        self.note(what)

    def person_adds(self, name: str = "x") -> None:
        """With gcloud, somebody adds a grant that he got elsewhere."""
        self.step("adds a new grant with gcloud", f"versions of {name}{SUFFIX}")
        token = self.server.consent(f"{name}, by hand")
        self.books.note_consent(name, token, self.people.put(name + SUFFIX, token))

    def person_disables(self, name: str = "x") -> None:
        self.step("disables the newest version", f"versions of {name}{SUFFIX}")
        versions = self.cloud.secrets[name + SUFFIX].versions
        self.people.set_state(name + SUFFIX, len(versions), "DISABLED")
        self.books.disabled.add(name)

    def person_annotates(self, changes: Mapping[str, str | None], name: str = "x") -> None:
        self.step(f"changes annotations: {', '.join(changes)}", f"metadata of {name}{SUFFIX}")
        self.people.set_annotations(name + SUFFIX, changes)

    def person_labels(self, state: str, name: str = "x") -> None:
        self.step(f"sets the label to {state}", f"metadata of {name}{SUFFIX}")
        record = self.cloud.secrets[name + SUFFIX].record
        self.cloud.write(replace(record, labels={**record.labels, LABEL: state}))

    def person_allows(self, name: str = "x") -> None:
        self.step("lets the instances write again", f"metadata of {name}{SUFFIX}")
        self.denied.clear()

    def provider_answers(self) -> None:
        self.step("the provider answers again", "provider")
        self.mode = "ok"

    def owner_revokes(self, name: str = "x") -> None:
        self.step("the owner revokes the grant at the provider", "provider")
        self.server.revoke(self.books.wanted(name).tokens[-1])

    def owner_consents(self, name: str = "x") -> None:
        """The consent function stores a new grant of the owner."""
        assert self.scheduler
        member = self.c
        self.books.note_run("consent")

        def redeem() -> str:
            self.scheduler.point("exchange of a code", "")  # type: ignore[union-attr]
            self.scheduler.reads("provider", what="code")  # type: ignore[union-attr]
            self.scheduler.writes("provider", judged=True)  # type: ignore[union-attr]
            return self.server.consent(f"{name}, consented")

        try:
            number = member.parts.consent(name, redeem)
        except Exception as fault:  # noqa: BLE001 - a page says so
            self.note(f"the consent fails: {type(fault).__name__}")
        else:
            self.note(f"the consent is stored as version {number}")

    # -- what the scheduler needs --------------------------------------------------------------------------------------

    def play(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        scheduler.on_freeze = self._keep_ticking
        scheduler.run()
        self.scheduler = None
        self.cloud.stale, self.denied = {}, set()

    def stop(self, member: Member) -> None:
        """The platform wants an instance to end; its runs go on beside that."""
        assert self.scheduler
        handler = Actor(f"{member.name} at SIGTERM", member.sigterm)
        self.scheduler.add(handler)

    def _keep_ticking(self, frozen: Actor, seconds: float) -> None:
        """While an instance is frozen, the schedule goes on elsewhere."""
        other = self.b if frozen.host is self.a else self.a
        if frozen.life:
            self.books.note_beside(frozen.life)
        assert self.scheduler

        def ticks() -> None:
            other.run(Trigger())
            if seconds > 3600:
                self.scheduler.sleep(3000)  # type: ignore[union-attr]
                other.run(Trigger())

        def begin() -> None:
            if other.life.dead:
                other.start()
            ticks()

        ticker = Actor(f"{other.name}'s next tick", begin, other)
        self.scheduler.add(ticker)
        ticker.wake_at = self.clock() + 130
