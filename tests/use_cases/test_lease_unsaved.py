"""The lease of a holder that cannot store what it got: it is loud, keeps it, and stores it late (contract 7)."""

from __future__ import annotations

import json
import logging

import pytest

from tests.worlds.leases import GRANT, TOKEN, LeaseScene, outcome
from token_refresh.core.status import Lease
from token_refresh.core.trigger import Trigger


def test_a_new_refresh_token_that_cannot_be_stored_is_loud_and_kept_until_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = LeaseScene()
    scene.store.faults.fail("add", secret_id=GRANT, times=10_000)
    assert outcome(scene.runner) == ("unavailable", "rotated_token_not_saved")
    assert any(r.levelno == logging.CRITICAL for r in caplog.records)
    assert scene.publisher.types() == ["refresh_failing"]
    assert scene.store.payloads(TOKEN) == {}, "the access token is not written before its refresh token"
    scene.store.faults.active.clear()
    scene.clock.advance(200)
    assert outcome(scene.runner, Trigger()) == ("refreshed", "refreshed")
    assert scene.store.payloads(GRANT)[2] == b"rt-1"
    assert scene.exchange.sent == ["rt-0"], "it is stored, not exchanged a second time"
    assert scene.publisher.types() == ["refresh_failing", "recovered"]


def test_what_is_stored_late_is_healthy_from_then_on() -> None:
    scene = LeaseScene()
    scene.store.faults.fail("add", secret_id=GRANT, times=10_000)
    outcome(scene.runner)
    scene.store.faults.active.clear()
    assert outcome(scene.runner, Trigger()) == ("refreshed", "refreshed")
    assert outcome(scene.runner, Trigger()) == ("fresh", "not_due"), "nothing is left of the failure to wait for"


def test_a_newer_grant_ends_what_could_not_be_stored_and_is_exchanged_by_the_next_run() -> None:
    scene = LeaseScene()
    scene.store.faults.fail("add", secret_id=GRANT, times=10_000)
    outcome(scene.runner)
    scene.store.faults.active.clear()
    scene.newest = "a-person-s"
    scene.store.put(GRANT, scene.newest)
    assert outcome(scene.runner) == ("deferred", "newer_version")
    assert scene.lease() == Lease("", 0, 2)
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.exchange.sent == ["rt-0", "a-person-s"]


def test_a_lease_that_ended_while_storing_is_taken_again_before_the_access_token_is_written() -> None:
    scene = LeaseScene()
    scene.store.on_call = lambda operation: scene.clock.advance(121 if operation == "add" else 0)
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.lease() == Lease("", 0, 2)


def test_a_lease_that_ended_while_storing_leaves_the_access_token_to_the_one_who_took_it_over() -> None:
    scene = LeaseScene()
    other = scene.start()
    pending = [other]

    def freeze(operation: str) -> None:
        if operation == "add" and pending:
            scene.clock.advance(121)
            assert outcome(pending.pop(), Trigger()) == ("refreshed", "refreshed")

    scene.store.on_call = freeze
    assert outcome(scene.runner)[0] == "deferred"
    assert scene.exchange.sent == ["rt-0", "rt-1"]
    (document,) = scene.store.payloads(TOKEN).values()
    assert json.loads(document)["access_token"] == "at-2"
    assert scene.lease() == Lease("", 0, 3)
