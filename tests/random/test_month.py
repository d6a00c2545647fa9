"""Days of a project by virtual time, with what days bring; `make bench` lives through thirty."""

from __future__ import annotations

import logging

import pytest

from tests.worlds.depth import IN_CI
from tests.worlds.month import Month

# Every third one's refresh token is replaced; six owners revoke.
CONNECTIONS = 60 if IN_CI else 20


@pytest.mark.parametrize("outage_minutes", [8, 45])
def test_three_days_with_outages_duplicates_restarts_and_owners(
    outage_minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("token_refresh"), "level", logging.CRITICAL)
    month = Month(connections=CONNECTIONS, days=3, rotating=True, outage=60.0 * outage_minutes, deaths_a_day=2)
    month.live()
    assert month.faults() == []
    assert month.dollars() < 0.16
    told = {e.type for e in month.publisher.events}
    assert told >= {"invalid_grant", "recovered"} | ({"refresh_failing"} if outage_minutes > 20 else set())
