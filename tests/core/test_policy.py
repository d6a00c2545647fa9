"""What is to be done about a connection now: every state, clock and trigger has a named next step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.state.policy import decide, needs_newest
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.timing import BackOff
from token_refresh.core.status import STATES, State, Status
from token_refresh.core.units import DAY

NOW = 1_000_000.0
FACTS = AccessTokenFacts(expires_at=NOW + 3600, refreshed_at=NOW, connection_version=5)
HEALTHY = Situation("alice", NOW, facts=FACTS, due_at=NOW + 2700)
WAITING = NOW + 1


def in_state(state: State, **look: object) -> Situation:
    """A connection that entered `state` at version 5 long ago, whose next attempt is due in a second."""
    status = Status(
        state,
        "why",
        NOW - DAY,
        version=5,
        next_attempt_at=WAITING,
        tried_at=NOW - 600,
        refused_at=NOW - 600 if state == State.SUSPECT else 0,
        client_version=2,
    )
    return replace(HEALTHY, status=status, newest_version=5, newest_client_version=2, **look)  # type: ignore[arg-type]


def refused(look: Situation, seconds_ago: float) -> Situation:
    """The first refusal came so long ago, and nothing but a minute's safety keeps from asking again."""
    assert look.status
    return replace(look, status=replace(look.status, refused_at=look.now - seconds_ago, next_attempt_at=0))


def needing_exchange() -> Situation:
    look = in_state(State.MISCONFIGURED)
    assert look.status
    return replace(look, status=replace(look.status, needs_exchange=True))


def failed_early() -> Situation:
    look = in_state(State.UNAVAILABLE)
    assert look.status
    return replace(look, status=replace(look.status, version=0))


def first_consent() -> Situation:
    look = in_state(State.NEEDS_CONSENT)
    assert look.status
    return replace(look, status=replace(look.status, reason="never_consented", version=0), newest_version=1)


def because(reason: str) -> Situation:
    look = in_state(State.NEEDS_CONSENT, force=True, now=WAITING)
    assert look.status
    return replace(look, status=replace(look.status, reason=reason))


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
        pytest.param(
            replace(HEALTHY, status=Status(State.HEALTHY, "healthy", NOW, owed=("x",))), "fresh: not_due", id="owing"
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
            replace(HEALTHY, lowest_version=6, back_off=BackOff(1, NOW + 1, "x", 5)),
            "attempt: newer_version",
            id="newer-version-skips-it",
        ),
        pytest.param(
            replace(HEALTHY, lowest_version=6, back_off=BackOff(1, NOW + 1, "x", 6)),
            "unavailable: x",
            id="unless-that-one-failed",
        ),
        pytest.param(needing_exchange(), "misconfigured: why", id="only-an-exchange-can-tell-and-it-backs-off"),
        pytest.param(
            replace(needing_exchange(), now=WAITING), "attempt: retry", id="only-an-exchange-can-tell-at-its-turn"
        ),
        pytest.param(
            replace(needing_exchange(), newest_version=6),
            "attempt: recheck",
            id="only-an-exchange-can-tell-and-it-is-new",
        ),
        pytest.param(first_consent(), "attempt: newer_version", id="the-first-consent-of-all"),
        pytest.param(failed_early(), "unavailable: why", id="what-failed-before-its-version-was-known-backs-off"),
        pytest.param(in_state(State.SUSPECT), "suspect: why", id="suspect-before-its-turn"),
        pytest.param(in_state(State.SUSPECT, now=WAITING), "attempt: confirm", id="suspect-at-its-turn-due-or-not"),
        pytest.param(in_state(State.SUSPECT, force=True), "attempt: confirm", id="suspect-forced"),
        pytest.param(refused(in_state(State.SUSPECT, force=True), 59), "suspect: why", id="force-skips-no-safety"),
        pytest.param(refused(in_state(State.SUSPECT, force=True), 60), "attempt: confirm", id="force-after-a-minute"),
        pytest.param(refused(in_state(State.SUSPECT), 60), "attempt: confirm", id="suspect-after-a-minute-in-each-run"),
        pytest.param(
            refused(in_state(State.SUSPECT, confirm_after=5), 5), "attempt: confirm", id="sooner-where-confirm-after-is"
        ),
        pytest.param(
            because("revoked_by_operator"), "needs_consent: revoked_by_operator", id="revoked-is-never-probed"
        ),
        pytest.param(because("never_consented"), "needs_consent: never_consented", id="nor-what-never-was"),
        pytest.param(in_state(State.SUSPECT, lowest_version=6), "attempt: newer_version", id="suspect-newer-named"),
        pytest.param(
            replace(in_state(State.SUSPECT), newest_version=6), "attempt: newer_version", id="suspect-newer-seen"
        ),
        pytest.param(in_state(State.NEEDS_CONSENT), "needs_consent: why", id="dead"),
        pytest.param(in_state(State.NEEDS_CONSENT, now=WAITING), "attempt: probe", id="dead-probed-once-a-day"),
        pytest.param(in_state(State.NEEDS_CONSENT, force=True), "attempt: forced", id="dead-forced"),
        pytest.param(
            replace(in_state(State.NEEDS_CONSENT, force=True), newest_version=0),
            "needs_consent: why",
            id="never-consented",
        ),
        pytest.param(in_state(State.NEEDS_CONSENT, lowest_version=6), "attempt: newer_version", id="dead-newer-named"),
        pytest.param(
            replace(in_state(State.NEEDS_CONSENT), newest_version=6), "attempt: newer_version", id="dead-newer-seen"
        ),
        pytest.param(in_state(State.REJECTED), "rejected: why", id="rejected-before-its-turn"),
        pytest.param(in_state(State.REJECTED, now=WAITING), "attempt: retry", id="rejected-at-its-turn"),
        pytest.param(in_state(State.REJECTED, force=True), "attempt: forced", id="rejected-forced"),
        pytest.param(
            replace(in_state(State.REJECTED), newest_client_version=3),
            "attempt: newer_client",
            id="rejected-new-client",
        ),
        pytest.param(
            replace(in_state(State.REJECTED), newest_version=6), "attempt: newer_version", id="rejected-new-grant"
        ),
        pytest.param(in_state(State.UNAVAILABLE), "unavailable: why", id="unavailable-before-its-turn"),
        pytest.param(in_state(State.UNAVAILABLE, now=WAITING), "attempt: retry", id="unavailable-at-its-turn"),
        pytest.param(in_state(State.UNAVAILABLE, force=True), "attempt: forced", id="unavailable-forced"),
        pytest.param(
            in_state(State.UNAVAILABLE, lowest_version=6), "attempt: newer_version", id="unavailable-new-grant"
        ),
        pytest.param(in_state(State.MISCONFIGURED), "attempt: recheck", id="misconfigured-is-looked-at-in-each-run"),
        pytest.param(
            in_state(State.MISCONFIGURED, back_off=BackOff(1, WAITING, "http_503", 5)),
            "unavailable: http_503",
            id="mended-but-silent",
        ),
        pytest.param(
            in_state(State.MISCONFIGURED, force=True, back_off=BackOff(1, WAITING, "http_503", 5)),
            "attempt: recheck",
            id="mended-but-silent-forced",
        ),
        pytest.param(
            replace(in_state(State.NEEDS_CONSENT, back_off=BackOff(1, WAITING, "http_503", 6)), newest_version=6),
            "needs_consent: why",
            id="newer-but-silent",
        ),
        pytest.param(
            replace(in_state(State.NEEDS_CONSENT, back_off=BackOff(1, WAITING, "http_503", 6)), newest_version=7),
            "attempt: newer_version",
            id="newer-than-the-one-that-was-silent",
        ),
        pytest.param(
            replace(in_state(State.NEEDS_CONSENT, back_off=BackOff(1, NOW, "http_503", 6)), newest_version=6),
            "attempt: newer_version",
            id="newer-and-silent-for-long-enough",
        ),
    ],
)
def test_every_state_has_a_next_step(look: Situation, expected: str) -> None:
    decision = decide(look)
    assert f"{'attempt' if decision.attempt else decision.outcome}: {decision.reason}" == expected
    assert decision.outcome == "planned" or not decision.attempt


def test_only_the_healthy_are_not_looked_at_for_a_newer_version() -> None:
    assert not needs_newest(None)
    assert not needs_newest(Status(State.HEALTHY, "healthy", NOW))
    assert all(needs_newest(Status(state, "why", NOW)) for state in STATES)


@pytest.mark.parametrize(
    ("look", "mended"),
    [
        pytest.param(replace(in_state(State.NEEDS_CONSENT), newest_version=6), True, id="a new grant"),
        pytest.param(replace(in_state(State.REJECTED), newest_client_version=3), True, id="a new client"),
        pytest.param(in_state(State.NEEDS_CONSENT, now=NOW + DAY), False, id="a probe"),
        pytest.param(in_state(State.REJECTED, now=NOW + DAY), False, id="once more"),
        pytest.param(HEALTHY, False, id="nothing to do"),
    ],
)
def test_what_has_not_been_refused_yet_is_told_from_what_has(look: Situation, *, mended: bool) -> None:
    assert decide(look).is_mended is mended
