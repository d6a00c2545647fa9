"""An owner who has not acted is reminded: after one day and three, then weekly for ninety days."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.worlds.statuses import DEAD, NOW, REFUSED
from token_refresh.core.incident.events import EventType, build_event_id
from token_refresh.core.incident.incident import announce, event_type_of, remind, reminder_due
from token_refresh.core.status import Status

HOUR = 3600.0


@pytest.mark.parametrize(
    ("status", "hours", "due"),
    [
        pytest.param(DEAD, 23.9, None, id="within-a-day"),
        pytest.param(DEAD, 24, 24, id="after-a-day"),
        pytest.param(replace(DEAD, reminded=24), 71, None, id="reminded-once"),
        pytest.param(replace(DEAD, reminded=24), 72, 72, id="after-three-days"),
        pytest.param(DEAD, 99, 72, id="the-first-was-missed"),
        pytest.param(replace(DEAD, reminded=72), 239, None, id="reminded-twice"),
        pytest.param(replace(DEAD, reminded=72), 240, 240, id="then-every-week"),
        pytest.param(replace(DEAD, reminded=2088), 9999, None, id="for-ninety-days"),
        pytest.param(replace(DEAD, reason="revoked_by_operator"), 99, None, id="nobody-waits-for-what-was-revoked"),
        pytest.param(REFUSED, 99, None, id="not-the-owner-s-matter"),
    ],
)
def test_an_owner_is_reminded_after_one_day_and_three(status: Status, hours: float, due: int | None) -> None:
    assert reminder_due(status, NOW + hours * HOUR) == due


def test_a_reminder_is_owed_and_belongs_to_its_incident() -> None:
    status = announce(DEAD, EventType.INVALID_GRANT, "alice")
    reminded = remind(status, "alice", 24)
    assert reminded.reminded == 24
    assert [event_type_of(i) for i in reminded.owed] == ["invalid_grant", "consent_overdue"]
    assert reminded.owed[-1] == build_event_id("consent_overdue", "alice", status.event_id, 24)
