"""The lease of a holder that cannot store what it got: it is loud, keeps it, and stores it late (contract 7)."""

from __future__ import annotations

import json
import logging

import pytest

from tests.worlds.leases import GRANT, TOKEN, LeaseScene, outcome
from token_refresh.core.status import Lease
from token_refresh.core.trigger import Trigger
from token_refresh.errors import QuotaExceeded, StoreError, StoreUnavailable


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


@pytest.mark.parametrize("metadata_too", [False, True], ids=["adds", "metadata-too"])
def test_nobody_takes_the_lease_over_in_the_middle_of_an_add_that_fails(*, metadata_too: bool) -> None:
    """It takes the store's client up to 18 s to fail; whoever has the lease by then spends the old token once more."""
    scene = LeaseScene()
    other = scene.start()
    strike, said = scene.store.faults.strike, []

    def fail_slowly(operation: str, secret_id: str, when: str) -> None:
        if (operation, secret_id, when) == ("add", GRANT, "before"):
            scene.clock.advance(13)  # the last try begins shortly before the lease would end
            said.append(outcome(other))
            raise StoreUnavailable("time ran out")
        if metadata_too and operation == "annotate" and len(said) == 2:
            raise StoreUnavailable("for a moment")
        strike(operation, secret_id, when)

    setattr(scene.store.faults, "strike", fail_slowly)  # noqa: B010 - a fake
    assert outcome(scene.runner) == ("unavailable", "rotated_token_not_saved")
    assert set(said) == {("busy", "lease_held")}
    assert len(said) > 3
    assert scene.exchange.sent == ["rt-0"]


def test_the_mark_is_renewed_before_the_next_try_however_long_that_takes() -> None:
    scene = LeaseScene()
    scene.store.faults.fail("add", secret_id=GRANT, times=10_000)
    outcome(scene.runner)
    scene.clock.advance(300)
    strike, seen = scene.store.faults.strike, []

    def look(operation: str, secret_id: str, when: str) -> None:
        if operation == "add":
            seen.append(scene.lease())
        strike(operation, secret_id, when)

    setattr(scene.store.faults, "strike", look)  # noqa: B010 - a fake
    now = scene.clock()
    outcome(scene.runner, Trigger())
    (lease,) = seen
    assert lease
    assert lease == Lease(lease.holder, now + 900, 1, unsaved=True)


def test_a_lease_that_was_over_is_looked_above_before_the_late_try() -> None:
    scene = LeaseScene()
    scene.store.faults.fail("add", secret_id=GRANT, times=10_000)
    outcome(scene.runner)
    scene.store.faults.active.clear()
    scene.clock.advance(1000)
    scene.store.faults.fail("access", secret_id=GRANT, times=1)
    scene.newest = "a-person-s"
    scene.store.put(GRANT, scene.newest)
    outcome(scene.runner, Trigger())
    assert scene.store.payloads(GRANT) == {1: b"rt-0", 2: b"a-person-s"}, "what could not be looked at is not buried"


@pytest.mark.parametrize("fault", [QuotaExceeded("used up"), StoreUnavailable("down")], ids=lambda f: type(f).__name__)
def test_a_quota_that_is_used_up_is_a_fault_as_any_other_to_who_holds_the_only_copy(fault: StoreError) -> None:
    """The store waits a minute for a quota: the lease would be over meanwhile, and a process has ten seconds to end."""
    scene = LeaseScene()
    scene.store.faults.fail("add", fault, secret_id=GRANT, times=10_000)
    tries: list[float] = []
    strike = scene.store.faults.strike

    def note(operation: str, secret_id: str, when: str) -> None:
        if operation == "add":
            tries.append(scene.clock())
        strike(operation, secret_id, when)

    setattr(scene.store.faults, "strike", note)  # noqa: B010 - a fake
    began = scene.clock()
    assert outcome(scene.runner) == ("unavailable", "rotated_token_not_saved")
    assert len(tries) > 20
    assert max(tries) < began + 120, "until the lease ends"
    scene.store.faults.fail("annotate", fault, secret_id=GRANT, times=1)
    (reply,) = scene.runner.unsaved.all()
    began = scene.clock()
    scene.runner.saver.end(reply)
    assert scene.clock() == began
