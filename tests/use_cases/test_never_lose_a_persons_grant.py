"""A grant that a person adds while an exchange is under way, or its holder dead, is kept or used, and never buried."""

from __future__ import annotations

import json

import pytest

from tests.fakes.instance import Crash
from tests.fakes.simulated_instance import Instance
from tests.fakes.simulated_server import Sent
from tests.worlds.true_books import BooksScene
from token_refresh.core.connection import SUFFIX
from token_refresh.core.trigger import Trigger


def a_person_adds_meanwhile(scene: BooksScene, form: str = "{}") -> str:
    """Let a person add a grant while the next exchange is under way; returns its token."""
    theirs = scene.server.consent("x, by hand")

    def add(sent: Sent) -> None:
        if not sent.outcome:
            scene.on_sent = lambda _: None
            scene.people.put("x" + SUFFIX, form.replace("{}", theirs))

    scene.on_sent = add
    return theirs


def test_a_grant_that_a_person_adds_during_an_exchange_is_the_one_to_use(scene: BooksScene, one: Instance) -> None:
    scene.consent("x")
    theirs = a_person_adds_meanwhile(scene)
    one.run(Trigger())
    assert scene.newest() == theirs, "put on top again"
    scene.clock.advance(3000)
    one.run(Trigger())
    assert scene.sent[-1] == theirs
    family = scene.server.family(theirs)
    assert family
    assert family.alive
    assert scene.newest() == family.tokens[-1]


def test_a_grant_that_a_person_adds_is_kept_where_the_holder_dies_before_it_is_on_top(
    scene: BooksScene, one: Instance, other: Instance
) -> None:
    scene.consent("x")
    theirs = a_person_adds_meanwhile(scene)
    one.faults.fail("add", Crash(), secret_id="x" + SUFFIX, skip=1)
    one.run(Trigger())
    for _ in range(4):
        scene.clock.advance(3000)
        other.run(Trigger())
    assert theirs.encode() in scene.people.payloads("x" + SUFFIX).values(), "nobody knows whose is whose"


@pytest.mark.parametrize("call", ["send", "annotate", "add"])
def test_and_it_is_kept_where_who_takes_over_gets_no_further_or_dies_as_well(
    scene: BooksScene, one: Instance, other: Instance, call: str
) -> None:
    scene.consent("x")
    theirs = a_person_adds_meanwhile(scene)
    one.faults.fail("add", Crash(), secret_id="x" + SUFFIX, skip=1)
    one.run(Trigger())
    scene.clock.advance(3000)
    if call == "send":
        scene.server.mode = "down"
    else:
        other.faults.fail(call, Crash(), secret_id="x" + SUFFIX, skip=1)
    other.run(Trigger())
    scene.server.mode = "ok"
    third = Instance(scene)
    for _ in range(4):
        scene.clock.advance(3000)
        third.run(Trigger())
    assert theirs.encode() in scene.people.payloads("x" + SUFFIX).values(), "nobody knows whose is whose"


@pytest.mark.parametrize("by_hand", ["{}", '{"refresh_token": "{}"}', '{"refresh_token": "{}", "note": "n"}'], ids=str)
def test_and_it_is_used_where_what_the_dead_holder_stored_can_be_told_from_it(
    scene: BooksScene, one: Instance, other: Instance, by_hand: str
) -> None:
    ours = scene.consent("x", form='{"refresh_token": "{}", "note": "n"}')
    theirs = a_person_adds_meanwhile(scene, by_hand)
    one.faults.fail("add", Crash(), secret_id="x" + SUFFIX, skip=1)
    one.run(Trigger())
    assert json.loads(scene.newest())["refresh_token"] == ours.tokens[-1], "buried"
    for _ in range(2):
        scene.clock.advance(3000)
        other.run(Trigger())
    family = scene.server.family(theirs)
    assert family
    assert theirs in scene.sent
    assert scene.sent.count(ours.tokens[-1]) == 0
    assert family.tokens[-1] in scene.newest()
    assert scene.events == []


def test_a_grant_that_came_after_the_dead_holder_s_own_token_is_the_newer_one(
    scene: BooksScene, one: Instance, other: Instance
) -> None:
    scene.consent("x", form='{"refresh_token": "{}"}')
    first = a_person_adds_meanwhile(scene, '{"refresh_token": "{}", "note": "first"}')
    one.faults.fail("add", Crash(), secret_id="x" + SUFFIX, skip=1)
    one.run(Trigger())
    second = scene.server.consent("x, once more")
    scene.people.put("x" + SUFFIX, second)
    scene.clock.advance(3000)
    other.run(Trigger())
    assert scene.sent[-1] == second
    assert first not in scene.sent
