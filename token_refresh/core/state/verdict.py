"""What an answer of the provider changes for the connection (the states: `token_refresh.core.state.policy`).

A provider's silence never ends `needs_consent` or `rejected`, nor `suspect` while the access token lasts: it only moves
the next attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, assert_never

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.incident.events import CLIENT_REJECTED, INVALID_GRANT, REFRESH_FAILING
from token_refresh.core.state.due import spread
from token_refresh.core.state.policy import BackOff
from token_refresh.core.status import HEALTHY, MISCONFIGURED, NEEDS_CONSENT, REJECTED, SUSPECT, UNAVAILABLE, Status
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

_NO_DETAIL: Final = ErrorDetail()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an attempt's answer means for the connection. `status` None = healthy."""

    outcome: str
    reason: str
    status: Status | None = None
    announce: str | None = None  # the event type that this transition starts
    back_off: BackOff | None = None
    is_death: bool = False
    message: str = ""
    detail: ErrorDetail = _NO_DETAIL


@dataclass(frozen=True, slots=True)
class Case:
    """One answer and what it must be judged by."""

    name: str
    now: float
    version: int
    previous: Status | None = None
    facts: AccessTokenFacts | None = None
    margin: float = 0
    client: str = ""
    client_version: int = 0
    confirm_after: float = 60
    confirm_now: bool = False  # the second attempt of the same run
    back_off: BackOff | None = None


def judge(case: Case, outcome: TokenOutcome) -> Verdict:
    """Tell what an answer changes. The breaker may still hold back a death (`token_refresh.core.state.breaker`)."""
    match outcome:
        case Refreshed():
            return Verdict("refreshed", "refreshed")
        case GrantDead(reason, detail):
            return _judge_death(case, reason, detail)
        case ClientRejected(reason, detail):
            return _judge_rejection(case, reason, detail)
        case Unavailable(reason, detail, retry_after):
            return _judge_silence(case, reason, detail, retry_after or 0)
        case UnknownOutcome(reason, detail):
            return _judge_silence(case, reason, detail, 0)
        case _:
            assert_never(outcome)


def judge_never_consented(case: Case) -> Verdict:
    """Judge a connection secret without any version: an owner is needed, nothing has died."""
    previous = case.previous
    if previous and previous.state == NEEDS_CONSENT and previous.reason == "never_consented":
        return Verdict(NEEDS_CONSENT, "never_consented", previous)
    status = _status(case, NEEDS_CONSENT, "never_consented", next_attempt_at=case.now + DAY)
    return Verdict(NEEDS_CONSENT, "never_consented", replace(status, version=0), announce=INVALID_GRANT)


def judge_misconfigured(case: Case, message: str) -> Verdict:
    """Judge a fault that was found before anything was sent; `message` names fault and fix."""
    previous = case.previous
    if previous and previous.state == MISCONFIGURED:
        if case.now < previous.next_attempt_at and previous.message == message:
            return Verdict(MISCONFIGURED, "misconfigured", previous, message=message)
        status = _again(case, previous, doubling(previous.attempts + 1))
        return Verdict(MISCONFIGURED, "misconfigured", replace(status, message=message), message=message)
    status = _status(case, MISCONFIGURED, "misconfigured", next_attempt_at=case.now + doubling(1), message=message)
    return Verdict(MISCONFIGURED, "misconfigured", status, announce=CLIENT_REJECTED, message=message)


def judge_waiting(case: Case, back_off: BackOff) -> Verdict | None:
    """Judge a back-off in memory whose end is still to come: its state begins once half the margin is gone."""
    if (case.previous and case.previous.state != HEALTHY) or not _is_low(case):
        return None
    status = _status(case, UNAVAILABLE, back_off.reason, next_attempt_at=back_off.next_attempt_at)
    status = replace(status, attempts=back_off.attempts)
    return Verdict(UNAVAILABLE, back_off.reason, status, announce=REFRESH_FAILING)


def doubling(attempt: int) -> float:
    """Return the back-off after so many attempts: 1 min doubling to 1 h, in seconds."""
    return min(60.0 * 2.0 ** min(attempt - 1, 10), 3600.0)


def back_off_delay(name: str, attempt: int, retry_after: float) -> float:
    """Return the back-off of a silent provider: 1 min doubling to 15 min, jittered; `Retry-After` outranks it."""
    longest = min(60.0 * 2.0 ** min(attempt - 1, 10), 900.0)
    return max(longest * (0.5 + 0.5 * spread(name, attempt)), min(retry_after, DAY))


def _judge_death(case: Case, reason: str, detail: ErrorDetail) -> Verdict:
    previous = case.previous
    judged_before = previous is not None and previous.version == case.version
    if previous and judged_before and previous.state == NEEDS_CONSENT:
        status = _again(case, previous, DAY)
        return Verdict(NEEDS_CONSENT, previous.reason, status, is_death=True, detail=detail)
    if previous and judged_before and previous.state == SUSPECT:
        # What the first attempt knew (an answer that was lost) the second can no longer see.
        reason = previous.reason if previous.reason == "lost_rotation" else reason
        if case.confirm_now or case.now >= previous.tried_at + case.confirm_after:
            status = _status(case, NEEDS_CONSENT, reason, next_attempt_at=case.now + DAY, detail=detail)
            return Verdict(NEEDS_CONSENT, reason, status, announce=INVALID_GRANT, is_death=True, detail=detail)
    next_attempt_at = case.now + case.confirm_after
    status = _status(case, SUSPECT, reason, next_attempt_at=next_attempt_at, detail=detail)
    return Verdict(SUSPECT, reason, status, is_death=True, detail=detail)


def _judge_rejection(case: Case, reason: str, detail: ErrorDetail) -> Verdict:
    previous = case.previous
    if previous and previous.state == NEEDS_CONSENT and previous.version == case.version:
        # A probe of a dead grant says nothing new about the grant.
        return Verdict(REJECTED, reason, _again(case, previous, doubling(7)), detail=detail)
    if previous and previous.state == REJECTED and previous.client == case.client:
        # Still the same incident, even if the provider now words it differently.
        status = replace(
            _again(case, previous, doubling(previous.attempts + 1)),
            reason=reason,
            version=case.version,
            client_version=case.client_version,
            error=detail.error or "",
            error_subtype=detail.error_subtype or "",
        )
        return Verdict(REJECTED, reason, status, detail=detail)
    status = _status(case, REJECTED, reason, next_attempt_at=case.now + doubling(1), detail=detail)
    return Verdict(REJECTED, reason, status, announce=CLIENT_REJECTED, detail=detail)


def _judge_silence(case: Case, reason: str, detail: ErrorDetail, retry_after: float) -> Verdict:
    previous = case.previous if case.previous and case.previous.state != HEALTHY else None
    attempts = max(previous.attempts if previous else 0, case.back_off.attempts if case.back_off else 0) + 1
    delay = back_off_delay(case.name, attempts, retry_after)
    # Nobody has been told of a suspicion, unless it is held: when the access token runs out meanwhile, it is time.
    is_untold = previous is not None and previous.state == SUSPECT and not previous.hold_until > case.now
    back_off = BackOff(attempts, case.now + delay, reason, case.version)
    if previous and previous.state not in (UNAVAILABLE, MISCONFIGURED) and not (is_untold and _is_low(case)):
        return Verdict(UNAVAILABLE, reason, _again(case, previous, delay), back_off=back_off, detail=detail)
    if previous and previous.state == UNAVAILABLE:
        status = replace(_again(case, previous, delay), reason=reason, version=case.version)
        return Verdict(UNAVAILABLE, reason, status, detail=detail)
    if not _is_low(case) and previous is None:
        return Verdict(UNAVAILABLE, reason, case.previous, back_off=back_off, detail=detail)
    if not _is_low(case) and previous:  # what was misconfigured is mended, but nothing proves it yet
        return Verdict(UNAVAILABLE, reason, _again(case, previous, delay), back_off=back_off, detail=detail)
    status = _status(case, UNAVAILABLE, reason, next_attempt_at=case.now + delay, detail=detail)
    status = replace(status, attempts=attempts)
    return Verdict(UNAVAILABLE, reason, status, announce=REFRESH_FAILING, detail=detail)


def _is_low(case: Case) -> bool:
    """Tell whether less than half the margin is left, or nothing at all."""
    return case.facts is None or case.facts.expires_at - case.now < case.margin / 2


def _status(  # noqa: PLR0913 - what is new in a state
    case: Case,
    state: str,
    reason: str,
    *,
    next_attempt_at: float,
    detail: ErrorDetail = _NO_DETAIL,
    message: str = "",
) -> Status:
    """Enter a state. What the connection's unhealthy time has gathered (first failure, client incident) stays."""
    previous = case.previous or Status(HEALTHY, "", since=0)
    began = previous.first_failed_at if previous.state != HEALTHY else 0
    return Status(
        state=state,
        reason=reason,
        since=case.now,
        version=case.version,
        attempts=1,
        next_attempt_at=next_attempt_at,
        event_id=previous.event_id,
        tried_at=case.now,
        first_failed_at=began or case.now,
        message=message,
        error=detail.error or "",
        error_subtype=detail.error_subtype or "",
        owed=previous.owed,
        client=case.client or previous.client,
        client_version=case.client_version,
        client_event_id=previous.client_event_id,
        hold_until=0 if state == NEEDS_CONSENT else previous.hold_until,
    )


def _again(case: Case, status: Status, delay: float) -> Status:
    """Stay in the state, one attempt later."""
    return replace(status, attempts=status.attempts + 1, next_attempt_at=case.now + delay, tried_at=case.now)
