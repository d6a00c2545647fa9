"""The lease: who may spend a single-use refresh token, and what happens when something goes wrong (contract 7)."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from tests.fakes.instance import START, ScriptedExchange, build_runner
from tests.worlds.leases import FORCED, GRANT, TOKEN, LeaseScene, outcome
from token_refresh.core.connection import ACCESS_TOKEN, LEASE, STATUS
from token_refresh.core.secrecy import Secret
from token_refresh.core.status import Lease, render_lease
from token_refresh.core.token_endpoint.outcome import GrantDead, Refreshed, TokenOutcome, UnknownOutcome
from token_refresh.core.trigger import Trigger


def test_the_order_is_lease_new_refresh_token_access_token_release_destruction() -> None:
    scene = LeaseScene()
    outcome(scene.runner)
    scene.store.calls.clear()
    outcome(scene.runner)
    writes = [call for call in scene.store.calls if call[0] in ("annotate", "add", "destroy")]
    assert writes == [("annotate", GRANT), ("add", GRANT), ("add", TOKEN), ("annotate", GRANT), ("destroy", GRANT)]
    assert scene.lease() == Lease("", 0, 3)
    assert scene.store.payloads(GRANT) == {2: b"rt-1", 3: b"rt-2"}


def test_a_provider_that_never_rotates_takes_no_lease() -> None:
    scene = LeaseScene()
    scene.store.create_connection("bob", "rt-bob", provider="google")
    exchange = ScriptedExchange([Refreshed(Secret("at-bob"), int(scene.clock()) + 3600)])
    runner = build_runner(scene.store, exchange, scene.publisher, scene.clock)
    runner.run(Trigger(connections=("bob",)))
    assert "annotate" not in {operation for operation, _ in scene.store.calls}


def test_who_finds_the_lease_held_is_busy_and_sends_nothing() -> None:
    scene = LeaseScene()
    scene.hold_lease(scene.clock() + 1, 1)
    assert outcome(scene.runner) == ("busy", "lease_held")
    assert scene.exchange.sent == []


def test_an_abandoned_lease_is_taken_over_with_the_newest_version_by_number() -> None:
    scene = LeaseScene()
    scene.newest = "rt-stored-before-the-crash"
    scene.hold_lease(scene.clock() - 1, 1)
    scene.store.cloud.stale["latest"] = 600
    scene.store.put(GRANT, scene.newest)
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.exchange.sent == ["rt-stored-before-the-crash"]
    assert scene.lease() == Lease("", 0, 3)


def test_a_takeover_uses_the_highest_enabled_version() -> None:
    scene = LeaseScene()
    scene.newest = "rt-stored-before-the-crash"
    scene.hold_lease(scene.clock() - 1, 1)
    scene.store.put(GRANT, scene.newest)
    scene.store.set_state(GRANT, scene.store.put(GRANT, "rt-disabled"), "DISABLED")
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.exchange.sent == ["rt-stored-before-the-crash"]


def test_a_newest_version_that_is_disabled_ends_the_takeover_of_what_is_not_above_the_lease() -> None:
    scene = LeaseScene()
    scene.hold_lease(scene.clock() - 1, 1)
    scene.store.set_state(GRANT, scene.store.put(GRANT, "rt-disabled"), "DISABLED")
    assert outcome(scene.runner) == ("misconfigured", "misconfigured")
    assert scene.exchange.sent == []


def test_a_takeover_without_a_newer_version_tries_the_same_token_once_and_calls_its_death_a_lost_rotation() -> None:
    scene = LeaseScene()
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
    scene = LeaseScene()
    scene.hold_lease(scene.clock() - 1, 1)
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.lease() == Lease("", 0, 2)


def test_a_token_that_is_accepted_and_not_replaced_ends_the_doubt_of_an_abandoned_lease() -> None:
    """Else a provider that does not rotate after all keeps it for ever, and each death would be a lost rotation."""
    scene = LeaseScene()
    scene.hold_lease(until=scene.clock() - 1, version=1)
    answers: list[TokenOutcome] = [
        Refreshed(Secret("at-1"), int(scene.clock()) + 3600),
        GrantDead("revoked_or_expired"),
    ]
    runner = build_runner(scene.store, ScriptedExchange(answers), scene.publisher, scene.clock)
    assert outcome(runner) == ("refreshed", "refreshed")
    assert scene.lease() == Lease("", 0, 1)
    assert outcome(runner) == ("suspect", "revoked_or_expired")


def test_what_was_accepted_after_a_lost_answer_stays_in_doubt_until_it_is_accepted_again() -> None:
    """Within its grace window a server may accept a token that it has replaced, in the answer that was lost."""
    scene = LeaseScene()
    accepted = Refreshed(Secret("at-1"), int(scene.clock()) + 3600)
    answers: list[TokenOutcome] = [UnknownOutcome("http_502"), accepted, accepted]
    runner = build_runner(scene.store, ScriptedExchange(answers), scene.publisher, scene.clock)
    outcome(runner)
    lease = scene.lease()
    assert lease
    assert lease.holder
    assert lease.until == scene.clock()
    outcome(runner)
    assert scene.lease() == Lease("", 0, 1)


def test_an_unknown_outcome_is_tried_again_at_once_and_the_lease_tells_the_next_holder() -> None:
    scene = LeaseScene()
    scene.exchange = ScriptedExchange([UnknownOutcome("reply_lost")] * 2)
    assert outcome(scene.start()) == ("unavailable", "reply_lost")
    assert scene.exchange.sent == ["rt-0", "rt-0"]
    lease = scene.lease()
    assert lease
    assert lease.is_abandoned(scene.clock())


def test_a_holder_that_was_slow_starts_no_exchange() -> None:
    scene = LeaseScene()
    scene.store.on_call = lambda operation: scene.clock.advance(100 if operation == "annotate" else 0)
    outcome(scene.runner)
    assert scene.exchange.sent == []


def test_a_holder_whose_lease_was_taken_over_overwrites_nothing() -> None:
    scene = LeaseScene()
    runner = scene.runner
    theirs = render_lease(Lease("", 0, 7))
    with runner.saver.leases.held(runner.directory.list()[0], 1) as held:
        scene.store.set_annotations(GRANT, {LEASE: theirs})
        held.version = 2
    assert scene.store.annotations(GRANT)[LEASE] == theirs


def test_a_look_that_fails_under_the_lease_gives_it_back() -> None:
    scene = LeaseScene()
    scene.store.faults.fail("access", secret_id=GRANT, skip=1)
    assert outcome(scene.runner) == ("unavailable", "secret_manager")
    assert scene.lease() == Lease("", 0, 1)
    assert scene.exchange.sent == []


def test_a_new_consent_that_latest_does_not_show_yet_is_used_and_not_buried() -> None:
    scene = LeaseScene()
    outcome(scene.runner)
    scene.store.cloud.stale["latest"] = 600
    scene.newest = "rt-of-a-new-consent"
    scene.store.put(GRANT, scene.newest)
    assert outcome(scene.runner) == ("refreshed", "refreshed")
    assert scene.exchange.sent[-1] == "rt-of-a-new-consent"


def test_what_another_instance_has_refreshed_is_read_and_not_refreshed_again() -> None:
    scene = LeaseScene()
    other = scene.start()
    outcome(scene.runner)
    outcome(other)
    scene.clock.advance(3000)  # due for both, as far as each knows
    assert outcome(scene.runner, Trigger()) == ("refreshed", "refreshed")
    assert outcome(other, Trigger()) == ("fresh", "not_due")


def test_who_loses_the_lease_to_another_instance_reads_what_that_one_has_refreshed() -> None:
    scene = LeaseScene()
    store = scene.store.restarted()
    slow, faster = scene.start(store), [scene.runner]

    def overtake(operation: str) -> None:
        if operation == "access" and faster and ("access", GRANT) in store.calls:
            assert outcome(faster.pop(), Trigger()) == ("refreshed", "refreshed")

    store.on_call = overtake
    assert outcome(slow, Trigger()) == ("fresh", "refreshed_elsewhere")
    assert scene.exchange.sent == ["rt-0"], "the token is not exchanged a second time"


@pytest.mark.parametrize("note", ["nonsense", '{"holder": 7}', "[]", '{"holder": "x", "until": "soon", "version": 1}'])
@pytest.mark.parametrize("key", [LEASE, STATUS])
def test_an_annotation_edited_into_nonsense_is_treated_as_absent_logged_once_and_repaired(
    key: str, note: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene = LeaseScene(**{key: note, "unrelated": "kept"})
    assert outcome(scene.runner, Trigger()) == ("refreshed", "refreshed")
    outcome(scene.runner, Trigger())
    assert sum("nonsense" in r.getMessage() for r in caplog.records) == 1
    notes = scene.store.annotations(GRANT)
    assert notes["unrelated"] == "kept"
    assert notes.keys() == {"unrelated", LEASE}


def test_annotations_near_the_limit_are_refused_before_anything_is_spent() -> None:
    scene = LeaseScene(padding="x" * 15_000)
    work = scene.runner.run(FORCED).visits[0]
    assert work.outcome == "misconfigured"
    assert "16 KiB" in work.message
    assert scene.exchange.sent == []


def test_the_text_form_keeps_its_facts_with_the_release_in_one_write() -> None:
    scene = LeaseScene(**{"token-refresh.format": "text"})
    outcome(scene.runner)
    assert scene.store.payloads(TOKEN) == {1: b"at-1"}
    facts = json.loads(scene.store.annotations(GRANT)[ACCESS_TOKEN])
    assert facts == {"expires_at": START + 7200, "refreshed_at": START + 3600, "connection_version": "2"}
    assert [operation for operation, _ in scene.store.calls].count("annotate") == 2


def test_who_ends_with_the_process_does_not_rely_on_a_thread_in_the_middle_of_the_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = LeaseScene()
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
