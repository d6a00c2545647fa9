"""A provider that refuses the client: the operator hears once, and nobody is asked to consent (contract 5)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import LIFE, REFUSED, RunWorld
from token_refresh.core.token_endpoint.outcome import ClientRejected, ErrorDetail
from token_refresh.core.trigger import Trigger
from token_refresh.errors import StoreUnavailable


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("alice")
    return world


def test_a_refused_client_is_told_once_for_all_its_connections(world: RunWorld) -> None:
    names = ["alice", *world.add_many(4)]
    world.answers |= {f"{n}-token": REFUSED for n in names}
    assert set(world.run().values()) == {"rejected: invalid_client"}
    assert world.events() == ["client_rejected oauth-client-google"]
    assert world.last().data["reason"] == "invalid_client"
    world.add("late")
    world.answers["late-token"] = REFUSED
    world.later(7200)
    assert world.events() == ["client_rejected oauth-client-google"]
    world.healed(*names, "late")
    world.later(3600, "alice", "c0")
    assert world.events()[1:] == ["recovered oauth-client-google"], "the client works"
    assert world.last().data["incident"] == world.publisher.events[0].id
    world.later(3600)
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]
    assert all(world.status(n) is None for n in names)


def test_a_client_that_some_are_refused_with_is_told_once_and_then_each_of_them(world: RunWorld) -> None:
    names = world.add_many(2)
    world.answers |= {f"{n}-token": REFUSED for n in names}
    assert world.run()["alice"] == "refreshed: refreshed"
    assert world.events() == ["client_rejected oauth-client-google"]
    assert world.last().data["connection_names"] == names
    world.later(LIFE - 900)
    assert world.events()[1] == "recovered oauth-client-google", "it works for alice"
    assert sorted(world.events()[2:]) == ["client_rejected c0", "client_rejected c1"]
    world.later(LIFE - 900)
    assert len(world.events()) == 4


@pytest.mark.parametrize("reason", ["invalid_scope", "access_denied", "admin_policy_enforced"])
def test_what_is_not_the_client_s_fault_is_told_of_each_connection_however_long_another_has_it(reason: str) -> None:
    world = RunWorld()
    world.add("a")
    world.add("b")
    world.run()
    world.answers["a-token"] = ClientRejected(reason, ErrorDetail(reason))
    world.later(LIFE)
    for _ in range(48):
        world.later(3600)
    world.answers["b-token"] = world.answers["a-token"]
    world.later(LIFE)
    assert world.events() == ["client_rejected a", "client_rejected b"]


OTHER = "oauth-client-google-b"


def move(world: RunWorld, *names: str) -> None:
    """Give connections another client, as an operator does while the first one is refused."""
    if OTHER not in world.store.cloud.secrets:
        world.store.create(OTHER, '{"client_id": "other", "client_secret": "s"}')
    for name in names:
        world.store.set_annotations(f"{name}-refresh-token", {"token-refresh.client": OTHER})


def refused_and_moved(*moved: str) -> RunWorld:
    """Three connections of one client that is refused; some of them have another one since."""
    world = RunWorld()
    for name in ("alice", "bob", "carol"):
        world.add(name)
        world.answers[f"{name}-token"] = REFUSED
    world.run()
    move(world, *moved)
    return world


def test_a_client_that_a_connection_was_given_during_an_incident_is_told_by_itself() -> None:
    world = refused_and_moved("alice", "bob")
    world.later(3600)
    first = ["client_rejected oauth-client-google"]
    assert world.events() == [*first, f"client_rejected {OTHER}"]
    assert world.last().data["connection_names"] == ["alice", "bob"]
    world.healed("alice", "bob")
    world.later(3600)
    assert world.events()[2:] == [f"recovered {OTHER}"]
    world.healed("carol")
    world.later(3600)
    assert world.events()[3:] == ["recovered oauth-client-google"]
    assert [world.publisher.events[i].data["incident"] for i in (3, 2)] == [e.id for e in world.publisher.events[:2]]
    assert {world.status(n) for n in ("alice", "bob", "carol")} == {None}


def test_a_connection_that_works_with_another_client_says_nothing_of_the_one_that_is_refused() -> None:
    world = refused_and_moved("alice")
    world.healed("alice")
    assert world.later(3600)["alice"] == "refreshed: refreshed"
    assert world.events() == ["client_rejected oauth-client-google"]
    world.healed("bob", "carol")
    world.later(3600)
    assert world.events()[1:] == ["recovered oauth-client-google"]


@pytest.mark.parametrize("runs", [[["alice", "bob", "carol"]], [["alice"], ["bob"], ["carol"]]], ids=str)
@pytest.mark.parametrize("healed", [[], ["alice", "bob", "carol"]], ids=str)
def test_an_incident_ends_when_nothing_depends_on_its_client_any_more(runs: list[list[str]], healed: list[str]) -> None:
    world = refused_and_moved("alice", "bob", "carol")
    world.healed(*healed)
    for names in runs:
        assert "recovered oauth-client-google" not in world.events()
        world.later(3600, *names)
    told = ["client_rejected oauth-client-google", "recovered oauth-client-google"]
    told += [] if healed else [f"client_rejected {OTHER}"]
    assert sorted(world.events()) == sorted(told)
    world.later(7200)
    assert sorted(world.events()) == sorted(told)
    ended = next(e for e in world.publisher.events if e.type == "recovered")
    assert ended.data["incident"] == world.publisher.events[0].id


@pytest.mark.parametrize("call", ["annotate", "list_connections"])
def test_a_move_that_cannot_be_told_is_told_by_the_next_run(world: RunWorld, call: str) -> None:
    world.answers["alice-token"] = REFUSED
    world.run()
    move(world, "alice")
    world.store.faults.fail(call, StoreUnavailable("down"), times=1)
    world.later(3600, "alice")
    assert world.events() == ["client_rejected oauth-client-google"]
    world.later(3600, "alice")
    assert world.events()[1:] == ["recovered oauth-client-google", f"client_rejected {OTHER}"]


def test_recovery_of_a_client_waits_for_none_of_its_connections(world: RunWorld) -> None:
    names = ["alice", *world.add_many(2)]
    world.answers |= {f"{n}-token": REFUSED for n in names}
    world.run()
    world.healed(*names)
    secrets = world.store.cloud.secrets
    record = secrets["c0-refresh-token"].record
    world.store.cloud.write(type(record)(record.secret_id, {"token-refresh": "paused"}, record.annotations, ""))
    world.store.cloud.stale["lists"] = 60.0
    del secrets["c1-refresh-token"]
    world.run("alice", force=True)
    assert world.events()[-1] == "recovered oauth-client-google"


def test_a_stale_list_does_not_hide_that_a_client_has_recovered(world: RunWorld) -> None:
    world.add("bob")
    world.answers |= {"alice-token": REFUSED, "bob-token": REFUSED}
    world.run()
    world.healed("alice", "bob")
    world.clock.advance(60)
    world.store.cloud.stale["lists"] = 30.0
    world.run("alice", force=True)
    world.new_instance()
    world.run("bob", force=True)
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]


def test_a_client_that_is_refused_again_within_the_minute_has_another_incident(world: RunWorld) -> None:
    for _ in range(2):
        world.answers["alice-token"] = REFUSED
        world.later(5, force=True)
        world.healed("alice")
        world.later(5, force=True)
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"] * 2
    assert len({e.id for e in world.publisher.events}) == 4


def test_two_instances_that_recover_the_last_connections_at_the_same_moment_tell_it(world: RunWorld) -> None:
    world.add("bob")
    world.answers |= {"alice-token": REFUSED, "bob-token": REFUSED}
    world.run()
    world.healed("alice", "bob")
    first, faults, strike = world.runner, world.store.faults, world.store.faults.strike
    second = world.new_instance()
    pending = [second]

    def interrupted(operation: str, secret_id: str, when: str) -> None:
        strike(operation, secret_id, when)
        if (operation, secret_id, when) == ("annotate", "alice-refresh-token", "before") and pending:
            pending.pop().run(Trigger(("bob",), force=True))

    setattr(faults, "strike", interrupted)  # noqa: B010 - a fake
    first.run(Trigger(("alice",), force=True))
    assert set(world.events()[1:]) == {"recovered oauth-client-google"}
    assert len({e.id for e in world.publisher.events[1:]}) == 1, "repeated with the same id, if at all"
    assert (world.status("alice"), world.status("bob")) == (None, None)


def test_a_refused_client_is_tried_again_after_one_minute_doubling_to_an_hour(world: RunWorld) -> None:
    world.answers["alice-token"] = REFUSED
    world.run()
    gaps, last = list[float](), world.clock()
    while len(gaps) < 8:
        sent = len(world.exchange.sent)
        world.later(30)
        if len(world.exchange.sent) > sent:
            gaps.append(world.clock() - last)
            last = world.clock()
    assert gaps == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert world.events() == ["client_rejected oauth-client-google"]


@pytest.mark.parametrize("secret", ["alice-refresh-token", "oauth-client-google"])
def test_a_newer_version_ends_a_refusal_at_once(world: RunWorld, secret: str) -> None:
    world.answers["alice-token"] = REFUSED
    world.run()
    assert world.later(10) == {"alice": "rejected: invalid_client"}
    world.healed("alice")
    world.store.put(secret, "alice-token" if "alice" in secret else '{"client_id": "i", "client_secret": "s"}')
    assert world.run() == {"alice": "refreshed: refreshed"}
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]


def test_a_client_secret_that_was_replaced_meanwhile_is_not_blamed(world: RunWorld) -> None:
    world.run()
    answers = iter([REFUSED])
    normal = world.exchange._answer
    world.exchange._answer = lambda grant: next(answers, None) or normal(grant)
    world.store.put("oauth-client-google", '{"client_id": "i", "client_secret": "new"}')
    assert world.later(LIFE) == {"alice": "refreshed: refreshed"}
    assert world.events() == []


def test_a_refused_client_never_needs_consent(world: RunWorld) -> None:
    world.answers["alice-token"] = REFUSED
    for _ in range(50):
        assert world.later(3600) == {"alice": "rejected: invalid_client"}


def test_a_payload_with_its_own_client_is_the_subject_of_its_event(world: RunWorld) -> None:
    payload = '{"refresh_token": "own-token", "client_id": "own-client", "client_secret": "s"}'
    world.add("adc", payload)
    world.answers["own-token"] = REFUSED
    world.run("adc")
    assert world.events() == ["client_rejected client:own-client"]
    world.answers.clear()
    world.later(60, "adc")
    assert world.events()[-1] == "recovered client:own-client"


def test_a_client_that_was_taken_out_of_the_payload_is_not_blamed_any_more(world: RunWorld) -> None:
    world.add("own", '{"refresh_token": "own-token", "client_id": "own-client", "client_secret": "s"}')
    assert world.run("own") == {"own": "refreshed: refreshed"}
    world.store.put("own-refresh-token", "bare-token")
    world.answers["bare-token"] = REFUSED
    assert world.later(LIFE, "own") == {"own": "rejected: invalid_client"}
    assert world.events() == ["client_rejected oauth-client-google"]
