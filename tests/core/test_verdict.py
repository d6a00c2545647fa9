"""What an answer changes: states, back-off and the events that begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.worlds.situations import DEAD, NOW, REFUSED, SILENT, case, status_after, was
from token_refresh.core.secrecy import Secret
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.timing import doubling, next_probe
from token_refresh.core.state.verdict import judge, judge_misconfigured, judge_never_consented, judge_revoked
from token_refresh.core.status import STATES, State, Status
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


@pytest.mark.parametrize(
    ("a_case", "answer", "outcome", "state", "begins"),
    [
        pytest.param(case(), Refreshed(Secret("t"), 1), "refreshed", None, None, id="refreshed"),
        pytest.param(case(State.SUSPECT), Refreshed(Secret("t"), 1), "refreshed", None, None, id="recovered"),
        pytest.param(case(), DEAD, "suspect", "suspect", None, id="dead-once"),
        pytest.param(case(State.UNAVAILABLE), DEAD, "suspect", "suspect", None, id="back-and-dead-once"),
        pytest.param(case(State.SUSPECT), DEAD, "needs_consent", "needs_consent", "invalid_grant", id="dead-twice"),
        pytest.param(
            was(case(State.SUSPECT), refused_at=NOW - 899), DEAD, "suspect", "suspect", None, id="dead-twice-too-soon"
        ),
        pytest.param(
            was(case(State.UNAVAILABLE), refused_at=NOW - 900),
            DEAD,
            "needs_consent",
            "needs_consent",
            "invalid_grant",
            id="dead-twice-with-silence-in-between",
        ),
        pytest.param(
            was(case(State.SUSPECT), version=4), DEAD, "suspect", "suspect", None, id="another-version-dead-once"
        ),
        pytest.param(case(State.NEEDS_CONSENT), DEAD, "needs_consent", "needs_consent", None, id="still-dead"),
        pytest.param(
            was(case(State.NEEDS_CONSENT), version=4), DEAD, "suspect", "suspect", None, id="the-new-grant-dead-once"
        ),
        pytest.param(case(), REFUSED, "rejected", "rejected", "client_rejected", id="refused"),
        pytest.param(case(State.SUSPECT), REFUSED, "rejected", "rejected", "client_rejected", id="suspect-refused"),
        pytest.param(case(State.REJECTED), REFUSED, "rejected", "rejected", None, id="still-refused"),
        pytest.param(
            was(case(State.REJECTED), client="other"),
            REFUSED,
            "rejected",
            "rejected",
            "client_rejected",
            id="new-client",
        ),
        pytest.param(case(State.NEEDS_CONSENT), REFUSED, "rejected", "needs_consent", None, id="probe-refused"),
        pytest.param(
            was(case(State.NEEDS_CONSENT), version=4),
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
        pytest.param(case(State.UNAVAILABLE), SILENT, "unavailable", "unavailable", None, id="still-silent"),
        pytest.param(case(State.SUSPECT), SILENT, "unavailable", "suspect", None, id="silence-acquits-nobody"),
        pytest.param(
            case(State.SUSPECT, seconds_left=449),
            SILENT,
            "unavailable",
            "unavailable",
            "refresh_failing",
            id="suspect-silent-and-low",
        ),
        pytest.param(case(State.NEEDS_CONSENT), SILENT, "unavailable", "needs_consent", None, id="probe-unanswered"),
        pytest.param(case(State.REJECTED), SILENT, "unavailable", "rejected", None, id="refused-then-silent"),
        pytest.param(case(State.MISCONFIGURED), SILENT, "unavailable", "misconfigured", None, id="mended-but-silent"),
        pytest.param(
            case(State.MISCONFIGURED, seconds_left=5),
            SILENT,
            "unavailable",
            "unavailable",
            "refresh_failing",
            id="mended-but-silent-and-low",
        ),
        pytest.param(case(State.HEALTHY), SILENT, "unavailable", "healthy", None, id="silent-while-owing-an-event"),
    ],
)
def test_every_answer_in_every_state_has_a_next_state(
    a_case: Situation, answer: TokenOutcome, outcome: str, state: str | None, begins: str | None
) -> None:
    verdict = judge(a_case, answer)
    assert verdict.outcome == outcome
    assert (verdict.status.state if verdict.status else None) == state
    assert verdict.announce == begins
    assert verdict.is_death == isinstance(answer, GrantDead)
    if verdict.status and state != "healthy":
        assert verdict.status.next_attempt_at >= NOW
        assert verdict.status.tried_at == NOW


def test_a_new_state_keeps_what_the_unhealthy_time_has_gathered() -> None:
    status = status_after(judge(case(State.UNAVAILABLE), DEAD))
    assert status == Status(
        State.SUSPECT,
        "revoked_or_expired",
        NOW,
        version=5,
        attempts=1,
        next_attempt_at=NOW + 60,
        event_id="event",
        tried_at=NOW,
        first_failed_at=NOW - 900,
        refused_at=NOW,
        error="invalid_grant",
        owed=("owed",),
        client="oauth-client-google",
        client_version=2,
    )


def test_a_new_unhealthy_time_begins_now_even_if_an_old_one_is_still_to_be_told() -> None:
    assert status_after(judge(case(State.HEALTHY), DEAD)).first_failed_at == NOW


def test_a_lost_rotation_stays_the_reason_of_the_death() -> None:
    assert judge(was(case(State.SUSPECT), reason="lost_rotation"), DEAD).reason == "lost_rotation"


def test_a_probe_that_finds_a_dead_grant_dead_changes_nothing_but_the_next_probe() -> None:
    before = case(State.NEEDS_CONSENT)
    status = status_after(judge(before, DEAD))
    assert status == replace(before.status, attempts=2, next_attempt_at=NOW + 300, tried_at=NOW)  # type: ignore[type-var]


def test_a_refusal_in_other_words_is_the_same_incident() -> None:
    status = status_after(judge(case(State.REJECTED), ClientRejected("unauthorized_client", ErrorDetail("x"))))
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
        refused = was(case(State.REJECTED), attempts=attempts - 1)
        assert status_after(judge(refused, REFUSED)).next_attempt_at == NOW + minutes * 60


def test_nobody_has_consented_yet() -> None:
    verdict = judge_never_consented(case(seconds_left=None))
    assert (verdict.outcome, verdict.reason, verdict.announce) == ("needs_consent", "never_consented", "invalid_grant")
    status = status_after(verdict)
    assert (status.version, status.next_attempt_at) == (0, 0)
    again = judge_never_consented(replace(case(seconds_left=None), status=status))
    assert (again.status, again.announce) == (status, None)
    assert judge_never_consented(case(State.UNAVAILABLE)).announce == "invalid_grant"
    assert judge_never_consented(case(State.NEEDS_CONSENT)).announce == "invalid_grant"
    assert status_after(judge_never_consented(case(State.SUSPECT))).refused_at == 0, "nothing was refused"


def test_a_fault_of_ours_is_told_once_and_noted_when_it_changes() -> None:
    first = judge_misconfigured(case(), "create it")
    assert (first.outcome, first.announce, first.message) == ("misconfigured", "client_rejected", "create it")
    status = status_after(first)
    assert (status.message, status.next_attempt_at) == ("create it", NOW + 60)

    same = judge_misconfigured(replace(case(), status=status), "create it")
    assert (same.status, same.announce) == (status, None)

    other = judge_misconfigured(replace(case(), status=status), "name it")
    assert (status_after(other).message, status_after(other).attempts, other.announce) == ("name it", 2, None)

    later = judge_misconfigured(replace(case(), status=status, now=NOW + 60), "create it")
    assert status_after(later).next_attempt_at == NOW + 60 + 120
    assert {v.reason for v in (first, same, other, later)} == {"misconfigured"}
    assert [v.message for v in (same, other, later)] == ["create it", "name it", "create it"]
    silent = was(case(State.UNAVAILABLE), next_attempt_at=NOW + 600, message="create it")
    assert judge_misconfigured(silent, "create it").announce == "client_rejected", "another state told something else"


def test_a_probe_comes_after_a_quarter_of_an_hour_one_hour_four_and_then_daily() -> None:
    assert [next_probe(NOW, NOW + s) - NOW for s in (0, 900, 3600, 14_400, 90_000)] == [
        900,
        3600,
        14_400,
        14_400 + DAY,
        90_000 + DAY,
    ]


def test_an_operator_s_revocation_tells_nobody() -> None:
    ill = was(
        case(State.SUSPECT), client_event_id="client_rejected.c.client", incidents=("refresh_failing.x http_503",)
    )
    verdict = judge_revoked(ill)
    status = status_after(verdict)
    assert (verdict.outcome, verdict.announce) == ("revoked", None)
    assert (status.state, status.reason, status.owed, status.event_id) == (
        "needs_consent",
        "revoked_by_operator",
        (),
        "",
    )
    assert (status.client_event_id, status.incidents, status.refused_at) == ("", (), 0)


def test_what_only_an_exchange_can_tell_is_remembered_as_such() -> None:
    verdict = judge_misconfigured(case(), "grant it", needs_exchange=True)
    assert status_after(verdict).needs_exchange
    again = judge_misconfigured(replace(case(), status=status_after(verdict)), "grant it")
    assert not status_after(again).needs_exchange


def test_a_suspicion_is_of_the_client_that_was_refused_last() -> None:
    again = judge(replace(case(State.SUSPECT), client="another", confirm_after=3600), DEAD)
    assert (again.outcome, status_after(again).client) == ("suspect", "another")


@pytest.mark.parametrize(("state", "answer"), [(State.UNAVAILABLE, SILENT), (State.REJECTED, REFUSED)])
def test_the_refusal_of_one_version_confirms_nothing_of_the_next(state: State, answer: TokenOutcome) -> None:
    """A new grant met a silent provider first, and was then refused once."""
    before = case(state)
    assert before.status
    refused = replace(before, status=replace(before.status, version=4, refused_at=NOW - 3000))
    between = status_after(judge(refused, answer))
    assert (between.version, between.refused_at) == (5, 0)
    assert judge(replace(refused, status=between), DEAD).outcome == "suspect"


def test_a_suspicion_that_is_not_confirmed_yet_is_the_same_one_an_attempt_later() -> None:
    early = replace(case(State.SUSPECT), confirm_after=901)
    again = status_after(judge(early, DEAD))
    assert (again.since, again.refused_at, again.event_id) == (NOW - 600, NOW - 900, "event")
    assert (again.attempts, again.next_attempt_at, again.reason) == (2, NOW, "revoked_or_expired")
    assert status_after(judge(replace(early, client=""), DEAD)).client == "oauth-client-google"
    of_another = status_after(judge(was(early, version=4), DEAD))
    assert (of_another.since, of_another.refused_at, of_another.next_attempt_at) == (NOW, NOW, NOW + 60)


@pytest.mark.parametrize("state", [None, *STATES], ids=str)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(DEAD, id="dead"),
        pytest.param(REFUSED, id="refused"),
        pytest.param(Unavailable("http_503", ErrorDetail("server_error")), id="silent"),
    ],
)
def test_a_verdict_keeps_the_words_of_the_provider(
    state: State | None, answer: GrantDead | ClientRejected | Unavailable
) -> None:
    assert judge(case(state), answer).detail == answer.detail
