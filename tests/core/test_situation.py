"""One connection as it stands: how low its access token is, and how long a refused grant is left alone."""

from __future__ import annotations

import pytest

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.timing import BackOff
from token_refresh.core.status import State, Status

NOW = 1_000_000.0
MARGIN = 900.0


def at(seconds_left: float | None = None, *, unread_for: float | None = None) -> Situation:
    """An access token that ends so soon, or none; or one that could not be read for so long."""
    return Situation(
        "alice",
        NOW,
        facts=None if seconds_left is None else AccessTokenFacts(NOW + seconds_left, NOW - 60, 5),
        is_unread=unread_for is not None,
        margin=MARGIN,
        back_off=None if unread_for is None else BackOff(1, NOW, "secret_manager", began_at=NOW - unread_for),
    )


@pytest.mark.parametrize(
    ("situation", "is_low"),
    [
        pytest.param(at(MARGIN), False, id="the-whole-margin-is-left"),
        pytest.param(at(MARGIN / 2), False, id="half-of-it"),
        pytest.param(at(MARGIN / 2 - 1), True, id="less-than-half"),
        pytest.param(at(-1), True, id="run-out"),
        pytest.param(at(), True, id="there-is-none"),
        pytest.param(Situation("alice", NOW, is_unread=True, margin=MARGIN), False, id="unread-for-the-first-time"),
        pytest.param(at(unread_for=MARGIN / 2 - 1), False, id="unread-for-a-while"),
        pytest.param(at(unread_for=MARGIN / 2), True, id="unread-for-half-a-margin"),
        pytest.param(at(MARGIN, unread_for=MARGIN), False, id="known-from-before-it-could-not-be-read"),
    ],
)
def test_a_token_is_low_with_less_than_half_its_margin(situation: Situation, *, is_low: bool) -> None:
    assert situation.is_low is is_low


@pytest.mark.parametrize(
    ("confirm_after", "seconds"),
    [pytest.param(900, 60, id="a-minute"), pytest.param(20, 20, id="or-less-where-it-is-confirmed-sooner")],
)
def test_a_refused_grant_is_left_alone_for_a_minute(confirm_after: float, seconds: float) -> None:
    assert Situation("alice", NOW, confirm_after=confirm_after).repeat_after == seconds


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param(None, State.HEALTHY, id="no-status"),
        pytest.param(Status(State.REJECTED, "invalid_client", NOW), State.REJECTED, id="as-it-tells"),
    ],
)
def test_a_connection_without_a_status_is_healthy(status: Status | None, state: State) -> None:
    assert Situation("alice", NOW, status=status).state == state
