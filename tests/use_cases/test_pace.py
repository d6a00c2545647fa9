"""Pacing: so many a second and not one more."""

from __future__ import annotations

import threading

import pytest

from token_refresh.instance.pace import Pace, Paces


class Time:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_the_first_passes_at_once_and_the_rest_one_interval_apart() -> None:
    time = Time()
    pace = Pace(5, time.clock, time.sleep)
    waited = [pace.wait() for _ in range(4)]
    assert waited == pytest.approx([0, 0.2, 0.2, 0.2])
    assert time.now == pytest.approx(100.6)


def test_after_a_pause_nobody_waits_and_no_burst_is_saved_up() -> None:
    time = Time()
    pace = Pace(5, time.clock, time.sleep)
    pace.wait()
    time.now += 60
    assert pace.wait() == 0
    assert pace.wait() == pytest.approx(0.2)


def test_threads_share_one_pace() -> None:
    frozen, delays, lock = 0.0, [], threading.Lock()
    pace = Pace(10, lambda: frozen, lambda _: None)

    def call() -> None:
        delay = pace.wait()
        with lock:
            delays.append(round(delay, 3))

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert sorted(delays) == [round(n / 10, 3) for n in range(20)]


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_pace_must_be_positive(rate: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Pace(rate)


def test_each_key_has_a_pace_of_its_own() -> None:
    time = Time()
    paces = Paces(5, time.clock, time.sleep)
    assert [paces[host].wait() for host in ("a", "b", "a")] == pytest.approx([0, 0, 0.2])
