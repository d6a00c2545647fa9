"""The breaker: when many grants of one client die at once, it is the client's trouble until proven otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from token_refresh.core.state.breaker import (
    MASS,
    Hold,
    Tried,
    find_holds,
    find_lifted,
    find_tripped,
    hold_back,
    lift,
    may_hold,
)
from token_refresh.core.state.verdict import Case, judge
from token_refresh.core.status import Status
from token_refresh.core.token_endpoint.outcome import GrantDead

NOW = 1_000_000.0


def status(state: str, **fields: object) -> Status:
    fields = {"version": 5, "client": "google", "tried_at": NOW - 600, **fields}
    return Status(state, "why", NOW - 600, **fields)  # type: ignore[arg-type]


def dead(count: int, previous: Status | None = None, client: str = "google") -> list[Tried]:
    return [Tried(client, previous, died=True)] * count


def alive(count: int, previous: Status | None = None, client: str = "google") -> list[Tried]:
    return [Tried(client, previous, died=False)] * count


@pytest.mark.parametrize(
    ("tried", "tripped"),
    [
        pytest.param(dead(5), {"google"}, id="five-of-five"),
        pytest.param(dead(4), set(), id="fewer-than-the-minimum"),
        pytest.param(dead(5) + alive(5), {"google"}, id="just-half"),
        pytest.param(dead(5) + alive(6), set(), id="less-than-half"),
        pytest.param(dead(3) + dead(2, status("suspect")), {"google"}, id="first-and-confirmed-alike"),
        pytest.param(dead(4) + dead(9, status("needs_consent")), set(), id="the-long-dead-do-not-count"),
        pytest.param(dead(5) + alive(9, status("needs_consent")), {"google"}, id="nor-as-survivors"),
        pytest.param(dead(4) + dead(4, status("suspect", hold_until=NOW - 1)), set(), id="nor-those-held-before"),
        pytest.param(dead(4) + dead(4, client="other"), set(), id="each-client-by-itself"),
        pytest.param(dead(5) + alive(99, client="other"), {"google"}, id="others-prove-nothing"),
        pytest.param(dead(5, status("healthy")), {"google"}, id="healthy-while-owing-an-event"),
        pytest.param([], set(), id="nobody"),
    ],
)
def test_a_client_trips_when_enough_and_at_least_half_died(tried: list[Tried], tripped: set[str]) -> None:
    assert find_tripped(tried, 5) == tripped


def test_a_hold_is_found_in_what_its_connections_remember() -> None:
    early = status("suspect", hold_until=NOW + 10, client_event_id="event")
    late = status("suspect", hold_until=NOW + 20, client_event_id="event")
    over = status("suspect", hold_until=NOW, client="other")
    nameless = status("suspect", hold_until=NOW + 10, client="")
    holds = find_holds([None, over, nameless, early, late, early, status("rejected")], NOW)
    assert holds == {"google": Hold(NOW + 20, "event")}


@pytest.mark.parametrize(
    ("tried", "lifted"),
    [
        pytest.param(
            Tried("google", status("suspect", hold_until=NOW + 1), died=False, refreshed=True),
            {"google"},
            id="held-and-refreshed",
        ),
        pytest.param(Tried("google", status("suspect", hold_until=NOW + 1), died=True), set(), id="held-and-dead"),
        pytest.param(
            Tried("google", status("suspect", hold_until=NOW), died=False, refreshed=True), set(), id="no-longer-held"
        ),
        pytest.param(Tried("google", None, died=False, refreshed=True), set(), id="never-held"),
        pytest.param(
            Tried("other", status("suspect", hold_until=NOW + 1), died=False, refreshed=True), set(), id="of-no-hold"
        ),
    ],
)
def test_one_held_connection_that_is_refreshed_frees_all(tried: Tried, lifted: set[str]) -> None:
    assert find_lifted({"google": Hold(NOW + 1)}, [tried], NOW) == lifted


@pytest.mark.parametrize(
    ("previous", "may"),
    [
        pytest.param(None, True, id="healthy"),
        pytest.param(status("healthy"), True, id="healthy-while-owing-an-event"),
        pytest.param(status("suspect"), True, id="suspect"),
        pytest.param(status("suspect", hold_until=NOW + 1), True, id="held"),
        pytest.param(status("suspect", hold_until=NOW), False, id="held-for-long-enough"),
        pytest.param(status("needs_consent"), False, id="given-up-before"),
        pytest.param(status("needs_consent", version=4), True, id="given-up-before-the-owner-consented-again"),
        pytest.param(status("rejected"), True, id="rejected"),
        pytest.param(status("unavailable", hold_until=NOW), False, id="held-for-long-enough-then-silence"),
    ],
)
def test_who_may_be_held(previous: Status | None, *, may: bool) -> None:
    assert may_hold(Case("alice", NOW, 5, previous=previous)) is may


def held(case: Case, hold: Hold) -> Status:
    verdict = hold_back(case, judge(case, GrantDead("revoked_or_expired")), hold)
    assert (verdict.outcome, verdict.reason, verdict.announce, verdict.is_death) == ("suspect", MASS, None, True)
    assert verdict.status
    return verdict.status


def test_a_held_death_stays_a_suspicion_with_a_back_off_that_ends_with_the_hold() -> None:
    hold = Hold(NOW + 3600, "event")
    case = Case("alice", NOW, 5, client="google", previous=status("suspect"))
    first = held(case, hold)
    assert (first.state, first.reason, first.since) == ("suspect", MASS, NOW)
    assert (first.hold_until, first.client_event_id, first.client) == (NOW + 3600, "event", "google")
    assert (first.attempts, first.next_attempt_at) == (1, NOW + 60)
    second = held(replace(case, now=NOW + 60, previous=first), hold)
    assert (second.since, second.attempts, second.next_attempt_at) == (NOW, 2, NOW + 60 + 120)
    last = held(replace(case, now=NOW + 3000, previous=replace(first, attempts=6)), hold)
    assert last.next_attempt_at == hold.until


def test_a_lifted_hold_is_judged_at_once_and_singly() -> None:
    lifted = lift(status("suspect", hold_until=NOW + 3600), NOW)
    assert (lifted.hold_until, lifted.next_attempt_at) == (NOW, NOW)
    assert not may_hold(Case("alice", NOW, 5, previous=lifted))
