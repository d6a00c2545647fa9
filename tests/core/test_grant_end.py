"""When a grant will end by itself, and the two moments at which its owner is told."""

from __future__ import annotations

import pytest

from tests.fakes.instance import build_provider
from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.secrecy import Secret
from token_refresh.core.state.grant_end import GrantEnd, crossed_warning, find_end
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.core.units import DAY

NOW = 1_800_000_000.0
OLD = Secret("old")
NEW = Secret("new")
PLAIN = build_provider()
LIMITED = build_provider(refresh_token_lifetime=90 * DAY)


@pytest.mark.parametrize(
    ("grant", "reply", "provider", "end"),
    [
        pytest.param(RefreshTokenGrant(OLD), {}, PLAIN, None, id="nothing-known"),
        pytest.param(
            RefreshTokenGrant(OLD, expires_at=NOW + DAY), {}, PLAIN, GrantEnd(NOW + DAY, None), id="the-payload"
        ),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY, expires_at=NOW + DAY),
            {},
            PLAIN,
            GrantEnd(NOW + DAY, 2 * DAY),
            id="the-payload-with-its-beginning",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, expires_at=NOW + DAY),
            {"refresh_token_expires_at": int(NOW) + 5},
            LIMITED,
            GrantEnd(NOW + 5, 90 * DAY),
            id="the-reply-knows-best",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY), {}, LIMITED, GrantEnd(NOW + 89 * DAY, 90 * DAY), id="provider"
        ),
        pytest.param(RefreshTokenGrant(OLD), {}, LIMITED, None, id="provider-without-a-beginning"),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY, expires_at=NOW + DAY),
            {"refresh_token": NEW},
            PLAIN,
            None,
            id="a-new-token-does-not-inherit-the-end",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY),
            {"refresh_token": NEW},
            LIMITED,
            GrantEnd(NOW + 90 * DAY, 90 * DAY),
            id="a-new-token-has-a-life-of-its-own",
        ),
    ],
)
def test_the_end_of_a_grant(grant: RefreshTokenGrant, reply: dict[str, object], provider: object, end: object) -> None:
    refreshed = Refreshed(Secret("t"), int(NOW) + 3600, **reply)  # type: ignore[arg-type]
    assert find_end(grant, refreshed, provider, NOW) == end  # type: ignore[arg-type]


AT = NOW + 100 * DAY


@pytest.mark.parametrize(
    ("life", "looked_at", "now", "days"),
    [
        pytest.param(None, AT - 8 * DAY, AT - 7.1 * DAY, None, id="early"),
        pytest.param(None, AT - 7.1 * DAY, AT - 7 * DAY, 7, id="seven-days-before"),
        pytest.param(None, AT - 7 * DAY, AT - 6.9 * DAY, None, id="told"),
        pytest.param(None, AT - 1.1 * DAY, AT - DAY, 1, id="one-day-before"),
        pytest.param(None, AT - DAY, AT - 0.5 * DAY, None, id="told-twice"),
        pytest.param(None, AT - 9 * DAY, AT - 0.5 * DAY, 1, id="both-missed"),
        pytest.param(None, None, AT - 3 * DAY, 7, id="first-look"),
        pytest.param(None, None, AT - 30 * DAY, None, id="first-look-early"),
        pytest.param(30 * DAY, AT - 6 * DAY, AT - 4 * DAY, None, id="a-tenth-of-a-shorter-life-not-yet"),
        pytest.param(30 * DAY, AT - 4 * DAY, AT - 3 * DAY, 7, id="a-tenth-of-a-shorter-life"),
        pytest.param(5 * DAY, AT - DAY, AT - 0.5 * DAY, 7, id="a-life-of-five-days-is-told-half-a-day-before"),
        pytest.param(5 * DAY, AT - 1.1 * DAY, AT - 0.9 * DAY, None, id="and-not-one-day-before"),
    ],
)
def test_an_owner_is_warned_at_two_moments(
    life: float | None, looked_at: float | None, now: float, days: object
) -> None:
    assert crossed_warning(GrantEnd(AT, life), looked_at, now) == days


def test_an_end_that_wobbles_by_a_second_is_told_once() -> None:
    looks = [AT - 7 * DAY + offset for offset in (-600, -300, 0, 5, 300)]
    wobble = (1, -1, 1, -1, 1)
    told = [
        crossed_warning(GrantEnd(AT + w, None), before, now)
        for w, before, now in zip(wobble[1:], looks, looks[1:], strict=False)
    ]
    assert told.count(7) == 1
