"""What the actors are about to do; the scheduler finds out what may happen on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.explorer.scheduler import Actor
from tests.explorer.stage import Stage
from token_refresh.core.connection import STATUS, SUFFIX
from token_refresh.core.trigger import Trigger

TICK: Final = Trigger()


@dataclass(frozen=True, slots=True)
class Scene:
    """A beginning, and who acts."""

    name: str
    provider: str
    cast: Callable[[Stage], Sequence[Actor]]
    connections: tuple[str, ...] = ("x",)
    warm: bool = False

    def open(self) -> Stage:
        return Stage(self.provider, self.connections, warm=self.warm)


def two_ticks(stage: Stage) -> Sequence[Actor]:
    return (
        Actor("A", lambda: stage.a.run(TICK), stage.a),
        Actor("B", lambda: stage.b.run(TICK), stage.b),
    )


def ticks_in_turn(stage: Stage) -> Sequence[Actor]:
    """Every five minutes, on the one instance and on the other."""

    def later() -> None:
        assert stage.scheduler
        stage.scheduler.sleep(300)
        stage.b.run(TICK)

    def at_last() -> None:
        assert stage.scheduler
        stage.scheduler.sleep(300)
        stage.a.run(TICK)

    second = Actor("B", later, stage.b)
    return (Actor("A", lambda: stage.a.run(TICK), stage.a), second, Actor("A again", at_last, stage.a, second))


def a_person_adds(stage: Stage) -> Sequence[Actor]:
    person = Actor("person", stage.person_adds)
    return (
        Actor("A", lambda: stage.a.run(TICK), stage.a),
        person,
        Actor("B", lambda: stage.b.run(_notified(stage)), stage.b, person),
    )


def a_person_adds_and_the_day_goes_on(stage: Stage) -> Sequence[Actor]:
    person = Actor("person", stage.person_adds)
    told = Actor("B", lambda: stage.b.run(_notified(stage)), stage.b, person)

    def later() -> None:
        assert stage.scheduler
        stage.scheduler.sleep(3000)
        stage.a.run(TICK)

    return (person, told, Actor("A", later, stage.a, told))


def an_owner_consents(stage: Stage) -> Sequence[Actor]:
    owner = Actor("owner", stage.owner_consents, stage.c)
    return (
        Actor("A", lambda: stage.a.run(TICK), stage.a),
        owner,
        Actor("B", lambda: stage.b.run(_notified(stage)), stage.b, owner),
    )


def an_owner_consents_while_a_person_adds(stage: Stage) -> Sequence[Actor]:
    return (
        Actor("A", lambda: stage.a.run(TICK), stage.a),
        Actor("owner", stage.owner_consents, stage.c),
        Actor("person", stage.person_adds),
    )


def a_person_annotates(stage: Stage) -> Sequence[Actor]:
    def edits() -> None:
        stage.person_annotates({"token-refresh.purpose": "reports"})
        stage.person_annotates({STATUS: None})

    return (
        Actor("A", lambda: stage.a.run(TICK), stage.a),
        Actor("person", edits),
        Actor("B", lambda: stage.b.run(TICK), stage.b),
    )


def a_person_pauses(stage: Stage) -> Sequence[Actor]:
    def pauses() -> None:
        stage.person_labels("paused")
        stage.person_labels("enabled")

    return (
        Actor("A", lambda: stage.a.run(TICK), stage.a),
        Actor("person", pauses),
        Actor("B", lambda: stage.b.run(TICK), stage.b),
    )


def a_person_disables(stage: Stage) -> Sequence[Actor]:
    return (
        Actor("A", lambda: stage.a.run(TICK), stage.a),
        Actor("person", stage.person_disables),
        Actor("B", lambda: stage.b.run(TICK), stage.b),
    )


def an_owner_revokes(stage: Stage) -> Sequence[Actor]:
    owner = Actor("owner", stage.owner_revokes)
    return (
        owner,
        Actor("A", lambda: stage.a.run(TICK), stage.a),
        Actor("B", lambda: stage.b.run(TICK), stage.b),
    )


def an_owner_revokes_and_consents(stage: Stage) -> Sequence[Actor]:
    def both() -> None:
        stage.owner_revokes()
        stage.owner_consents()

    return (
        Actor("A", lambda: stage.a.run(TICK), stage.a),
        Actor("owner", both, stage.c),
        Actor("B", lambda: stage.b.run(TICK), stage.b),
    )


def a_state_cannot_be_written(stage: Stage) -> Sequence[Actor]:
    """The provider is silent, and the store takes no status of A; by the time that B ticks, it does again."""
    stage.mode = "down"
    stage.denied.add(("annotate", f"x{SUFFIX}"))

    def meets_silence() -> None:
        assert stage.scheduler
        for seconds in (300, 960):
            stage.scheduler.sleep(seconds)
            stage.a.run(TICK)

    first = Actor("A", meets_silence, stage.a)
    person = Actor("person", stage.person_allows, None, first)
    other = Actor("B", lambda: stage.b.run(TICK), stage.b, person)
    return (first, person, other, Actor("provider", stage.provider_answers, None, other))


def an_old_memory(stage: Stage) -> Sequence[Actor]:
    """B remembers a token that A has replaced since."""

    def asked() -> None:
        assert stage.scheduler
        stage.scheduler.sleep(900)
        stage.b.run(Trigger(("x",), force=True))

    first = Actor("A", lambda: stage.a.run(TICK), stage.a)
    return (first, Actor("B", asked, stage.b, first))


def _notified(stage: Stage) -> Trigger:
    """Secret Manager tells of a new version."""
    version = stage.books.newest_given("x")
    return Trigger(("x",), versions={"x": version}, only_known=True)


SCENES: Final = (
    Scene("two ticks, a strict provider", "strict", two_ticks),
    Scene("two ticks, a provider with a grace window", "lenient", two_ticks),
    Scene("two ticks, a provider that never rotates", "google", two_ticks, warm=True),
    Scene("two ticks over two connections", "strict", two_ticks, ("x", "y")),
    Scene("ticks in turn", "strict", ticks_in_turn),
    Scene("ticks in turn over two connections", "strict", ticks_in_turn, ("x", "y")),
    Scene("a person adds a grant", "strict", a_person_adds),
    Scene("a person adds a grant, no rotation", "google", a_person_adds, warm=True),
    Scene("a person adds a grant, and the day goes on", "google", a_person_adds_and_the_day_goes_on),
    Scene("a person adds a grant, and the day goes on, a strict provider", "strict", a_person_adds_and_the_day_goes_on),
    Scene("an owner consents", "strict", an_owner_consents),
    Scene("an owner consents, a grace window", "lenient", an_owner_consents, warm=True),
    Scene("an owner consents while a person adds a grant", "strict", an_owner_consents_while_a_person_adds),
    Scene("a person edits annotations", "strict", a_person_annotates),
    Scene("a person pauses and resumes", "strict", a_person_pauses),
    Scene("a person disables the newest version", "strict", a_person_disables),
    Scene("an owner revokes", "strict", an_owner_revokes, warm=True),
    Scene("an owner revokes, no rotation", "google", an_owner_revokes, warm=True),
    Scene("an owner revokes and consents", "strict", an_owner_revokes_and_consents),
    Scene("an old memory", "google", an_old_memory, warm=True),
    Scene("an old memory, a strict provider", "strict", an_old_memory, warm=True),
    Scene("a state cannot be written", "google", a_state_cannot_be_written, warm=True),
)
