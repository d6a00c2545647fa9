"""Moments as people read them: UTC, and how far from the message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_refresh.core.incident.moments import (
    find_moment,
    render_moment,
    words_of_day,
    words_of_moment,
    words_of_span,
)

NOW = 1_796_000_000.0  # 30 November 2026, 00:53:20 UTC


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (0, "30 November 2026, 00:53 UTC"),
        (3000, "30 November 2026, 01:43 UTC (50 minutes after this message)"),
        (-7200, "29 November 2026, 22:53 UTC (2 hours before this message)"),
        (7 * 86_400, "7 December 2026, 00:53 UTC (7 days after this message)"),
    ],
)
def test_a_moment_is_told_in_utc_and_from_the_message(away: float, words: str) -> None:
    assert words_of_moment(NOW + away, NOW) == words


@pytest.mark.parametrize("value", [1e30, float("inf"), float("nan"), True, "x", None])
def test_an_odd_moment_is_left_out(value: object) -> None:
    assert words_of_moment(value, NOW) == words_of_day(value) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (10, "1 minute"),
        (60, "1 minute"),
        (89 * 60, "89 minutes"),
        (90 * 60, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (-1, ""),
    ],
)
def test_a_span_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert words_of_span(seconds) == words


def test_a_moment_in_a_text_stands_as_events_have_it() -> None:
    assert render_moment(NOW) == "2026-11-30 00:53 UTC"
    assert find_moment("its grant ends in about 7 days (2026-11-30 00:53 UTC): ask") == NOW - 20


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_a_moment_written_into_a_text_is_found_again(time: int) -> None:
    found = find_moment(f"its grant ends in about 7 days ({render_moment(time)}): ask")
    assert found is not None
    assert 0 <= time - found < 60


@pytest.mark.parametrize("text", ["", "soon", "2026-13-41 99:99 UTC", "2026-11-28"])
def test_no_moment_is_found_where_none_stands(text: str) -> None:
    assert find_moment(text) is None
