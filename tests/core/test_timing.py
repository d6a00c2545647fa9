"""When a connection is due: margins, their caps, and a jitter that is fixed per connection."""

from __future__ import annotations

import pytest

from tests.fakes.instance import build_provider
from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection, SecretRecord
from token_refresh.core.state.timing import margins, spread

HOUR_LONG = AccessTokenFacts(expires_at=3600, refreshed_at=0, connection_version=1)


def named(name: str, own: float | None = None) -> Connection:
    return Connection(name, SecretRecord(f"{name}-refresh-token", {}, {}, ""), refresh_before_expiry=own)


@pytest.mark.parametrize(
    ("own", "of_provider", "default", "life", "margin"),
    [
        pytest.param(None, None, 900, 3600, 900, id="default"),
        pytest.param(None, None, 900, 7200, 900, id="default-of-a-long-life"),
        pytest.param(None, None, 9000, 7200, 1800, id="default-at-most-a-quarter"),
        pytest.param(None, None, 900, 1800, 600, id="default-but-room-for-a-run"),
        pytest.param(None, None, 900, 600, 300, id="room-for-a-run-at-most-half"),
        pytest.param(None, None, 60, 3600, 600, id="a-small-default-leaves-room-for-a-run"),
        pytest.param(60, None, 900, 3600, 60, id="own-as-it-is"),
        pytest.param(None, 1200, 900, 3600, 1200, id="provider-over-default"),
        pytest.param(None, 3000, 900, 3600, 1800, id="provider-at-most-half"),
        pytest.param(600, 1200, 900, 3600, 600, id="own-over-provider"),
        pytest.param(9999, 1200, 900, 3600, 1800, id="own-at-most-half"),
        pytest.param(9999, None, 900, 0, 0, id="no-life-no-margin"),
    ],
)
def test_the_margin_is_the_nearest_wish_capped_by_the_token_s_life(
    own: float | None, of_provider: float | None, default: float, life: float, margin: float
) -> None:
    facts = AccessTokenFacts(expires_at=1000 + life, refreshed_at=1000, connection_version=1)
    provider = build_provider(refresh_before_expiry=of_provider)
    found = margins(named("alice", own), provider, default, facts)
    assert found.margin == margin
    jitter = facts.expires_at - margin - found.due_at
    assert jitter == pytest.approx(margin * 0.1 * spread("alice"))


def test_an_unknown_provider_leaves_the_default() -> None:
    assert margins(named("alice"), None, 900, HOUR_LONG).margin == 900


@pytest.mark.parametrize(
    ("life", "run_every", "cannot"),
    [
        pytest.param(3600, 300, False, id="an-hour"),
        pytest.param(300, 300, True, id="five-minutes-with-a-run-every-five"),
        pytest.param(300, 60, False, id="five-minutes-with-a-run-every-minute"),
        pytest.param(600, 300, True, id="half-the-life-is-not-above-the-period"),
    ],
)
def test_what_a_schedule_is_too_slow_for_is_said(life: float, run_every: float, *, cannot: bool) -> None:
    facts = AccessTokenFacts(expires_at=1000 + life, refreshed_at=1000, connection_version=1)
    assert margins(named("alice"), None, 900, facts, run_every).cannot_keep_fresh is cannot


def test_without_an_access_token_it_is_due_at_once() -> None:
    found = margins(named("alice", 1200), None, 900, None)
    assert (found.margin, found.due_at) == (1200, 0)


def test_the_jitter_lies_within_a_tenth_of_the_margin_and_spreads() -> None:
    dues = [margins(named(f"c{n}"), None, 900, HOUR_LONG).due_at for n in range(500)]
    assert all(3600 - 990 < due <= 3600 - 900 for due in dues)
    assert max(dues) - min(dues) > 80
    assert dues == [margins(named(f"c{n}"), None, 900, HOUR_LONG).due_at for n in range(500)]
