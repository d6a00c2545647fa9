"""Which answers blame the client, and with it all its connections (contract 5, `rejected`)."""

from __future__ import annotations

import pytest

from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import Verdict, judge, judge_misconfigured
from token_refresh.core.status import Outcome, State, Status
from token_refresh.core.token_endpoint.outcome import ClientRejected, ErrorDetail, GrantDead, TokenOutcome, Unavailable

NOW = 1_000_000.0
HEALTHY = Situation("alice", NOW, version=5, client="oauth-client-google")
WAITING = Situation("alice", NOW, Status(State.NEEDS_CONSENT, "revoked_or_expired", NOW - 60, version=5), version=5)


def refused(reason: str) -> ClientRejected:
    return ClientRejected(reason, ErrorDetail(reason))


@pytest.mark.parametrize(
    ("situation", "outcome", "blames", "starts"),
    [
        pytest.param(HEALTHY, refused("invalid_client"), True, True, id="a-wrong-secret"),
        pytest.param(HEALTHY, refused("unauthorized_client"), True, True, id="a-client-that-may-not"),
        pytest.param(HEALTHY, refused("deleted_client"), True, True, id="a-deleted-client"),
        pytest.param(HEALTHY, refused("disabled_client"), True, True, id="a-disabled-client"),
        pytest.param(HEALTHY, refused("invalid_scope"), False, False, id="the-request-of-one-connection"),
        pytest.param(HEALTHY, refused("admin_policy_enforced"), False, False, id="an-administrator"),
        pytest.param(WAITING, refused("invalid_client"), True, False, id="a-probe-of-one-that-waits-for-its-owner"),
        pytest.param(HEALTHY, GrantDead("revoked_or_expired", ErrorDetail("invalid_grant")), False, False, id="dead"),
        pytest.param(HEALTHY, Unavailable("http_503"), False, False, id="silence"),
    ],
)
def test_what_is_wrong_with_a_client_concerns_all_its_connections(
    situation: Situation, outcome: TokenOutcome, *, blames: bool, starts: bool
) -> None:
    verdict = judge(situation, outcome)
    assert (verdict.is_client_fault, verdict.starts_client_fault) == (blames, starts)


@pytest.mark.parametrize(
    ("verdict", "blames"),
    [
        pytest.param(judge_misconfigured(HEALTHY, "invalid_client"), False, id="a-fault-of-ours"),
        pytest.param(Verdict(Outcome.UNAVAILABLE, "invalid_client"), False, id="an-outcome-of-another-kind"),
        pytest.param(Verdict(Outcome.REJECTED, "invalid_client"), True, id="one-that-changes-no-status"),
    ],
)
def test_who_keeps_its_status_enters_no_trouble_of_a_client(verdict: Verdict, *, blames: bool) -> None:
    assert (verdict.is_client_fault, verdict.starts_client_fault) == (blames, False)
