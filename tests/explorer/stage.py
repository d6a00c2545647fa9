"""The stage of a schedule: two instances, the consent function, people and a provider around the same secrets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from google.api_core.exceptions import FailedPrecondition

from tests.explorer.assembly import Parts, assemble
from tests.explorer.books import Books
from tests.explorer.deviations import Fault
from tests.explorer.scheduler import Actor, Scheduler
from tests.fakes.faults import Crash, Faults
from tests.fakes.instance import Cloud, FakePublisher, FakeStore, FrozenClock
from tests.fakes.simulated_server import SimulatedServer
from token_refresh.core.connection import SUFFIX
from token_refresh.core.grant import Client, Grant, RefreshTokenGrant
from token_refresh.core.incident.events import Event
from token_refresh.core.provider.definition import Provider
from token_refresh.core.token_endpoint.outcome import TokenOutcome, Unavailable
from token_refresh.core.trigger import Trigger
from token_refresh.errors import PublishError, StoreUnavailable
from token_refresh.ports import TokenEndpoint

GRACE = {"lenient": 1800.0}
STALE = 10 * 86_400.0  # how far back a stale read looks: before the scene began
_MODES = {
    Fault.LOST_BEFORE: "lost_before",
    Fault.LOST_AFTER: "lost_after",
    Fault.SILENT: "down",
    Fault.LYING: "lying",
    Fault.FROZEN_LOST: "lost_before",
    Fault.LONG_FROZEN_LOST: "lost_before",
}
_KINDS = {"list_connections": "lists", "get": "metadata", "access": "latest", "list_versions": "lists"}
_READS = frozenset((*_KINDS, "created_at"))


class Member:
    """One function instance; after a crash another one takes its place."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name
        self.dead = False
        self.busy: Actor | None = None
        self.start()

    def start(self) -> None:
        stage = self.stage
        self.dead = False
        faults = Strikes(self)
        self.store = WatchedStore(self, faults)
        self.parts: Parts = assemble(
            self.store, WatchedEndpoint(self), WatchedPublisher(self, faults), stage.clock, stage.sleep, self.name
        )

    def die(self) -> None:
        self.dead = True
        self.stage.books.note_death(self)

    def run(self, trigger: Trigger) -> None:
        """Carry out a run; what the caller would be told (5xx: try again) is noted."""
        self.stage.note(f"{self.name} runs: {_words_of(trigger)}")
        self.stage.books.note_run(self.name)
        try:
            report = self.parts.runner.run(trigger)
        except Exception as fault:  # noqa: BLE001 - the framework answers 500
            self.stage.note(f"{self.name}'s run fails: {type(fault).__name__}")
        else:
            self.stage.books.note_report(self.name, report)

    def sigterm(self) -> None:
        """The platform stops the instance: what it does about that, then the end."""
        self.parts.stop()
        self.die()
        self.stage.note(f"{self.name} is gone")


class Strikes(Faults):
    """Every call of an instance is a point of the schedule."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self.member = member
        self.chosen: dict[int, Fault] = {}  # by actor: what goes wrong with the call that it makes

    def strike(self, operation: str, secret_id: str, when: str) -> None:
        self.strike_as(operation, secret_id, when, operation)

    def strike_as(self, operation: str, secret_id: str, when: str, kind: str) -> None:
        stage, member = self.member.stage, self.member
        if member.dead:
            raise Crash
        scheduler = stage.scheduler
        if scheduler is None:
            return
        if scheduler.is_over:
            raise Crash
        me = scheduler.current.index
        if when == "before":
            stage.cloud.stale = {}
            self.chosen.pop(me, None)
            fault = scheduler.point(operation, secret_id, kind)
            self._before(fault, operation, secret_id)
            if fault:
                self.chosen[me] = fault
            _remember(scheduler, operation, secret_id)
        elif me in self.chosen:
            self._after(self.chosen.pop(me), operation)

    def _before(self, fault: Fault | None, operation: str, secret_id: str) -> None:
        stage, member = self.member.stage, self.member
        assert stage.scheduler
        match fault:
            case None:
                pass
            case Fault.CRASH_BEFORE:
                self._crash()
            case Fault.FREEZE_BEFORE | Fault.LONG_FREEZE_BEFORE:
                stage.scheduler.freeze(fault)
            case Fault.SIGTERM:
                stage.stop(member)
            case Fault.UNAVAILABLE_BEFORE | Fault.DEFECT_BEFORE | Fault.GOOGLE_BEFORE:
                raise _error(fault, operation)
            case Fault.DENIED:
                stage.denied.add((operation, secret_id))
            case Fault.STALE:
                stage.cloud.stale = {_KINDS[operation]: STALE}
        if (operation, secret_id) in stage.denied:
            raise StoreUnavailable(f"cannot {operation} {secret_id}: permission denied")

    def _after(self, fault: Fault, operation: str) -> None:
        stage = self.member.stage
        assert stage.scheduler
        match fault:
            case Fault.CRASH_AFTER:
                self._crash()
            case Fault.FREEZE_AFTER | Fault.LONG_FREEZE_AFTER | Fault.FROZEN_LOST | Fault.LONG_FROZEN_LOST:
                stage.scheduler.freeze(fault)
            case Fault.UNAVAILABLE_AFTER | Fault.DEFECT_AFTER | Fault.GOOGLE_AFTER:
                raise _error(fault, operation)

    def _crash(self) -> None:
        self.member.die()
        raise Crash


def _remember(scheduler: Scheduler, operation: str, secret_id: str) -> None:
    if operation == "list_connections":
        scheduler.reads("metadata of all", what=operation)
    elif operation in _READS:
        kind = "metadata" if operation == "get" else "versions"
        scheduler.reads(f"{kind} of {secret_id}", what=(operation, secret_id))
    elif operation == "annotate":
        scheduler.reads(f"metadata of {secret_id}", what=(operation, secret_id))
        scheduler.writes(f"metadata of {secret_id}")
        scheduler.writes("metadata of all")
    elif operation in ("add", "destroy"):
        scheduler.reads(f"versions of {secret_id}", what=(operation, secret_id))
        scheduler.writes(f"versions of {secret_id}", judged=operation == "destroy")
    elif operation == "exchange":
        scheduler.reads("provider", what=operation)
        scheduler.writes("provider", judged=True)
    elif operation == "publish":
        scheduler.reads(what=(operation, secret_id))
        scheduler.writes("topic", judged=True)


def _error(fault: Fault, operation: str) -> Exception:
    if fault in (Fault.UNAVAILABLE_BEFORE, Fault.UNAVAILABLE_AFTER):
        return PublishError("injected") if operation == "publish" else StoreUnavailable(f"cannot {operation}: injected")
    if fault in (Fault.GOOGLE_BEFORE, Fault.GOOGLE_AFTER):
        return FailedPrecondition("injected")
    return ValueError("injected")


class WatchedStore(FakeStore):
    """Secret Manager as one instance sees it; the books see what it changes."""

    def __init__(self, member: Member, faults: Strikes) -> None:
        super().__init__(member.stage.clock, member.stage.cloud, faults)
        self.member, self.strikes = member, faults

    def add(self, secret_id: str, payload: bytes) -> int:
        with self._call("add", secret_id):
            number = self.put(secret_id, payload)
            self.member.stage.books.note_added(self.member, secret_id, number, payload)
            return number

    def destroy(self, secret_id: str, version: int) -> None:
        with self._call("destroy", secret_id):
            self.set_state(secret_id, version, "DESTROYED")
            self.member.stage.books.note_destroyed(self.member, secret_id, version)


class WatchedPublisher(FakePublisher):
    def __init__(self, member: Member, faults: Strikes) -> None:
        super().__init__(faults)
        self.member = member

    def publish(self, event: Event) -> None:
        self.faults.strike("publish", event.subject, "before")
        self.member.stage.books.note_event(self.member, event)
        self.faults.strike("publish", event.subject, "after")


class WatchedEndpoint(TokenEndpoint):
    """One instance's way to the provider."""

    def __init__(self, member: Member) -> None:
        self.member = member

    def check(
        self,
        provider: Provider,
        client: Client | None,
        grant: Grant,
        variables: Mapping[str, str],
        scopes: Sequence[str] | None = None,
    ) -> None:
        return

    def refresh(  # noqa: PLR0913 - the port's
        self,
        provider: Provider,
        client: Client | None,  # noqa: ARG002
        grant: Grant,
        *,
        variables: Mapping[str, str],  # noqa: ARG002
        scopes: Sequence[str],  # noqa: ARG002
        subject: str | None,  # noqa: ARG002
    ) -> TokenOutcome:
        assert isinstance(grant, RefreshTokenGrant)
        member, stage = self.member, self.member.stage
        strikes = member.store.strikes
        strikes.strike("exchange", "", "before")
        fault = strikes.chosen.get(stage.scheduler.current.index) if stage.scheduler else None
        stage.server.mode = _MODES.get(fault, stage.mode) if fault else stage.mode
        token = grant.refresh_token.reveal()
        attempt = stage.books.note_sent(member, token, provider)
        outcome = stage.server.answer(provider, token)
        stage.server.mode = stage.mode
        stage.books.note_answered(attempt, outcome)
        strikes.strike("exchange", "", "after")
        stage.books.note_delivered(attempt)
        return outcome


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
        self.holders = itertools.count(1)
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

    # -- what people do --------------------------------------------------------------------------------------------------

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
        self.people.set_label(name + SUFFIX, state) if hasattr(self.people, "set_label") else self._label(name, state)

    def _label(self, name: str, state: str) -> None:
        from dataclasses import replace

        from token_refresh.core.connection import LABEL

        record = self.cloud.secrets[name + SUFFIX].record
        self.cloud.write(replace(record, labels={**record.labels, LABEL: state}))

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

    # -- what the scheduler needs ----------------------------------------------------------------------------------------

    def actor(self, name: str, program: Callable[[], None], host: Member | None = None, after: Actor | None = None) -> Actor:
        return Actor(name, program, host, after)

    def play(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        scheduler.on_freeze = self._keep_ticking
        scheduler.has_sigterm = self.a.parts.can_stop
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
        assert self.scheduler

        def ticks() -> None:
            other.run(Trigger())
            if seconds > 3600:
                self.scheduler.sleep(3000)  # type: ignore[union-attr]
                other.run(Trigger())

        ticker = Actor(f"{other.name}'s next tick", ticks, other)
        self.scheduler.add(ticker)
        ticker.wake_at = self.clock() + 130
        self.books.note_frozen(frozen)


def _words_of(trigger: Trigger) -> str:
    words = ["all" if trigger.connections is None else " ".join(trigger.connections)]
    words += ["force"] * trigger.force + [f"versions {dict(trigger.versions)}"] * bool(trigger.versions)
    return ", ".join(words)
