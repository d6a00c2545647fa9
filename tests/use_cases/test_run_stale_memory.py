"""What one instance does not know of another one: it looks again before it judges, and drops what is overtaken."""

from __future__ import annotations

import pytest

from tests.worlds.runs import DEAD, LIFE, SILENT, RunWorld
from token_refresh.core.grant import Grant
from token_refresh.core.token_endpoint.outcome import TokenOutcome
from token_refresh.core.trigger import Trigger


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("alice")
    return world


def test_of_two_instances_that_judge_a_grant_at_the_same_moment_one_tells(world: RunWorld) -> None:
    world.dying("alice")
    first = world.runner
    second = world.new_instance()
    pending = [second]
    normal = world.exchange._answer

    def answer(grant: Grant) -> TokenOutcome:
        if pending:
            pending.pop().run(Trigger())
        return normal(grant)

    world.exchange._answer = answer
    first.run(Trigger())
    pending.append(second)
    world.clock.advance(900)
    first.run(Trigger())
    assert world.events() == ["invalid_grant alice"]
    world.later(60)
    assert world.events() == ["invalid_grant alice"]


def test_an_instance_with_an_old_memory_reads_the_token_again_before_it_judges(world: RunWorld) -> None:
    world.run()
    old = world.runner
    world.new_instance()
    world.later(LIFE - 900)
    world.answers["alice-token"] = SILENT
    world.clock.advance(1000)
    report = old.run(Trigger(force=True))
    assert [(v.outcome, v.reason) for v in report.visits] == [("unavailable", "http_503")]
    assert world.events() == [], "as far as the old instance knew the token had run out; it is good for half an hour"


def test_an_instance_that_only_waits_reads_the_token_again_before_it_judges(world: RunWorld) -> None:
    world.run()
    old = world.runner
    world.answers["alice-token"] = SILENT
    world.clock.advance(LIFE - 500)
    old.run(Trigger())
    world.healed("alice")
    world.new_instance()
    assert world.run(force=True) == {"alice": "refreshed: refreshed"}
    world.clock.advance(55)
    report = old.run(Trigger())
    assert [(v.outcome, v.reason) for v in report.visits] == [("fresh", "refreshed_elsewhere")]
    assert world.status("alice") is None
    assert world.events() == []


def test_what_another_instance_refreshed_meanwhile_drops_the_answer(world: RunWorld) -> None:
    world.run()
    old = world.runner
    new = world.new_instance()
    pending = [new]
    normal = world.exchange._answer

    def answer(grant: Grant) -> TokenOutcome:
        if pending:
            pending.pop().run(Trigger(force=True))
            return DEAD
        return normal(grant)

    world.exchange._answer = answer
    world.clock.advance(LIFE)
    report = old.run(Trigger())
    assert [(v.outcome, v.reason) for v in report.visits] == [("fresh", "refreshed_elsewhere")]
    assert world.status("alice") is None
    assert world.events() == []


def test_a_refresh_that_was_frozen_ends_no_later_verdict(world: RunWorld) -> None:
    world.add("frozen", "rotating-first", provider="rotating")
    world.run("frozen")
    instance, store = world.runner, world.store

    def newest() -> str:
        return list(store.payloads("frozen-refresh-token").values())[-1].decode()

    def freeze(operation: str) -> None:
        if operation != "destroy":
            return
        store.on_call = lambda _: None
        world.answers[newest()] = DEAD
        world.clock.advance(4000)
        world.new_instance()
        world.confirmed("frozen")

    world.answers[newest()] = DEAD
    assert world.later(2800, "frozen") == {"frozen": "suspect: revoked_or_expired"}
    world.answers.clear()
    world.clock.advance(61)
    store.on_call = freeze
    instance.run(Trigger(("frozen",)))
    assert (world.status("frozen") or {})["state"] == "needs_consent", "judged while the refresh was frozen"
    world.later(300)
    assert [e for e in world.events() if e.endswith("frozen")] == ["invalid_grant frozen"]
