"""A refusal after a rotation that was lost: what it is called, and that its owner is asked once (contract 5 and 7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.worlds.situations import DEAD, case, status_after, was
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import judge
from token_refresh.core.status import State
from token_refresh.core.token_endpoint.outcome import Unavailable

LOST, ANSWERED = "lost_rotation", "revoked_or_expired"


def asked_before(reason: str = LOST, *owed: str) -> Situation:
    """The owner of version 4 was asked, for this reason; now it is version 5's turn."""
    return was(case(State.NEEDS_CONSENT), version=4, reason=reason, owed=owed)


def suspected(reason: str = LOST, *, version: int = 5, lost_before: bool = False) -> Situation:
    """A version that was refused before, long enough ago for a second refusal to confirm it."""
    return was(case(State.SUSPECT), version=version, reason=reason, lost_before=lost_before)


@pytest.mark.parametrize(
    ("situation", "state", "reason", "announced", "lost_before"),
    [
        pytest.param(case(), "suspect", ANSWERED, None, False, id="nothing-was-lost"),
        pytest.param(asked_before(), "suspect", LOST, None, True, id="a-late-copy-of-what-its-owner-was-asked-for"),
        pytest.param(
            asked_before(LOST, "invalid_grant.x"), "suspect", LOST, None, False, id="of-what-its-owner-has-not-heard"
        ),
        pytest.param(asked_before(LOST, "consent_overdue.x"), "suspect", LOST, None, False, id="nor-been-reminded-of"),
        pytest.param(asked_before(LOST, "recovered.x"), "suspect", LOST, None, True, id="other-news-ask-for-nothing"),
        pytest.param(asked_before("refresh_token_reused"), "suspect", ANSWERED, None, False, id="asked-for-another"),
        pytest.param(suspected(), "needs_consent", LOST, "invalid_grant", False, id="the-first-attempt-knew"),
        pytest.param(suspected(lost_before=True), "needs_consent", LOST, None, True, id="its-owner-was-asked-before"),
        pytest.param(
            suspected("idle_expiry"), "needs_consent", ANSWERED, "invalid_grant", False, id="any-other-is-as-answered"
        ),
        pytest.param(
            suspected(version=4, lost_before=True), "suspect", ANSWERED, None, False, id="of-another-version-it-says-no"
        ),
        pytest.param(
            was(suspected(), refused_at=0), "suspect", ANSWERED, None, False, id="what-was-not-refused-was-not-lost"
        ),
    ],
)
def test_an_owner_is_asked_once_for_a_rotation_that_was_lost(
    situation: Situation, state: str, reason: str, announced: str | None, *, lost_before: bool
) -> None:
    verdict = judge(situation, DEAD)
    status = status_after(verdict)
    assert (status.state, verdict.reason, status.reason) == (state, reason, reason)
    assert (verdict.announce, status.lost_before) == (announced, lost_before)
    assert (verdict.is_death, verdict.detail) == (True, DEAD.detail)


def test_silence_in_between_does_not_make_its_owner_be_asked_once_more() -> None:
    low = replace(suspected(lost_before=True), facts=None)
    silent = status_after(judge(low, Unavailable("http_503")))
    assert (silent.state, silent.lost_before) == (State.UNAVAILABLE, True)
    confirmed = judge(replace(low, status=silent), DEAD)
    assert (confirmed.reason, confirmed.announce) == (LOST, None)


def test_a_death_keeps_its_first_refusal_and_what_the_provider_said() -> None:
    confirmed = status_after(judge(suspected(), DEAD))
    assert confirmed.refused_at == case().now - 900
    assert confirmed.error == "invalid_grant"
    early = replace(suspected(), confirm_after=901)
    assert status_after(judge(early, DEAD)).state == "suspect", "not confirmed before its time"
