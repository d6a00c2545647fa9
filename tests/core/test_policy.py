"""What is to be done about a connection now: every state, clock and trigger has a named next step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.state.policy import BackOff, Look, decide, needs_newest
from token_refresh.core.status import STATES, Status
from token_refresh.core.units import DAY

NOW = 1_000_000.0
FACTS = AccessTokenFacts(expires_at=NOW + 3600, refreshed_at=NOW, connection_version=5)
HEALTHY = Look("alice", NOW, facts=FACTS, due_at=NOW + 2700)
WAITING = NOW + 1


def in_state(state: str, **look: object) -> Look:
    """A connection that entered `state` at version 5 long ago, whose next attempt is due in a second."""
    status = Status(state, "why", NOW - DAY, version=5, next_attempt_at=WAITING, tried_at=NOW - 600, client_version=2)
    return replace(HEALTHY, status=status, newest_version=5, client_version=2, **look)  # type: ignore[arg-type]


def tried(look: Look, seconds_ago: float) -> Look:
    assert look.status
    return replace(look, status=replace(look.status, tried_at=look.now - seconds_ago))


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        pytest.param(HEALTHY, "fresh: not_due", id="healthy-and-not-due"),
        pytest.param(replace(HEALTHY, due_at=NOW), "attempt: due", id="due"),
        pytest.param(replace(HEALTHY, facts=None), "attempt: no_access_token", id="no-access-token"),
        pytest.param(replace(HEALTHY, force=True), "attempt: forced", id="forced"),
        pytest.param(replace(HEALTHY, lowest_version=6), "attempt: newer_version", id="newer-version-named"),
        pytest.param(replace(HEALTHY, lowest_version=5), "fresh: not_due", id="same-version-named"),
        pytest.param(replace(HEALTHY, lowest_version=4), "fresh: not_due", id="older-version-named"),
        pytest.param(replace(HEALTHY, paused=True, force=True), "paused: paused", id="paused-outranks-force"),
        pytest.param(
            replace(HEALTHY, status=Status("healthy", "healthy", NOW, owed=("x",))), "fresh: not_due", id="owing"
        ),
        pytest.param(
            replace(HEALTHY, due_at=0, back_off=BackOff(1, NOW + 1, "http_503")),
            "unavailable: http_503",
            id="backing-off",
        ),
        pytest.param(
            replace(HEALTHY, due_at=0, back_off=BackOff(1, NOW, "http_503")), "attempt: due", id="back-off-over"
        ),
        pytest.param(
            replace(HEALTHY, force=True, back_off=BackOff(1, NOW + 1, "x")), "attempt: forced", id="force-skips-it"
        ),
        pytest.param(
            replace(HEALTHY, lowest_version=6, back_off=BackOff(1, NOW + 1, "x")),
            "attempt: newer_version",
            id="newer-version-skips-it",
        ),
        pytest.param(in_state("suspect"), "suspect: why", id="suspect-before-its-turn"),
        pytest.param(in_state("suspect", now=WAITING), "attempt: confirm", id="suspect-at-its-turn-due-or-not"),
        pytest.param(in_state("suspect", force=True), "attempt: confirm", id="suspect-forced"),
        pytest.param(tried(in_state("suspect", force=True), 59), "suspect: why", id="force-never-skips-confirm-after"),
        pytest.param(tried(in_state("suspect", force=True), 60), "attempt: confirm", id="force-after-confirm-after"),
        pytest.param(in_state("suspect", lowest_version=6), "attempt: newer_version", id="suspect-newer-named"),
        pytest.param(replace(in_state("suspect"), newest_version=6), "attempt: newer_version", id="suspect-newer-seen"),
        pytest.param(in_state("needs_consent"), "needs_consent: why", id="dead"),
        pytest.param(in_state("needs_consent", now=WAITING), "attempt: probe", id="dead-probed-once-a-day"),
        pytest.param(in_state("needs_consent", force=True), "attempt: forced", id="dead-forced"),
        pytest.param(
            replace(in_state("needs_consent", force=True), newest_version=0), "needs_consent: why", id="never-consented"
        ),
        pytest.param(in_state("needs_consent", lowest_version=6), "attempt: newer_version", id="dead-newer-named"),
        pytest.param(
            replace(in_state("needs_consent"), newest_version=6), "attempt: newer_version", id="dead-newer-seen"
        ),
        pytest.param(in_state("rejected"), "rejected: why", id="rejected-before-its-turn"),
        pytest.param(in_state("rejected", now=WAITING), "attempt: retry", id="rejected-at-its-turn"),
        pytest.param(in_state("rejected", force=True), "attempt: forced", id="rejected-forced"),
        pytest.param(
            replace(in_state("rejected"), client_version=3), "attempt: newer_client", id="rejected-new-client"
        ),
        pytest.param(
            replace(in_state("rejected"), newest_version=6), "attempt: newer_version", id="rejected-new-grant"
        ),
        pytest.param(in_state("unavailable"), "unavailable: why", id="unavailable-before-its-turn"),
        pytest.param(in_state("unavailable", now=WAITING), "attempt: retry", id="unavailable-at-its-turn"),
        pytest.param(in_state("unavailable", force=True), "attempt: forced", id="unavailable-forced"),
        pytest.param(in_state("unavailable", lowest_version=6), "attempt: newer_version", id="unavailable-new-grant"),
        pytest.param(in_state("misconfigured"), "attempt: recheck", id="misconfigured-is-looked-at-in-each-run"),
        pytest.param(
            in_state("misconfigured", back_off=BackOff(1, WAITING, "http_503", 5)),
            "unavailable: http_503",
            id="mended-but-silent",
        ),
        pytest.param(
            in_state("misconfigured", force=True, back_off=BackOff(1, WAITING, "http_503", 5)),
            "attempt: recheck",
            id="mended-but-silent-forced",
        ),
        pytest.param(
            replace(in_state("needs_consent", back_off=BackOff(1, WAITING, "http_503", 6)), newest_version=6),
            "needs_consent: why",
            id="newer-but-silent",
        ),
        pytest.param(
            replace(in_state("needs_consent", back_off=BackOff(1, WAITING, "http_503", 6)), newest_version=7),
            "attempt: newer_version",
            id="newer-than-the-one-that-was-silent",
        ),
        pytest.param(
            replace(in_state("needs_consent", back_off=BackOff(1, NOW, "http_503", 6)), newest_version=6),
            "attempt: newer_version",
            id="newer-and-silent-for-long-enough",
        ),
    ],
)
def test_every_state_has_a_next_step(look: Look, expected: str) -> None:
    decision = decide(look)
    assert f"{'attempt' if decision.attempt else decision.outcome}: {decision.reason}" == expected
    assert decision.outcome == "planned" or not decision.attempt


def test_only_the_healthy_are_not_looked_at_for_a_newer_version() -> None:
    assert not needs_newest(None)
    assert not needs_newest(Status("healthy", "healthy", NOW))
    assert all(needs_newest(Status(state, "why", NOW)) for state in STATES)
