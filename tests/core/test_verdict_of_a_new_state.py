"""Who enters a state takes along what the unhealthy time has gathered, and nothing of a grant that was replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.worlds.situations import NOW, REFUSED, SILENT, case, status_after, was
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import judge
from token_refresh.core.status import State
from token_refresh.core.token_endpoint.outcome import TokenOutcome

OPEN = ("invalid_grant.x revoked_or_expired", "refresh_failing.a http_503")
CLIENTS = "client_rejected.c.client"
OWED = ("invalid_grant.x", "recovered.y")
ILL = was(
    case(State.SUSPECT, seconds_left=1), incidents=OPEN, client_event_id=CLIENTS, owed=OWED, event_id="invalid_grant.x"
)
REPLACED = was(ILL, state=State.NEEDS_CONSENT, version=4)
KEPT = ("invalid_grant.x", OPEN, CLIENTS, OWED)


@pytest.mark.parametrize(
    ("situation", "answer", "kept", "refused_at"),
    [
        pytest.param(ILL, SILENT, KEPT, NOW - 900, id="silence-hides-a-suspicion"),
        pytest.param(ILL, REFUSED, KEPT, NOW - 900, id="a-refusal-after-a-suspicion"),
        pytest.param(was(ILL, version=4), REFUSED, KEPT, 0, id="of-another-version-no-refusal-counts"),
        pytest.param(
            REPLACED, REFUSED, ("", OPEN[1:], CLIENTS, OWED[1:]), 0, id="nobody-has-heard-that-the-old-grant-is-dead"
        ),
        pytest.param(
            was(REPLACED, owed=()),
            REFUSED,
            ("invalid_grant.x", OPEN, CLIENTS, ()),
            0,
            id="of-which-its-owner-has-heard",
        ),
        pytest.param(was(ILL, state=State.HEALTHY), REFUSED, ("", (), "", OWED), 0, id="what-is-over-is-over"),
    ],
)
def test_a_new_state_keeps_the_incidents_that_are_open(
    situation: Situation, answer: TokenOutcome, kept: tuple[object, ...], refused_at: float
) -> None:
    status = status_after(judge(situation, answer))
    assert (status.event_id, status.incidents, status.client_event_id, status.owed) == kept
    assert (status.since, status.refused_at) == (NOW, refused_at)


@pytest.mark.parametrize(
    ("client", "noted"),
    [
        pytest.param("oauth-client-new", "oauth-client-new", id="its-own"),
        pytest.param("", "oauth-client-google", id="the-one-before-where-it-is-not-known"),
    ],
)
def test_a_new_state_names_the_client_that_was_tried(client: str, noted: str) -> None:
    assert status_after(judge(replace(ILL, client=client), REFUSED)).client == noted
