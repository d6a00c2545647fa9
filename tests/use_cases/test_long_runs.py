"""Runs that use their whole time: what is found out is written meanwhile, and nobody waits for the end to be told."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import replace

import pytest

from tests.worlds.metered import MeteredWorld, with_settings
from token_refresh.core.connection import STATUS
from token_refresh.core.status import State, Status, render_status
from token_refresh.core.token_endpoint.outcome import ClientRejected, GrantDead, TokenOutcome, Unavailable

DAY = 86_400
DEAD = GrantDead("revoked_or_expired")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("token_refresh"), "level", logging.CRITICAL)


@pytest.fixture
def world() -> MeteredWorld:
    return MeteredWorld(settings=with_settings(run_seconds=100))


def note(world: MeteredWorld, name: str, status: Status) -> None:
    record = world.cloud.secrets[f"{name}-refresh-token"].record
    world.cloud.write(replace(record, annotations={**record.annotations, STATUS: render_status(status)}))


def tick(world: MeteredWorld, began: float, number: int) -> dict[str, int]:
    world.time.now = max(world.time.now, began + number * world.settings.run_every)
    counts: dict[str, int] = world.run().document()["counts"]  # type: ignore[assignment]
    return counts


def test_a_connection_that_a_rush_has_refreshed_is_free_for_its_owner_s_new_grant(world: MeteredWorld) -> None:
    world.add(400)
    outcomes: list[str] = []

    def an_owner_consents() -> None:
        world.time.sleep(30)
        world.store.put("k00000-refresh-token", "k00000.new")
        report = world.timed_run(connections=("k00000",), versions={"k00000": 2})
        outcomes.append(report.document()["connections"][0]["outcome"])  # type: ignore[index]

    world.time.play(world.timed_run, an_owner_consents)
    assert outcomes == ["refreshed"]
    assert world.longest > 60, "the rush was still under way"


def test_what_dies_in_a_rush_is_noted_in_the_rush(world: MeteredWorld) -> None:
    world.add(500)
    dead = set(world.add(10, prefix="a"))
    world.answer = lambda name: DEAD if name in dead else None
    assert world.run().document()["counts"]["deferred"] > 0  # type: ignore[index]
    assert world.statuses() == [f"{name}-refresh-token" for name in sorted(dead)]


def test_a_burst_of_deaths_is_a_burst_although_it_is_noted_in_parts(world: MeteredWorld) -> None:
    """A third of a client's grants die within a rush: no owner is asked for anything."""
    world.add(150)
    dead = set(world.add(100, prefix="a"))
    world.answer = lambda name: DEAD if name in dead else Unavailable("http_503")
    began = world.time()
    for number in range(8):
        tick(world, began, number)
    assert {e.type for e in world.publisher.events} <= {"client_rejected", "refresh_failing"}


def test_reminders_by_the_hundred_do_not_hold_up_what_is_due(world: MeteredWorld) -> None:
    for name in world.add(300, prefix="dead"):
        status = Status(
            State.NEEDS_CONSENT,
            "revoked_or_expired",
            since=world.time() - DAY - 60,
            version=1,
            next_attempt_at=world.time() + DAY,
            event_id=f"invalid_grant.{name}",
        )
        note(world, name, status)
    world.add(20)
    began, asked = world.time(), list[float]()

    def answer(_: str) -> TokenOutcome | None:
        asked.append(world.time() - began)
        return None

    world.answer = answer
    for number in range(2):
        tick(world, began, number)
    assert max(asked) < 30
    assert Counter(e.type for e in world.publisher.events) == {"consent_overdue": 300}
    assert world.cloud.refused == 0
    assert world.longest <= world.settings.run_seconds + 2 * world.settings.http_timeout


def test_the_ends_of_hundreds_of_incidents_are_paced(world: MeteredWorld) -> None:
    names = world.add(400)
    began = world.time()
    world.answer = lambda _: Unavailable("http_503")
    for number in range(8):
        tick(world, began, number)
    assert len(world.statuses()) == 400
    world.answer = lambda _: None
    world.time.now += 3600  # all may be tried again
    began = world.time()
    for number in range(5):
        tick(world, began, number)
    assert world.statuses() == []
    assert Counter(e.type for e in world.publisher.events) == {"refresh_failing": 400, "recovered": 400}
    assert world.cloud.refused == 0
    assert set(world.made) == set(names)
    assert sum(n > 1 for n in world.made.values()) < 50, "what is refreshed is told of, and not refreshed once more"
    assert world.longest <= world.settings.run_seconds + 2 * world.settings.http_timeout


def test_what_is_refused_leaves_time_to_what_lives(world: MeteredWorld) -> None:
    """Imported with a wrong secret: without any life they would go first, at the host's pace, in every run."""
    refused = set(world.add(600, prefix="a", versions=0))
    world.answer = lambda name: ClientRejected("invalid_client") if name in refused else None
    began = world.time()
    for number in range(2):
        tick(world, began, number)
    living = world.add(60, prefix="b", versions=0)
    for name in living:
        document = {"expires_at": world.time() + 600, "refreshed_at": world.time() - 3000, "connection_version": "1"}
        world.store.put(f"{name}-access-token", json.dumps(document))
    tick(world, began, 2)
    assert {name for name in living if world.made[name]} == set(living)
    assert world.cloud.refused == 0


def test_a_new_grant_does_not_wait_behind_what_is_due(world: MeteredWorld) -> None:
    """Added by hand, so that no request names it: it went last, as if its connection were still dead."""
    world.add(1_000)
    (mended,) = world.add(1, prefix="a")
    world.answer = lambda name: DEAD if name == mended and world.current[name] == f"{name}.0" else None
    status = Status(State.NEEDS_CONSENT, "revoked_or_expired", world.time() - DAY, version=1)
    note(world, mended, status)
    world.current[mended] = f"{mended}.again"
    world.store.put(f"{mended}-refresh-token", world.current[mended])
    assert world.run().document()["counts"]["deferred"] > 0  # type: ignore[index]
    assert world.made[mended] == 1


def test_a_request_that_names_hundreds_refreshes_them(world: MeteredWorld) -> None:
    """To read each by its name would take all the time of the run, and that of the next one."""
    names = world.add(900)
    report = world.run(connections=tuple(names)).document()
    assert report["counts"]["refreshed"] > 300  # type: ignore[index]
    assert world.statuses() == []
