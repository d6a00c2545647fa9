"""No usable answer: how it backs off, when it is told, and when it is no passing one."""

from __future__ import annotations

import pytest

from tests.worlds.situations import NOW, SILENT, case, status_after, was
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.timing import BackOff, of_silence
from token_refresh.core.state.verdict import judge, judge_busy, judge_waiting
from token_refresh.core.status import State
from token_refresh.core.token_endpoint.outcome import ErrorDetail, TokenOutcome, Unavailable, UnknownOutcome
from token_refresh.core.units import DAY


def test_silence_backs_off_with_a_jitter_up_to_a_quarter_of_an_hour() -> None:
    delays = [of_silence("alice", n, 0) for n in range(1, 2000)]
    assert 30 <= delays[0] < 60
    assert 450 <= min(delays[10:]) < max(delays) < 900
    assert len({of_silence(f"c{n}", 1, 0) for n in range(50)}) == 50


def test_retry_after_outranks_the_back_off_but_not_for_longer_than_a_day() -> None:
    assert of_silence("alice", 1, 300) == 300
    assert of_silence("alice", 1, 10**9) == DAY


def test_a_first_silence_is_kept_in_memory_and_counts_on() -> None:
    first = judge(case(), Unavailable("http_429", retry_after=120)).back_off
    assert first == BackOff(1, NOW + 120, "http_429", 5, NOW)
    second = judge(case(back_off=first), SILENT).back_off
    assert second is not None
    assert second.attempts == 2
    assert status_after(judge(case(back_off=second, seconds_left=10), SILENT)).attempts == 3


@pytest.mark.parametrize(
    ("a_case", "begins"),
    [
        pytest.param(case(), None, id="time-enough"),
        pytest.param(case(seconds_left=449), "refresh_failing", id="low"),
        pytest.param(case(State.HEALTHY, seconds_left=449), "refresh_failing", id="low-while-owing-an-event"),
        pytest.param(case(State.SUSPECT, seconds_left=449), None, id="in-another-state"),
    ],
)
def test_a_long_back_off_is_told_once_half_the_margin_is_gone(a_case: Situation, begins: str | None) -> None:
    verdict = judge_waiting(a_case, BackOff(3, NOW + 500, "http_429"))
    assert (verdict and verdict.announce) == begins
    if verdict:
        status = status_after(verdict)
        assert (status.state, status.attempts, status.next_attempt_at) == ("unavailable", 3, NOW + 500)


def test_a_suspicion_that_silence_keeps_from_being_confirmed_is_told_when_the_access_token_runs_out() -> None:
    verdict = judge(case(State.SUSPECT, seconds_left=1), SILENT)
    assert verdict.status
    assert (verdict.status.state, verdict.announce) == ("unavailable", "refresh_failing")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        pytest.param(SILENT, "rejected", id="the-same-answer-for-a-day"),
        pytest.param(Unavailable("http_502"), "unavailable", id="another-answer"),
        pytest.param(Unavailable("rate_limited"), "unavailable", id="patience-is-asked-for"),
        pytest.param(UnknownOutcome("reply_lost"), "unavailable", id="no-answer"),
    ],
)
def test_an_answer_that_is_the_same_for_a_day_is_not_a_passing_one(answer: TokenOutcome, state: str) -> None:
    ill = was(case(State.UNAVAILABLE, seconds_left=None), answer="http_503", answer_since=NOW - DAY)
    verdict = judge(ill, answer)
    assert status_after(verdict).state == state
    assert verdict.announce == ("client_rejected" if state == "rejected" else None)
    assert verdict.reason == ("invalid_request" if state == "rejected" else getattr(answer, "reason", ""))


def test_what_was_answered_before_a_state_was_written_counts_as_well() -> None:
    first = judge(case(), SILENT).back_off
    assert first
    low = judge(case(back_off=first, seconds_left=1, now=NOW + 600), SILENT)
    assert status_after(low).answer_since == NOW


@pytest.mark.parametrize(
    ("held_for", "seconds_left", "outcome"),
    [
        pytest.param(0, 1, "busy", id="just-now"),
        pytest.param(119, 1, "busy", id="not-longer-than-a-lease"),
        pytest.param(120, 1, "unavailable", id="longer-and-the-token-runs-out"),
        pytest.param(9999, 800, "busy", id="long-and-time-enough"),
    ],
)
def test_a_lease_that_stays_held_becomes_a_fault(held_for: float, seconds_left: float, outcome: str) -> None:
    waiting = BackOff(1, NOW, "lease_held", 5, NOW - held_for)
    verdict = judge_busy(case(back_off=waiting, seconds_left=seconds_left), 120)
    assert (verdict.outcome, verdict.reason) == (outcome, "lease_held")
    assert verdict.announce == ("refresh_failing" if outcome == "unavailable" else None)
    assert verdict.back_off
    assert verdict.back_off.began_at == NOW - held_for
    assert verdict.back_off.next_attempt_at == NOW, "a lease is looked at in every run"
    assert judge_busy(case(back_off=waiting, seconds_left=seconds_left), 120, is_unsaved=True).outcome == "busy"


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(None, id="nothing"),
        pytest.param(BackOff(1, NOW, "http_503", 5, NOW - 9999), id="silence-of-another"),
    ],
)
def test_a_lease_that_is_held_begins_to_count_when_it_is_met(before: BackOff | None) -> None:
    verdict = judge_busy(case(back_off=before, seconds_left=1), 120)
    assert (verdict.outcome, verdict.status, verdict.announce) == ("busy", None, None)
    assert verdict.back_off == BackOff(1, NOW, "lease_held", 5, NOW)


def test_a_back_off_that_becomes_a_state_takes_its_answer_along() -> None:
    waiting = BackOff(3, NOW + 60, "http_503", 5, NOW - 100, "http_503", NOW - 90)
    status = status_after(judge_waiting(case(seconds_left=1, back_off=waiting), waiting))
    assert (status.reason, status.attempts, status.next_attempt_at) == ("http_503", 3, NOW + 60)
    assert (status.answer, status.answer_since) == ("http_503", NOW - 90)


@pytest.mark.parametrize("state", [State.SUSPECT, State.NEEDS_CONSENT, State.MISCONFIGURED])
def test_an_answer_of_a_day_is_told_of_what_is_unavailable_only(state: State) -> None:
    ill = was(case(state), answer="http_503", answer_since=NOW - DAY)
    assert status_after(judge(ill, SILENT)).state == state


def test_what_has_been_answered_for_a_day_stays_known() -> None:
    ill = was(case(State.UNAVAILABLE, seconds_left=None), answer="http_503", answer_since=NOW - DAY)
    status = status_after(judge(ill, SILENT))
    assert (status.state, status.answer, status.answer_since) == ("rejected", "http_503", NOW - DAY)


def test_a_silent_probe_waits_for_the_next_one_and_a_new_grant_backs_off() -> None:
    dead = case(State.NEEDS_CONSENT)  # for ten minutes
    assert status_after(judge(dead, SILENT)).next_attempt_at == NOW + 300
    assert status_after(judge(dead, Unavailable("http_503", retry_after=9999))).next_attempt_at == NOW + 9999
    new = status_after(judge(was(dead, version=4), SILENT))
    assert new.next_attempt_at == NOW + of_silence("alice", 2, 0)


@pytest.mark.parametrize(
    ("before", "began_at"),
    [
        pytest.param(None, NOW, id="the-first"),
        pytest.param(BackOff(1, NOW, "http_503", 5, NOW - 50), NOW - 50, id="the-next"),
        pytest.param(BackOff(1, NOW, "http_503", 5), NOW, id="after-one-that-does-not-know"),
    ],
)
def test_silence_knows_when_it_began(before: BackOff | None, began_at: float) -> None:
    back_off = judge(case(back_off=before), SILENT).back_off
    assert back_off
    assert back_off.began_at == began_at


def test_silence_in_words_is_remembered_with_them() -> None:
    answer = Unavailable("http_503", ErrorDetail("server_error", error_subtype="later"))
    status = status_after(judge(case(seconds_left=None), answer))
    assert (status.error, status.error_subtype) == ("server_error", "later")


@pytest.mark.parametrize(
    "reason",
    [
        "http_408",
        "http_425",
        "http_429",
        "rate_limited",
        "not_sent",
        "reply_lost",
        "lease_too_short",
        "lease_held",
        "secret_manager",
        "internal_error",
        "rotated_token_not_saved",
    ],
)
def test_what_asks_for_patience_and_what_is_no_answer_may_last(reason: str) -> None:
    ill = was(case(State.UNAVAILABLE, seconds_left=None), answer=reason, answer_since=NOW - 9 * DAY)
    status = status_after(judge(ill, Unavailable(reason)))
    assert (status.state, status.answer) == ("unavailable", "")


def test_silence_in_other_words_is_the_same_silence() -> None:
    status = status_after(judge(was(case(State.UNAVAILABLE), answer="http_502", answer_since=NOW - 60), SILENT))
    assert (status.reason, status.answer, status.answer_since) == ("http_503", "http_503", NOW)
    assert (status.since, status.event_id) == (NOW - 600, "event")
