"""An instance on the stage: every call that it makes is a point of the schedule, and the books see what it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from google.api_core.exceptions import FailedPrecondition

from tests.explorer.assembly import Parts, assemble
from tests.explorer.deviations import Fault
from tests.explorer.scheduler import Life, Scheduler
from tests.fakes.faults import Crash, Faults
from tests.fakes.instance import FakePublisher, FakeStore
from token_refresh.core.connection import SecretRecord
from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.incident.events import Event
from token_refresh.core.token_endpoint.outcome import TokenOutcome
from token_refresh.core.token_request import TokenRequest
from token_refresh.core.trigger import Trigger
from token_refresh.errors import PublishError, StoreUnavailable, VersionMissing
from token_refresh.ports import AccessedVersion, TokenEndpoint

if TYPE_CHECKING:
    from tests.explorer.stage import Stage

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
        self.start()

    def start(self) -> None:
        """Begin a life without memory."""
        stage = self.stage
        self.life = Life(self.name)
        faults = Strikes(self)
        self.store = WatchedStore(self, faults)
        self.parts: Parts = assemble(
            self.store, WatchedEndpoint(self), WatchedPublisher(self, faults), stage.clock, stage.sleep, self.name
        )

    def die(self) -> None:
        self.life.dead = True
        self.stage.books.note_death(self.life)

    def run(self, trigger: Trigger) -> None:
        """Carry out a run; what the caller would be told (5xx: try again) is noted."""
        self.stage.note(f"{self.name} runs: {_words_of(trigger)}")
        self.stage.books.note_run(self.name)
        try:
            report = self.parts.runner.run(trigger)
        except Exception as fault:  # noqa: BLE001 - the framework answers 500
            self.stage.note(f"{self.name}'s run fails: {type(fault).__name__}")
        else:
            self.stage.books.note_report(self, report)
        finally:
            self.stage.books.note_end_of_run(self)

    def sigterm(self) -> None:
        """The platform stops the instance: what it does about that, then the end."""
        life, books = self.life, self.stage.books
        if not life.dead:
            at_hand = books.tokens_of(life)
            self.parts.stop()
            self.die()
            books.note_termination(life, at_hand)


class Strikes(Faults):
    """Every call of an instance is a point of the schedule."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self.member, self.life = member, member.life
        self.is_latest = False  # the access that comes is one of `latest`
        self.is_late = False  # time has passed since the last look at anything
        self.chosen: dict[int, Fault] = {}  # by actor: what goes wrong with the call that it makes

    def strike(self, operation: str, secret_id: str, when: str) -> None:
        stage = self.member.stage
        if self.life.dead:
            raise Crash
        scheduler = stage.scheduler
        if scheduler is None:
            self.is_late = False
            return
        if scheduler.is_over:
            raise Crash
        me = scheduler.current.index
        if when == "before":
            stage.cloud.stale = {}
            self.chosen.pop(me, None)
            arrived = stage.clock.now
            is_latest, self.is_latest = self.is_latest, False
            fault = scheduler.point(operation, secret_id, "access latest" if is_latest else operation)
            self._before(fault, operation, secret_id)
            if fault:
                self.chosen[me] = fault
            self.is_late = stage.clock.now > arrived
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
        return FailedPrecondition("injected")  # type: ignore[no-untyped-call]
    return ValueError("injected")


class WatchedStore(FakeStore):
    """Secret Manager as one instance sees it; the books see what it changes."""

    def __init__(self, member: Member, faults: Strikes) -> None:
        super().__init__(member.stage.clock, member.stage.cloud, faults)
        self.member, self.strikes = member, faults

    def access(self, secret_id: str, version: int | None = None) -> AccessedVersion:
        self.strikes.is_latest = version is None
        try:
            found = super().access(secret_id, version)
        except VersionMissing:
            self.member.stage.books.note_read(self.member, secret_id, None)
            raise
        self.member.stage.books.note_read(self.member, secret_id, found.payload)
        return found

    def add(self, secret_id: str, payload: bytes) -> int:
        with self._call("add", secret_id):
            number = self.put(secret_id, payload)
            self.member.stage.books.note_added(self.member, secret_id, number, payload)
            return number

    def annotate(self, record: SecretRecord, changes: Mapping[str, str | None]) -> SecretRecord:
        def note(operation: str) -> None:
            if operation == "annotate":
                written = self.cloud.secrets[record.secret_id].record
                self.member.stage.books.note_annotated(self.member, written)

        self.on_call = note
        return super().annotate(record, changes)

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

    def check(self, request: TokenRequest) -> None:  # noqa: ARG002
        return

    def refresh(self, request: TokenRequest) -> TokenOutcome:
        grant, provider = request.grant, request.provider
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
        stage.books.note_answered(attempt, outcome, is_lost=fault is Fault.DEFECT_AFTER)
        strikes.strike("exchange", "", "after")
        stage.books.note_delivered(attempt)
        return outcome


def _words_of(trigger: Trigger) -> str:
    words = ["all" if trigger.connections is None else " ".join(trigger.connections)]
    words += ["force"] * trigger.force + [f"versions {dict(trigger.versions)}"] * bool(trigger.versions)
    return ", ".join(words)
