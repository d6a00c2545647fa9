"""The project's quota: so many calls a minute, an order among those who wait, and nothing that is never granted."""

from __future__ import annotations

import random

import pytest

from tests.fakes.instance import FrozenClock
from token_refresh.instance.quota import Place, Priority, Quota


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(100.0)


@pytest.fixture
def quota(clock: FrozenClock) -> Quota:
    """Eight calls a second, 80 at once."""
    return Quota(480, clock, clock.sleep)


def drain(quota: Quota) -> None:
    assert quota.take(80, Priority.NAMED, within=0)


def test_a_full_bucket_grants_ten_seconds_worth_at_once_and_then_the_rate(quota: Quota, clock: FrozenClock) -> None:
    for _ in range(180):
        quota.take(1, Priority.DUE)
    assert clock() - 100 == pytest.approx(100 / 8)


@pytest.mark.parametrize("calls", [81, 200, 5_000])
def test_a_reservation_larger_than_the_burst_is_granted_and_leaves_a_debt(
    quota: Quota, clock: FrozenClock, calls: int
) -> None:
    drain(quota)
    quota.take(calls, Priority.DUE)
    assert clock() - 100 == pytest.approx(10), "as soon as the bucket is full"
    quota.take(1, Priority.DUE)
    assert clock() - 100 == pytest.approx(10 + (calls - 80 + 1) / 8), "the next one works the debt off"


@pytest.mark.parametrize("per_minute", [0.5, 1, 6, 30])
def test_a_refresh_fits_the_smallest_quota(clock: FrozenClock, per_minute: float) -> None:
    quota = Quota(per_minute, clock, clock.sleep)
    for _ in range(3):
        assert quota.take(6, Priority.DUE)
    assert clock() - 100 <= 3 * 6 * 60 / per_minute


def test_in_no_ten_seconds_more_than_twice_the_burst_is_granted(quota: Quota, clock: FrozenClock) -> None:
    dice = random.Random(1)
    granted: list[tuple[float, int]] = []
    places = [quota.place(p) for p in Priority for _ in range(3)]
    for _ in range(4_000):
        place, calls = dice.choice(places), dice.choice((1, 1, 2, 6))
        calls = 1 if place.priority == Priority.CLEAN else calls
        if quota.try_take(place, calls) == 0:
            granted.append((clock(), calls))
        clock.advance(dice.choice((0, 0, 0, 0.05, 0.3, 12)))
    for number, (begin, _) in enumerate(granted):
        assert sum(c for at, c in granted[number : number + 200] if at < begin + 10) <= 160


def test_what_saves_a_reply_waits_for_nothing_and_the_others_work_it_off(quota: Quota, clock: FrozenClock) -> None:
    quota.charge(120)
    quota.take(1, Priority.NAMED)
    assert clock() - 100 == pytest.approx(41 / 8)


def test_what_was_not_used_is_given_back_but_never_more_than_the_burst(quota: Quota, clock: FrozenClock) -> None:
    quota.take(6, Priority.DUE)
    quota.give_back(4)
    quota.give_back(1_000)
    clock.advance(1_000)
    drain(quota)
    assert not quota.take(1, Priority.NAMED, within=0)


def test_what_was_used_beyond_the_reservation_is_a_debt(quota: Quota, clock: FrozenClock) -> None:
    drain(quota)
    quota.give_back(-8)
    quota.take(1, Priority.NAMED)
    assert clock() - 100 == pytest.approx(9 / 8)


def test_they_are_served_in_the_contract_s_order(quota: Quota, clock: FrozenClock) -> None:
    drain(quota)
    quota.take(3, Priority.CLEAN)  # its own twentieth is spent
    waiting = [quota.place(p) for p in reversed(Priority)]
    served: list[Priority] = []
    while waiting:
        for place in list(waiting):
            if quota.try_take(place, 8) == 0:
                served.append(place.priority)
                waiting.remove(place)
        clock.advance(0.05)
    assert served == sorted(Priority)


def test_equals_are_served_in_the_order_in_which_they_came(quota: Quota, clock: FrozenClock) -> None:
    drain(quota)
    first, second = quota.place(Priority.DUE), quota.place(Priority.DUE)
    assert quota.try_take(second, 1) > 0
    assert quota.try_take(first, 1) > 0
    clock.advance(1 / 8)
    assert quota.try_take(second, 1) > 0
    assert quota.try_take(first, 1) == 0


def test_a_small_request_does_not_overtake_a_large_one_for_ever(quota: Quota, clock: FrozenClock) -> None:
    drain(quota)
    large = quota.place(Priority.DUE)
    for _ in range(200):
        if quota.try_take(large, 80) == 0:
            break
        assert quota.try_take(quota.place(Priority.DUE), 1) > 0
        clock.advance(0.1)
    assert clock() - 100 == pytest.approx(10, abs=0.2)


def test_a_place_that_was_left_holds_up_no_one(quota: Quota, clock: FrozenClock) -> None:
    drain(quota)
    gone = quota.place(Priority.NAMED)
    assert quota.try_take(gone, 80) > 0
    quota.leave(gone)
    clock.advance(7 / 8)
    assert quota.take(1, Priority.DESTROY, within=0)


def test_what_is_destroyed_leaves_the_writes_of_the_largest_refresh(quota: Quota, clock: FrozenClock) -> None:
    drain(quota)
    clock.advance(6 / 8)
    assert not quota.take(1, Priority.DESTROY, within=0)
    clock.advance(1 / 8)
    assert quota.take(1, Priority.DESTROY, within=0)
    assert quota.take(6, Priority.DUE, within=0)


def test_cleaning_gets_a_twentieth_of_a_quota_that_others_use_up(quota: Quota, clock: FrozenClock) -> None:
    """An hour in which what is due would take everything."""
    due, clean, counts = quota.place(Priority.DUE), quota.place(Priority.CLEAN), {Priority.DUE: 0, Priority.CLEAN: 0}

    def ask(place: Place, calls: int) -> None:
        if quota.try_take(place, calls) == 0:
            counts[place.priority] += calls

    while clock() < 100 + 3_600:
        ask(due, 2)
        ask(clean, 1)
        clock.advance(0.05)
    assert 480 * 60 / 20 <= counts[Priority.CLEAN] <= 480 * 60 / 20 * 1.05
    assert sum(counts.values()) == pytest.approx(480 * 60, rel=0.01)


def test_alone_cleaning_gets_everything(quota: Quota, clock: FrozenClock) -> None:
    for _ in range(480):
        assert quota.take(1, Priority.CLEAN)
    assert clock() - 100 == pytest.approx(50, abs=0.2)


def test_a_wait_that_would_end_too_late_is_not_begun(quota: Quota, clock: FrozenClock) -> None:
    drain(quota)
    assert not quota.take(8, Priority.DUE, within=0.9)
    assert clock() == 100
    assert quota.take(8, Priority.DUE, within=1.1)
    assert not quota.take(1, Priority.DUE, within=-5)


def test_nothing_is_left_in_the_line_by_a_wait_that_was_given_up(quota: Quota, clock: FrozenClock) -> None:
    drain(quota)
    assert not quota.take(80, Priority.NAMED, within=1)
    clock.advance(1)
    assert quota.take(8, Priority.CLEAN, within=0)


def test_a_service_that_complains_is_left_alone_for_a_while(quota: Quota, clock: FrozenClock) -> None:
    for _ in range(5):
        quota.slow_down()
    quota.take(8, Priority.NAMED)
    assert clock() - 100 == pytest.approx(11)


def test_those_who_wait_ask_seldom(quota: Quota, clock: FrozenClock) -> None:
    """An hour's waiting of ten runs; the waits are what the quota told them."""
    asked = 0
    wake = [(0.0, n, quota.place(Priority.DUE)) for n in range(10)]
    granted = 0
    while granted < 4_000:
        wake.sort()
        at, number, place = wake[0]
        clock.now = max(clock.now, at)
        delay = quota.try_take(place, 2)
        asked += 1
        granted += delay == 0
        wake[0] = (clock() + delay, number, place)
    assert asked <= 6 * granted


def test_a_clock_that_goes_backwards_gives_and_takes_nothing(quota: Quota, clock: FrozenClock) -> None:
    drain(quota)
    clock.advance(-50)
    assert not quota.take(1, Priority.NAMED, within=0)
    clock.advance(1)
    assert quota.take(8, Priority.NAMED, within=0)
