"""What an answer changes: states, back-off and the events that begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.secrecy import Secret
from token_refresh.core.state.policy import BackOff
from token_refresh.core.state.verdict import (
    Case,
    Verdict,
    back_off_delay,
    doubling,
    judge,
    judge_misconfigured,
    judge_never_consented,
    judge_waiting,
)
from token_refresh.core.status import Status
from token_refresh.core.token_endpoint.outcome import (
    ClientRejected,
    ErrorDetail,
    GrantDead,
    Refreshed,
    TokenOutcome,
    Unavailable,
    UnknownOutcome,
)
from token_refresh.core.units import DAY

NOW = 1_000_000.0
DEAD = GrantDead("revoked_or_expired", ErrorDetail("invalid_grant"))
REFUSED = ClientRejected("invalid_client", ErrorDetail("invalid_client"))
SILENT = Unavailable("http_503")


def token_with(seconds_left: float) -> AccessTokenFacts:
    return AccessTokenFacts(expires_at=NOW + seconds_left, refreshed_at=NOW + seconds_left - 3600, connection_version=5)


def case(state: str = "", *, seconds_left: float | None = 800, **fields: object) -> Case:
    """The fifth version's turn; in a state if one is named, entered ten minutes ago."""
    client = "oauth-client-google"
    previous = (
        Status(
            state,
            "why",
            NOW - 600,
            version=5,
            attempts=1,
            tried_at=NOW - 600,
            first_failed_at=NOW - 900,
            client=client,
            event_id="event",
            owed=("owed",),
        )
        if state
        else None
    )
    facts = None if seconds_left is None else token_with(seconds_left)
    return replace(
        Case("alice", NOW, 5, previous=previous, facts=facts, margin=900, client=client, client_version=2),
        **fields,  # type: ignore[arg-type]
    )


def was(a_case: Case, **fields: object) -> Case:
    assert a_case.previous
    return replace(a_case, previous=replace(a_case.previous, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a_case", "answer", "outcome", "state", "begins"),
    [
        pytest.param(case(), Refreshed(Secret("t"), 1), "refreshed", None, None, id="refreshed"),
        pytest.param(case("suspect"), Refreshed(Secret("t"), 1), "refreshed", None, None, id="recovered"),
        pytest.param(case(), DEAD, "suspect", "suspect", None, id="dead-once"),
        pytest.param(case("unavailable"), DEAD, "suspect", "suspect", None, id="back-and-dead-once"),
        pytest.param(case("suspect"), DEAD, "needs_consent", "needs_consent", "invalid_grant", id="dead-twice"),
        pytest.param(
            was(case("suspect"), tried_at=NOW - 59), DEAD, "suspect", "suspect", None, id="dead-twice-too-soon"
        ),
        pytest.param(
            was(case("suspect", confirm_now=True), tried_at=NOW),
            DEAD,
            "needs_consent",
            "needs_consent",
            "invalid_grant",
            id="dead-twice-in-one-run",
        ),
        pytest.param(was(case("suspect"), version=4), DEAD, "suspect", "suspect", None, id="another-version-dead-once"),
        pytest.param(case("needs_consent"), DEAD, "needs_consent", "needs_consent", None, id="still-dead"),
        pytest.param(
            was(case("needs_consent"), version=4), DEAD, "suspect", "suspect", None, id="the-new-grant-dead-once"
        ),
        pytest.param(case(), REFUSED, "rejected", "rejected", "client_rejected", id="refused"),
        pytest.param(case("suspect"), REFUSED, "rejected", "rejected", "client_rejected", id="suspect-refused"),
        pytest.param(case("rejected"), REFUSED, "rejected", "rejected", None, id="still-refused"),
        pytest.param(
            was(case("rejected"), client="other"), REFUSED, "rejected", "rejected", "client_rejected", id="new-client"
        ),
        pytest.param(case("needs_consent"), REFUSED, "rejected", "needs_consent", None, id="probe-refused"),
        pytest.param(
            was(case("needs_consent"), version=4),
            REFUSED,
            "rejected",
            "rejected",
            "client_rejected",
            id="new-grant-refused",
        ),
        pytest.param(case(), SILENT, "unavailable", None, None, id="silent-and-time-enough"),
        pytest.param(case(seconds_left=450), SILENT, "unavailable", None, None, id="silent-at-half-the-margin"),
        pytest.param(
            case(seconds_left=449), SILENT, "unavailable", "unavailable", "refresh_failing", id="silent-and-low"
        ),
        pytest.param(
            case(seconds_left=None), SILENT, "unavailable", "unavailable", "refresh_failing", id="silent-without-token"
        ),
        pytest.param(
            case(seconds_left=0),
            UnknownOutcome("reply_lost"),
            "unavailable",
            "unavailable",
            "refresh_failing",
            id="unknown-outcome",
        ),
        pytest.param(case("unavailable"), SILENT, "unavailable", "unavailable", None, id="still-silent"),
        pytest.param(case("suspect"), SILENT, "unavailable", "suspect", None, id="silence-acquits-nobody"),
        pytest.param(
            case("suspect", seconds_left=449),
            SILENT,
            "unavailable",
            "unavailable",
            "refresh_failing",
            id="suspect-silent-and-low",
        ),
        pytest.param(
            was(case("suspect", seconds_left=449), hold_until=NOW + 1),
            SILENT,
            "unavailable",
            "suspect",
            None,
            id="held-silent-and-low",
        ),
        pytest.param(case("needs_consent"), SILENT, "unavailable", "needs_consent", None, id="probe-unanswered"),
        pytest.param(case("rejected"), SILENT, "unavailable", "rejected", None, id="refused-then-silent"),
        pytest.param(case("misconfigured"), SILENT, "unavailable", "misconfigured", None, id="mended-but-silent"),
        pytest.param(
            case("misconfigured", seconds_left=5),
            SILENT,
            "unavailable",
            "unavailable",
            "refresh_failing",
            id="mended-but-silent-and-low",
        ),
        pytest.param(case("healthy"), SILENT, "unavailable", "healthy", None, id="silent-while-owing-an-event"),
    ],
)
def test_every_answer_in_every_state_has_a_next_state(
    a_case: Case, answer: TokenOutcome, outcome: str, state: str | None, begins: str | None
) -> None:
    verdict = judge(a_case, answer)
    assert verdict.outcome == outcome
    assert (verdict.status.state if verdict.status else None) == state
    assert verdict.announce == begins
    assert verdict.is_death == isinstance(answer, GrantDead)
    if verdict.status and state != "healthy":
        assert verdict.status.next_attempt_at > NOW
        assert verdict.status.tried_at == NOW


def status_after(verdict: Verdict | None) -> Status:
    assert verdict is not None
    assert verdict.status is not None
    return verdict.status


def test_a_new_state_keeps_what_the_unhealthy_time_has_gathered() -> None:
    status = status_after(judge(case("unavailable"), DEAD))
    assert status == Status(
        "suspect",
        "revoked_or_expired",
        NOW,
        version=5,
        attempts=1,
        next_attempt_at=NOW + 60,
        event_id="event",
        tried_at=NOW,
        first_failed_at=NOW - 900,
        error="invalid_grant",
        owed=("owed",),
        client="oauth-client-google",
        client_version=2,
    )


def test_a_new_unhealthy_time_begins_now_even_if_an_old_one_is_still_to_be_told() -> None:
    assert status_after(judge(case("healthy"), DEAD)).first_failed_at == NOW


def test_a_lost_rotation_stays_the_reason_of_the_death() -> None:
    assert judge(was(case("suspect"), reason="lost_rotation"), DEAD).reason == "lost_rotation"


def test_a_probe_that_finds_a_dead_grant_dead_changes_nothing_but_the_next_probe() -> None:
    before = case("needs_consent")
    status = status_after(judge(before, DEAD))
    assert status == replace(before.previous, attempts=2, next_attempt_at=NOW + DAY, tried_at=NOW)  # type: ignore[type-var]


def test_a_refusal_in_other_words_is_the_same_incident() -> None:
    status = status_after(judge(case("rejected"), ClientRejected("unauthorized_client", ErrorDetail("x"))))
    assert (status.reason, status.error, status.event_id, status.attempts) == ("unauthorized_client", "x", "event", 2)


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [
        pytest.param(1, 1, id="first"),
        pytest.param(2, 2, id="second"),
        pytest.param(6, 32, id="sixth"),
        pytest.param(7, 60, id="seventh"),
        pytest.param(5000, 60, id="ever-after"),
    ],
)
def test_a_refusal_is_retried_after_one_minute_doubling_to_an_hour(attempts: int, minutes: int) -> None:
    assert doubling(attempts) == minutes * 60
    if attempts > 1:
        refused = was(case("rejected"), attempts=attempts - 1)
        assert status_after(judge(refused, REFUSED)).next_attempt_at == NOW + minutes * 60


def test_silence_backs_off_with_a_jitter_up_to_a_quarter_of_an_hour() -> None:
    delays = [back_off_delay("alice", n, 0) for n in range(1, 2000)]
    assert 30 <= delays[0] < 60
    assert 450 <= min(delays[10:]) < max(delays) < 900
    assert len({back_off_delay(f"c{n}", 1, 0) for n in range(50)}) == 50


def test_retry_after_outranks_the_back_off_but_not_for_longer_than_a_day() -> None:
    assert back_off_delay("alice", 1, 300) == 300
    assert back_off_delay("alice", 1, 10**9) == DAY


def test_a_first_silence_is_kept_in_memory_and_counts_on() -> None:
    first = judge(case(), Unavailable("http_429", retry_after=120)).back_off
    assert first == BackOff(1, NOW + 120, "http_429", 5)
    second = judge(case(back_off=first), SILENT).back_off
    assert second is not None
    assert second.attempts == 2
    assert status_after(judge(case(back_off=second, seconds_left=10), SILENT)).attempts == 3


@pytest.mark.parametrize(
    ("a_case", "begins"),
    [
        pytest.param(case(), None, id="time-enough"),
        pytest.param(case(seconds_left=449), "refresh_failing", id="low"),
        pytest.param(case("healthy", seconds_left=449), "refresh_failing", id="low-while-owing-an-event"),
        pytest.param(case("suspect", seconds_left=449), None, id="in-another-state"),
    ],
)
def test_a_long_back_off_is_told_once_half_the_margin_is_gone(a_case: Case, begins: str | None) -> None:
    verdict = judge_waiting(a_case, BackOff(3, NOW + 500, "http_429"))
    assert (verdict and verdict.announce) == begins
    if verdict:
        status = status_after(verdict)
        assert (status.state, status.attempts, status.next_attempt_at) == ("unavailable", 3, NOW + 500)


def test_nobody_has_consented_yet() -> None:
    verdict = judge_never_consented(case(seconds_left=None))
    assert (verdict.outcome, verdict.reason, verdict.announce) == ("needs_consent", "never_consented", "invalid_grant")
    status = status_after(verdict)
    assert (status.version, status.next_attempt_at) == (0, NOW + DAY)
    again = judge_never_consented(replace(case(seconds_left=None), previous=status))
    assert (again.status, again.announce) == (status, None)
    assert judge_never_consented(case("unavailable")).announce == "invalid_grant"
    assert judge_never_consented(case("needs_consent")).announce == "invalid_grant"


def test_a_fault_of_ours_is_told_once_and_noted_when_it_changes() -> None:
    first = judge_misconfigured(case(), "create it")
    assert (first.outcome, first.announce, first.message) == ("misconfigured", "client_rejected", "create it")
    status = status_after(first)
    assert (status.message, status.next_attempt_at) == ("create it", NOW + 60)

    same = judge_misconfigured(replace(case(), previous=status), "create it")
    assert (same.status, same.announce) == (status, None)

    other = judge_misconfigured(replace(case(), previous=status), "name it")
    assert (status_after(other).message, status_after(other).attempts, other.announce) == ("name it", 2, None)

    later = judge_misconfigured(replace(case(), previous=status, now=NOW + 60), "create it")
    assert status_after(later).next_attempt_at == NOW + 60 + 120


def test_a_suspicion_that_silence_keeps_from_being_confirmed_is_told_when_the_access_token_runs_out() -> None:
    verdict = judge(case("suspect", seconds_left=1), SILENT)
    assert verdict.status
    assert (verdict.status.state, verdict.announce) == ("unavailable", "refresh_failing")


def test_a_suspicion_that_is_held_stays_one_for_the_operator_knows() -> None:
    a_case = case("suspect", seconds_left=1)
    assert a_case.previous
    verdict = judge(replace(a_case, previous=replace(a_case.previous, hold_until=NOW + 1)), SILENT)
    assert verdict.status
    assert (verdict.status.state, verdict.announce) == ("suspect", None)
