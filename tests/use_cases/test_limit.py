"""Limits by key: what passes, what waits and for how long."""

from __future__ import annotations

from tests.fakes.instance import FrozenClock
from token_refresh.instance.recent import Limit


def test_so_many_pass_and_then_the_next_knows_how_long_to_wait() -> None:
    clock = FrozenClock(1000.0)
    limit = Limit(2, 60, clock)
    assert limit.take("a") == 0
    clock.now += 20
    assert limit.take("a") == 0
    assert limit.take("a") == 40
    clock.now += 40
    assert limit.take("a") == 0
    assert limit.take("a") == 20


def test_one_key_takes_nothing_from_another() -> None:
    limit = Limit(1, 60, FrozenClock(1000.0))
    assert limit.take("a") == limit.take("b") == limit.take() == 0
    assert limit.take("a") == 60


def test_what_was_refused_is_not_counted() -> None:
    clock = FrozenClock(1000.0)
    limit = Limit(1, 60, clock)
    limit.take("a")
    for _ in range(100):
        limit.take("a")
    clock.now += 60
    assert limit.take("a") == 0


def test_the_oldest_key_is_forgotten_first() -> None:
    limit = Limit(1, 60, FrozenClock(1000.0), capacity=2)
    for key in ("a", "b", "c"):
        assert limit.take(key) == 0
    assert limit.take("c") > 0
    assert limit.take("a") == 0
