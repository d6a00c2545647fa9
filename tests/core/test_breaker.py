"""The breaker: when many grants of one client die at once, it is the client's trouble until proven otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.state.breaker import Death, Weighed, is_suspicion, weigh
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import judge
from token_refresh.core.status import State, Status
from token_refresh.core.token_endpoint.outcome import GrantDead

NOW = 1_000_000.0
HOUR = 3600.0


def death(refused_ago: float | None = 900, state: State = State.SUSPECT, version: int = 5) -> Death:
    """A grant that was called dead now, and version 5 of it for the first time so long ago (None = now)."""
    status = None
    if refused_ago is not None:
        status = Status(state, "revoked_or_expired", NOW - refused_ago, version=5, refused_at=NOW - refused_ago)
    facts = AccessTokenFacts(NOW + 60, NOW - 3540, 5)
    situation = Situation("alice", NOW, status=status, facts=facts, margin=900, version=version)
    return Death(situation, judge(situation, GrantDead("revoked_or_expired")))


def others(count: int, refused_ago: float = 900) -> list[Status]:
    return [Status(State.SUSPECT, "x", NOW - refused_ago, version=5, refused_at=NOW - refused_ago)] * count


def weighed(deaths: list[Death], neighbours: list[Status], refreshed_ago: float = 9999) -> Weighed:
    return weigh(deaths, neighbours, refreshed_at=NOW - refreshed_ago, now=NOW, breaker_min=5, breaker_hold=HOUR)


LONG_DEAD = death(state=State.NEEDS_CONSENT)
GIVEN_UP = replace(others(1)[0], state=State.NEEDS_CONSENT)


@pytest.mark.parametrize(
    ("deaths", "neighbours", "refreshed_ago", "asked", "is_mass"),
    [
        pytest.param([death()], [], 9999, 1, False, id="one"),
        pytest.param([death()] * 4, [], 9999, 4, False, id="fewer-than-the-minimum"),
        pytest.param([death()] * 5, [], 9999, 0, True, id="enough"),
        pytest.param([death()] * 2, others(3), 9999, 0, True, id="together-with-those-not-tried-now"),
        pytest.param([death()] * 9, [], 899, 9, False, id="explained-by-a-refresh-since"),
        pytest.param([death()] * 9, [], 900, 0, True, id="not-by-one-at-the-same-moment"),
        pytest.param([death(900)] * 4 + [death(1000)] * 4, [], 950, 8, False, id="only-those-since-are-unexplained"),
        pytest.param([death(900)] * 5 + [death(1000)] * 4, [], 950, 4, True, id="and-only-they-are-held"),
        pytest.param([death(HOUR)] * 5, [], 99999, 5, True, id="nobody-is-held-for-longer-than-its-own-hour"),
        pytest.param([death(HOUR)] * 2 + [death()] * 5, [], 99999, 2, True, id="each-has-its-own-hour"),
        pytest.param([death(state=State.NEEDS_CONSENT)] * 9, [], 9999, 0, False, id="the-long-dead-do-not-count"),
        pytest.param([death(), *[LONG_DEAD] * 4], [], 9999, 1, False, id="nor-do-they-make-a-burst-of-one-more"),
        pytest.param([death()] * 4, [GIVEN_UP], 9999, 4, False, id="nor-does-one-that-was-not-tried-now"),
        pytest.param(
            [death(state=State.NEEDS_CONSENT, version=6)] * 5, [], 9999, 0, True, id="new-grants-of-the-long-dead-count"
        ),
        pytest.param([death(None)] * 5, [], 9999, 0, True, id="first-refusals-are-a-burst-at-once"),
        pytest.param([], others(9), 9999, 0, False, id="nobody-was-tried"),
    ],
)
def test_a_burst_asks_no_owner(
    deaths: list[Death], neighbours: list[Status], refreshed_ago: float, asked: int, *, is_mass: bool
) -> None:
    result = weighed(deaths, neighbours, refreshed_ago)
    assert sum(v.announce == "invalid_grant" for v in result.verdicts) == asked
    assert result.is_mass == is_mass
    assert len(result.verdicts) == len(deaths)


def test_what_is_held_back_stays_a_suspicion_with_its_first_refusal() -> None:
    (verdict, *_) = weighed([death()] * 5, []).verdicts
    assert verdict.status
    assert (verdict.status.state, verdict.status.refused_at) == ("suspect", NOW - 900)
    assert (verdict.outcome, verdict.reason, verdict.announce, verdict.is_death) == (
        "suspect",
        "revoked_or_expired",
        None,
        True,
    )
    assert verdict.message == "held back: many grants of this client died at once"


def test_a_first_refusal_is_a_suspicion_that_nobody_holds_back() -> None:
    deaths = [death(None)] * 5
    assert weighed(deaths, []).verdicts == tuple(d.verdict for d in deaths)


def test_a_suspicion_that_silence_hides_counts() -> None:
    (status,) = others(1)
    assert is_suspicion(status)
    assert is_suspicion(replace(status, state=State.UNAVAILABLE))
    assert not is_suspicion(replace(status, state=State.NEEDS_CONSENT))
    assert not is_suspicion(replace(status, refused_at=0))
    assert not is_suspicion(None)
