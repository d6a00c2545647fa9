"""The lease: who may spend a single-use refresh token, and what happens when something goes wrong (contract 7)."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from itertools import count

import pytest

from tests.fakes.instance import START, FakePublisher, FakeStore, FrozenClock, ScriptedExchange, build_runner
from token_refresh.core.connection import ACCESS_TOKEN, LEASE, STATUS
from token_refresh.core.grant import Grant, RefreshTokenGrant
from token_refresh.core.secrecy import Secret
from token_refresh.core.status import Lease, parse_lease, render_lease
from token_refresh.core.token_endpoint.outcome import GrantDead, Refreshed, TokenOutcome, UnknownOutcome
from token_refresh.core.trigger import Trigger
from token_refresh.run.runner import Runner

GRANT, TOKEN = "alice-refresh-token", "alice-access-token"
FORCED = Trigger(force=True)


class Scene:
    """One rotating connection, `alice`, at a server that honours only the newest refresh token."""

    def __init__(self, payload: str = "rt-0", **notes: str) -> None:
        self.clock = FrozenClock()
        self.store = FakeStore(self.clock)
        self.store.create_connection("alice", payload, annotations=notes)
        self.clock.advance(3600)
        self.publisher = FakePublisher()
        self.numbers = count(1)
        self.newest = "rt-0"
        self.exchange = ScriptedExchange(self.answer)
        self.runner = self.start(self.store)

    def answer(self, grant: Grant) -> TokenOutcome:
        assert isinstance(grant, RefreshTokenGrant)
        if grant.refresh_token.reveal() != self.newest:
            return GrantDead("revoked_or_expired")
        number = next(self.numbers)
        self.newest = f"rt-{number}"
        return Refreshed(Secret(f"at-{number}"), int(self.clock()) + 3600, refresh_token=Secret(self.newest))

    def start(self, store: FakeStore | None = None) -> Runner:
        """Start another instance."""
        return build_runner(store or self.store.restarted(), self.exchange, self.publisher, self.clock)

    def lease(self) -> Lease | None:
        return parse_lease(self.store.annotations(GRANT).get(LEASE))

    def hold_lease(self, until: float, version: int) -> None:
        self.store.set_annotations(GRANT, {LEASE: render_lease(Lease("somebody", until, version))})


def outcome(runner: Runner, trigger: Trigger = FORCED) -> tuple[str, str]:
    work = runner.run(trigger).visits[0]
    return work.outcome, work.reason


def test_the_order_is_lease_new_refresh_token_access_token_release_destruction() -> None:
    scene = Scene()
    outcome(scene.runner)
    scene.store.calls.clear()
    outcome(scene.runner)
    writes = [call for call in scene.store.calls if call[0] in ("annotate", "add", "destroy")]
    assert writes == [("annotate", GRANT), ("add", GRANT), ("add", TOKEN), ("annotate", GRANT), ("destroy", GRANT)]
    assert scene.lease() == Lease("", 0, 3)
    assert scene.store.payloads(GRANT) == {2: b"rt-1", 3: b"rt-2"}


def test_a_provider_that_never_rotates_takes_no_lease() -> None:
    scene = Scene()
    scene.store.create_connection("bob", "rt-bob", provider="google")
    exchange = ScriptedExchange([Refreshed(Secret("at-bob"), int(scene.clock()) + 3600)])
    runner = build_runner(scene.store, exchange, scene.publisher, scene.clock)
    runner.run(Trigger(connections=("bob",)))
    assert "annotate" not in {operation for operation, _ in scene.store.calls}


def test_who_finds_the_lease_held_is_busy_and_sends_nothing() -> None:
    scene = Scene()
    scene.hold_lease(scene.clock() + 1, 1)
    assert outcome(scene.runner) == ("busy", "lease_held")
    assert scene.exchange.sent == []


def test_an_abandoned_lease_is_taken_over_with_the_newest_version_by_number() -> None:
    scene = Scene()
    scene.newest = "rt-stored-before-the-crash"
    scene.hold_lease(scene.clock() - 1, 1)
    scene.store.cloud.stale["latest"] = 600
    scene.store.put(GRANT, scene.newest)
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.exchange.sent == ["rt-stored-before-the-crash"]
    assert scene.lease() == Lease("", 0, 3)


def test_a_takeover_uses_the_highest_enabled_version() -> None:
    scene = Scene()
    scene.newest = "rt-stored-before-the-crash"
    scene.hold_lease(scene.clock() - 1, 1)
    scene.store.put(GRANT, scene.newest)
    scene.store.set_state(GRANT, scene.store.put(GRANT, "rt-disabled"), "DISABLED")
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.exchange.sent == ["rt-stored-before-the-crash"]


def test_a_newest_version_that_is_disabled_ends_the_takeover_of_what_is_not_above_the_lease() -> None:
    scene = Scene()
    scene.hold_lease(scene.clock() - 1, 1)
    scene.store.set_state(GRANT, scene.store.put(GRANT, "rt-disabled"), "DISABLED")
    assert outcome(scene.runner) == ("misconfigured", "misconfigured")
    assert scene.exchange.sent == []


def test_a_takeover_without_a_newer_version_tries_the_same_token_once_and_calls_its_death_a_lost_rotation() -> None:
    scene = Scene()
    scene.newest = "rt-that-died-with-the-process"
    scene.hold_lease(scene.clock() - 1, 1)
    outcome(scene.runner)
    assert scene.exchange.sent == ["rt-0"]
    scene.clock.advance(900)
    outcome(scene.runner)
    status = json.loads(scene.store.annotations(GRANT)[STATUS])
    assert (status["state"], status["reason"]) == ("needs_consent", "lost_rotation")
    assert scene.exchange.sent == ["rt-0", "rt-0"], "once, and once more to confirm"


def test_a_takeover_of_a_token_that_was_never_sent_ends_well() -> None:
    scene = Scene()
    scene.hold_lease(scene.clock() - 1, 1)
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.lease() == Lease("", 0, 2)


def test_an_unknown_outcome_is_tried_again_at_once_and_the_lease_tells_the_next_holder() -> None:
    scene = Scene()
    scene.exchange = ScriptedExchange([UnknownOutcome("reply_lost")] * 2)
    assert outcome(scene.start()) == ("unavailable", "reply_lost")
    assert scene.exchange.sent == ["rt-0", "rt-0"]
    lease = scene.lease()
    assert lease
    assert lease.is_abandoned(scene.clock())


def test_a_holder_that_was_slow_starts_no_exchange() -> None:
    scene = Scene()
    scene.store.on_call = lambda operation: scene.clock.advance(100 if operation == "annotate" else 0)
    outcome(scene.runner)
    assert scene.exchange.sent == []


def test_a_holder_whose_lease_was_taken_over_overwrites_nothing() -> None:
    scene = Scene()
    runner = scene.runner
    theirs = render_lease(Lease("", 0, 7))
    with runner.saver.leases.held(runner.directory.list()[0], 1) as held:
        scene.store.set_annotations(GRANT, {LEASE: theirs})
        held.version = 2
    assert scene.store.annotations(GRANT)[LEASE] == theirs


def test_a_look_that_fails_under_the_lease_gives_it_back() -> None:
    scene = Scene()
    scene.store.faults.fail("access", secret_id=GRANT, skip=1)
    assert outcome(scene.runner) == ("unavailable", "secret_manager")
    assert scene.lease() == Lease("", 0, 1)
    assert scene.exchange.sent == []


def test_a_new_consent_that_latest_does_not_show_yet_is_used_and_not_buried() -> None:
    scene = Scene()
    outcome(scene.runner)
    scene.store.cloud.stale["latest"] = 600
    scene.newest = "rt-of-a-new-consent"
    scene.store.put(GRANT, scene.newest)
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.exchange.sent[-1] == "rt-of-a-new-consent"


def test_what_another_instance_has_refreshed_is_read_and_not_refreshed_again() -> None:
    scene = Scene()
    other = scene.start()
    outcome(scene.runner)
    outcome(other)
    scene.clock.advance(3000)  # due for both, as far as each knows
    assert outcome(scene.runner, Trigger()) == ("refreshed", "refreshed")
    assert outcome(other, Trigger()) == ("fresh", "not_due")


def test_who_loses_the_lease_to_another_instance_reads_what_that_one_has_refreshed() -> None:
    scene = Scene()
    store = scene.store.restarted()
    slow, faster = scene.start(store), [scene.runner]

    def overtake(operation: str) -> None:
        if operation == "access" and faster and ("access", GRANT) in store.calls:
            assert outcome(faster.pop(), Trigger()) == ("refreshed", "refreshed")

    store.on_call = overtake
    assert outcome(slow, Trigger()) == ("fresh", "refreshed_elsewhere")
    assert scene.exchange.sent == ["rt-0"], "the token is not exchanged a second time"


def test_a_new_refresh_token_that_cannot_be_stored_is_loud_and_kept_until_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
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
    scene = Scene()
    scene.store.faults.fail("add", secret_id=GRANT, times=10_000)
    outcome(scene.runner)
    scene.store.faults.active.clear()
    assert outcome(scene.runner, Trigger()) == ("refreshed", "refreshed")
    assert outcome(scene.runner, Trigger()) == ("fresh", "not_due"), "nothing is left of the failure to wait for"


def test_a_newer_grant_ends_what_could_not_be_stored_and_is_exchanged_by_the_next_run() -> None:
    scene = Scene()
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
    scene = Scene()
    scene.store.on_call = lambda operation: scene.clock.advance(121 if operation == "add" else 0)
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.lease() == Lease("", 0, 2)


def test_a_lease_that_ended_while_storing_leaves_the_access_token_to_the_one_who_took_it_over() -> None:
    scene = Scene()
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


@pytest.mark.parametrize("note", ["nonsense", '{"holder": 7}', "[]", '{"holder": "x", "until": "soon", "version": 1}'])
@pytest.mark.parametrize("key", [LEASE, STATUS])
def test_an_annotation_edited_into_nonsense_is_treated_as_absent_logged_once_and_repaired(
    key: str, note: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(**{key: note, "unrelated": "kept"})
    assert outcome(scene.runner, Trigger()) == ("refreshed", "refreshed")
    outcome(scene.runner, Trigger())
    assert sum("nonsense" in r.getMessage() for r in caplog.records) == 1
    notes = scene.store.annotations(GRANT)
    assert notes["unrelated"] == "kept"
    assert notes.keys() == {"unrelated", LEASE}


def test_annotations_near_the_limit_are_refused_before_anything_is_spent() -> None:
    scene = Scene(padding="x" * 15_000)
    work = scene.runner.run(FORCED).visits[0]
    assert work.outcome == "misconfigured"
    assert "16 KiB" in work.message
    assert scene.exchange.sent == []


def test_the_text_form_keeps_its_facts_with_the_release_in_one_write() -> None:
    scene = Scene(**{"token-refresh.format": "text"})
    outcome(scene.runner)
    assert scene.store.payloads(TOKEN) == {1: b"at-1"}
    facts = json.loads(scene.store.annotations(GRANT)[ACCESS_TOKEN])
    assert facts == {"expires_at": START + 7200, "refreshed_at": START + 3600, "connection_version": "2"}
    assert [operation for operation, _ in scene.store.calls].count("annotate") == 2


def test_who_ends_with_the_process_does_not_rely_on_a_thread_in_the_middle_of_the_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    outcome(scene.runner)
    leases = scene.runner.saver.leases
    (connection,) = scene.runner.directory.list()

    class Killed(BaseException):
        pass

    def end_in_the_middle(operation: str, *_: str) -> None:
        if operation == "annotate":
            monkeypatch.undo()
            leases.give_back(held)  # by the thread that SIGTERM has started
            raise Killed

    with suppress(Killed), leases.held(connection, 1) as held:
        assert scene.lease() == held.lease
        monkeypatch.setattr(scene.store.faults, "strike", end_in_the_middle)
    assert scene.lease() == Lease("", 0, 2)
