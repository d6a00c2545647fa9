"""What the first edition lost grants by, one test for each way, at a server with true books (contract 7)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from google.api_core.exceptions import FailedPrecondition

from tests.fakes.simulated_instance import SETTINGS, Instance
from tests.fakes.simulated_server import Sent
from tests.worlds.true_books import BooksScene
from token_refresh.core.connection import LABEL, LEASE, SUFFIX
from token_refresh.core.trigger import Trigger
from token_refresh.errors import StoreUnavailable

DENIED = StoreUnavailable("permission denied")
ALWAYS = 10**9


def rows(instance: Instance, trigger: Trigger = Trigger()) -> dict[str, str]:  # noqa: B008 - it is frozen
    report = instance.runner.run(trigger)
    return {v.connection.name: f"{v.outcome}: {v.reason}" for v in report.visits}


@pytest.mark.parametrize("provider", ["strict", "lenient"])
def test_a_holder_frozen_with_its_reply_buries_nothing(
    scene: BooksScene, one: Instance, other: Instance, provider: str
) -> None:
    family = scene.consent("x", provider)

    def freeze(sent: Sent) -> None:
        if sent.outcome:
            scene.on_sent = lambda _: None
            for seconds in (600, 3000):
                scene.clock.advance(seconds)
                other.run(Trigger())

    scene.on_sent = freeze
    one.run(Trigger())
    if family.alive:  # a strict server has seen the old token twice
        assert scene.newest() == family.tokens[-1]
    scene.clock.advance(3000)
    other.run(Trigger())
    assert family.alive == (provider == "lenient")
    assert [e.type for e in scene.events] == ([] if family.alive else ["invalid_grant"])


def test_a_holder_frozen_while_its_answer_was_lost_sends_nothing_more(
    scene: BooksScene, one: Instance, other: Instance
) -> None:
    family = scene.consent("x")
    scene.server.mode = "lost_before"

    def freeze(sent: Sent) -> None:
        if sent.outcome:
            scene.on_sent, scene.server.mode = lambda _: None, "ok"
            scene.clock.advance(400)
            other.run(Trigger())

    scene.on_sent = freeze
    one.run(Trigger())
    assert len(scene.sent) == 2, "one by each"
    assert family.alive
    assert scene.newest() == family.tokens[-1]


@pytest.mark.parametrize(
    "fault",
    [
        ValueError("closed channel"),
        FailedPrecondition("KMS key is disabled"),  # type: ignore[no-untyped-call]
    ],
)
def test_whatever_exception_an_add_raises_it_is_tried_again(scene: BooksScene, one: Instance, fault: Exception) -> None:
    family = scene.consent("x")
    one.faults.fail("add", fault, secret_id="x" + SUFFIX)
    assert rows(one) == {"x": "refreshed: refreshed"}
    assert scene.newest() == family.tokens[-1]


@pytest.mark.parametrize("goes_on", [True, False])
def test_who_is_frozen_in_an_add_that_took_effect_keeps_no_lease_for_what_is_stored(
    scene: BooksScene, one: Instance, other: Instance, *, goes_on: bool
) -> None:
    family = scene.consent("x")

    strike, frozen = one.faults.strike, [600]

    def freeze(operation: str, secret_id: str, when: str) -> None:
        if (operation, secret_id, when) == ("add", "x" + SUFFIX, "after") and frozen:
            scene.clock.advance(frozen.pop())
            if goes_on:
                other.run(Trigger())
            raise StoreUnavailable("time ran out")
        strike(operation, secret_id, when)

    setattr(one.faults, "strike", freeze)  # noqa: B010 - a fake
    one.run(Trigger())
    assert rows(other)["x"].split(":")[0] == "fresh"
    payloads = scene.people.payloads("x-access-token")
    newest = max(scene.people.payloads("x" + SUFFIX))
    assert json.loads(payloads[max(payloads)])["connection_version"] == str(newest)
    assert (family.alive, scene.newest(), scene.events) == (True, family.tokens[-1], [])


def test_a_payload_that_cannot_be_written_again_is_found_before_anything_is_sent(
    scene: BooksScene, one: Instance
) -> None:
    scene.consent("x", form=r'{"refresh_token": "{}", "note": "\ud83d"}')
    assert rows(one) == {"x": "misconfigured: misconfigured"}
    assert scene.sent == []


def test_what_one_instance_cannot_store_the_other_waits_for(scene: BooksScene, one: Instance, other: Instance) -> None:
    family = scene.consent("x")
    one.faults.fail("add", DENIED, secret_id="x" + SUFFIX, times=ALWAYS)
    for _ in range(5):
        one.run(Trigger())
        scene.clock.advance(300)
        assert rows(other) == {"x": "busy: lease_held"}
    one.faults.active.clear()
    assert rows(one) == {"x": "refreshed: refreshed"}
    assert len(scene.sent) == 1
    assert family.alive
    assert scene.newest() == family.tokens[-1]


def test_a_fault_of_all_adds_costs_one_more_grant_a_run(scene: BooksScene, one: Instance) -> None:
    families = [scene.consent(f"c{n:02}") for n in range(12)]
    for n in range(12):
        one.faults.fail("add", DENIED, secret_id=f"c{n:02}{SUFFIX}", times=ALWAYS)
    spent = []
    for _ in range(3):
        one.run(Trigger())
        spent.append(len(one.unsaved))
        scene.clock.advance(300)
    assert spent == [2, 3, 4]
    one.faults.active.clear()
    for _ in range(2):
        one.run(Trigger())
        scene.clock.advance(300)
    assert all(f.alive and scene.newest(f.name) == f.tokens[-1] for f in families)


@pytest.mark.parametrize("trouble", ["paused", "access-token secret gone", "client registration gone"])
def test_a_reply_is_stored_whatever_else_is_wrong(scene: BooksScene, one: Instance, trouble: str) -> None:
    family = scene.consent("x")
    one.faults.fail("add", DENIED, secret_id="x" + SUFFIX, times=ALWAYS)
    one.run(Trigger())
    assert one.unsaved
    one.faults.active.clear()
    if trouble == "paused":
        record = scene.cloud.secrets["x" + SUFFIX].record
        scene.cloud.write(replace(record, labels={**record.labels, LABEL: "paused"}))
    else:
        del scene.cloud.secrets["x-access-token" if "access" in trouble else "oauth-client-strict"]
    scene.clock.advance(300)
    one.run(Trigger())
    assert not one.unsaved
    assert scene.newest() == family.tokens[-1]


def test_the_access_token_of_a_reply_that_was_stored_late_is_not_published_once_it_has_run_out(
    scene: BooksScene, one: Instance
) -> None:
    scene.consent("x")
    one.faults.fail("add", DENIED, secret_id="x" + SUFFIX, times=ALWAYS)
    for _ in range(24):
        one.run(Trigger())
        scene.clock.advance(300)
    one.faults.active.clear()
    for _ in range(2):
        one.run(Trigger())
        scene.clock.advance(300)
    documents = [json.loads(p) for p in scene.people.payloads("x-access-token").values()]
    assert [d["connection_version"] for d in documents] == ["3"], "exchanged again instead"
    assert documents[0]["expires_at"] > scene.clock()


def test_a_stale_latest_does_not_bring_an_old_grant_back(scene: BooksScene, one: Instance) -> None:
    scene.consent("x", "google")
    one.run(Trigger())
    scene.clock.advance(4000)
    theirs = scene.server.consent("x, again")
    scene.people.put("x" + SUFFIX, theirs)
    scene.cloud.stale["latest"] = 3600
    one.run(Trigger(("x",), versions={"x": 2}))
    for _ in range(12):
        scene.clock.advance(300)
        one.run(Trigger())
    assert scene.sent[1:] == [theirs] * (len(scene.sent) - 1)
    assert len(scene.sent) > 2


def test_nor_does_it_where_an_old_memory_does_not_know_better(
    scene: BooksScene, one: Instance, other: Instance
) -> None:
    """The other one has used the newer grant: readers find its token, and not one of the grant that it has replaced."""
    scene.consent("x", "google")
    scene.clock.advance(86_400)
    one.run(Trigger())
    scene.clock.advance(3000)
    theirs = scene.server.consent("x, again")
    scene.people.put("x" + SUFFIX, theirs)
    other.run(Trigger(("x",), versions={"x": 2}, force=True))
    scene.cloud.stale["latest"] = 3600
    assert rows(one, Trigger(force=True)) == {"x": "refreshed: refreshed"}
    payloads = scene.people.payloads("x-access-token")
    assert json.loads(payloads[max(payloads)])["connection_version"] == "2"
    scene.clock.advance(300)
    one.run(Trigger(force=True))
    assert scene.sent[-2:] == [theirs, theirs]


@pytest.mark.parametrize("until", [9e15, SETTINGS.run_every * 100 + 1_800_000_000.0])
def test_a_lease_with_an_absurd_end_blocks_nobody(scene: BooksScene, one: Instance, until: float) -> None:
    scene.consent("x")
    scene.people.set_annotations("x" + SUFFIX, {LEASE: f'{{"holder": "x", "until": {until}, "version": 1}}'})
    assert rows(one) == {"x": "refreshed: refreshed"}
