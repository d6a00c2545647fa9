"""What an answer of the provider changes for the connection (the states: this room's head).

A provider's silence never ends `needs_consent` or `rejected`, nor `suspect` while the access token lasts: it only moves
the next attempt. The breaker may still hold back a death (`token_refresh.core.state.breaker`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, assert_never

from token_refresh.core.incident.events import NEVER_CONSENTED, NOT_SAVED, REVOKED_BY_OPERATOR, EventType
from token_refresh.core.incident.incident import event_type_of, forget
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.timing import BackOff, doubling, next_probe, of_silence
from token_refresh.core.status import Outcome, State, Status
from token_refresh.core.token_endpoint.outcome import (
    NO_DETAIL,
    ClientRejected,
    ErrorDetail,
    GrantDead,
    Refreshed,
    TokenOutcome,
    Unavailable,
    UnknownOutcome,
)
from token_refresh.core.units import DAY

# What is wrong with a client concerns all its connections; every other rejection concerns one (contract 5).
CLIENT_FAULTS: Final = frozenset({"invalid_client", "unauthorized_client", "deleted_client", "disabled_client"})
# Answers that ask for patience (RFC 9110, RFC 8470, RFC 6585), and what is no answer: their repetition says nothing.
_PATIENCE: Final = ("http_408", "http_425", "http_429", "rate_limited")
_NO_ANSWER: Final = (
    "not_sent",
    "reply_lost",
    "lease_too_short",
    "lease_held",
    "secret_manager",
    "internal_error",
    NOT_SAVED,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an attempt's answer means for the connection. `status` None = healthy."""

    outcome: Outcome
    reason: str
    status: Status | None = None
    announce: EventType | None = None  # what this transition starts
    back_off: BackOff | None = None
    is_death: bool = False
    message: str = ""
    detail: ErrorDetail = NO_DETAIL

    @property
    def is_client_fault(self) -> bool:
        """Tell whether the answer blames the client, and with it all its connections."""
        return self.outcome == Outcome.REJECTED and self.reason in CLIENT_FAULTS

    @property
    def starts_client_fault(self) -> bool:
        """Tell whether the connection enters, or is in, a client's trouble."""
        return self.is_client_fault and self.status is not None and self.status.state == State.REJECTED


def judge(situation: Situation, outcome: TokenOutcome) -> Verdict:
    """Tell what an answer changes."""
    match outcome:
        case Refreshed():
            return Verdict(Outcome.REFRESHED, "refreshed")
        case GrantDead(reason, detail):
            return _judge_death(situation, reason, detail)
        case ClientRejected(reason, detail):
            return _judge_rejection(situation, reason, detail)
        case Unavailable(reason, detail, retry_after):
            return _judge_silence(situation, reason, detail, retry_after or 0)
        case UnknownOutcome(reason, detail):
            return _judge_silence(situation, reason, detail, 0)
        case _:
            assert_never(outcome)


def judge_never_consented(situation: Situation) -> Verdict:
    """Judge a connection secret without any version: an owner is needed, nothing has died."""
    previous = situation.status
    if previous and previous.state == State.NEEDS_CONSENT and previous.reason == NEVER_CONSENTED:
        return Verdict(Outcome.NEEDS_CONSENT, NEVER_CONSENTED, previous)
    status = replace(_enter(situation, State.NEEDS_CONSENT, NEVER_CONSENTED), version=0, refused_at=0)
    return Verdict(Outcome.NEEDS_CONSENT, NEVER_CONSENTED, status, announce=EventType.INVALID_GRANT)


def judge_revoked(situation: Situation) -> Verdict:
    """Judge a grant that an operator has revoked: no event, no reminder, no probe; only a newer version ends it."""
    status = _enter(situation, State.NEEDS_CONSENT, REVOKED_BY_OPERATOR)
    status = replace(status, event_id="", client_event_id="", incidents=(), owed=(), refused_at=0)
    return Verdict(Outcome.REVOKED, REVOKED_BY_OPERATOR, status)


def judge_misconfigured(situation: Situation, message: str, *, needs_exchange: bool = False) -> Verdict:
    """Judge a fault on our side; `message` names fault and fix.

    `needs_exchange`: it showed only after the provider had answered, so that looking for its end costs an exchange.
    """
    outcome, announce, previous = Outcome.MISCONFIGURED, None, situation.status
    if previous and previous.state == State.MISCONFIGURED:
        is_same = previous.message == message and previous.needs_exchange == needs_exchange
        if situation.now < previous.next_attempt_at and is_same:
            return Verdict(outcome, "misconfigured", previous, message=message)
        status = _of_version(situation, _again(situation, previous, doubling(previous.attempts + 1)))
    else:
        announce = EventType.CLIENT_REJECTED
        status = _enter(situation, State.MISCONFIGURED, "misconfigured", wait=doubling(1))
    status = replace(status, message=message, needs_exchange=needs_exchange)
    return Verdict(outcome, "misconfigured", status, announce=announce, message=message)


def judge_waiting(situation: Situation, back_off: BackOff) -> Verdict | None:
    """Judge a back-off in memory whose end is still to come: its state begins once half the margin is gone."""
    if situation.state != State.HEALTHY or not situation.is_low:
        return None
    status = _enter(situation, State.UNAVAILABLE, back_off.reason, wait=back_off.next_attempt_at - situation.now)
    status = replace(status, attempts=back_off.attempts, answer=back_off.answer, answer_since=back_off.answer_since)
    return Verdict(Outcome.UNAVAILABLE, back_off.reason, status, announce=EventType.REFRESH_FAILING)


def judge_busy(situation: Situation, lease_seconds: float, *, is_unsaved: bool = False) -> Verdict:
    """Judge a lease that is held: once it stays so and the token is about to run out, it is a fault (`lease_held`).

    `is_unsaved`: its holder cannot store what it has, and says so itself.
    """
    back_off = situation.back_off
    began_at = back_off.began_at if back_off and back_off.reason == "lease_held" else situation.now
    if is_unsaved or situation.now - began_at < lease_seconds or not situation.is_low:
        waiting = BackOff(1, situation.now, "lease_held", situation.version, began_at)
        return Verdict(Outcome.BUSY, "lease_held", situation.status, back_off=waiting)
    verdict = _judge_silence(situation, "lease_held", NO_DETAIL, 0)
    assert verdict.back_off  # noqa: S101 - silence always has one
    return replace(verdict, back_off=replace(verdict.back_off, began_at=began_at, next_attempt_at=situation.now))


def _judge_death(s: Situation, reason: str, detail: ErrorDetail) -> Verdict:
    previous = s.status if s.status and s.status.version == s.version else None
    if previous and previous.state == State.NEEDS_CONSENT:
        status = _again(s, previous, _until_probe(s, previous))
        return Verdict(Outcome.NEEDS_CONSENT, previous.reason, status, is_death=True, detail=detail)
    refused_at = previous.refused_at if previous and previous.refused_at else s.now
    # What an instance that was frozen stored late is the same grant, and its owner has been asked.
    was_lost = s.status is not None and (s.status.state, s.status.reason) == (State.NEEDS_CONSENT, "lost_rotation")
    is_told = was_lost and not _unheard(s.status) or previous is not None and previous.lost_before
    if was_lost or is_told or previous and previous.refused_at and previous.reason == "lost_rotation":
        reason = "lost_rotation"  # an answer that was lost: the first attempt knew, later ones cannot see it
    if previous and previous.refused_at and s.now >= refused_at + s.confirm_after:
        status = _enter(s, State.NEEDS_CONSENT, reason, wait=next_probe(s.now, s.now) - s.now, detail=detail)
        status = replace(status, refused_at=refused_at, lost_before=is_told)
        announce = None if is_told else EventType.INVALID_GRANT
        return Verdict(Outcome.NEEDS_CONSENT, reason, status, announce=announce, is_death=True, detail=detail)
    return suspect(s, reason, refused_at, detail, lost_before=is_told)


def _unheard(status: Status | None) -> tuple[str, ...]:
    """Return what is still owed and asks the owner for another grant."""
    owed = status.owed if status and status.state == State.NEEDS_CONSENT else ()
    return tuple(i for i in owed if event_type_of(i) in (EventType.INVALID_GRANT, EventType.CONSENT_OVERDUE))


def suspect(s: Situation, reason: str, refused_at: float, detail: ErrorDetail, *, lost_before: bool = False) -> Verdict:
    """Judge a death that is not confirmed, or that is held back: tried again soon, then in every run."""
    previous = s.status
    if previous and previous.state == State.SUSPECT and previous.refused_at == refused_at:
        again = _again(s, previous, 0)
        status = replace(again, reason=reason, version=s.version, client=s.client or previous.client)
    else:
        status = _enter(s, State.SUSPECT, reason, wait=s.repeat_after, detail=detail)
    status = replace(status, refused_at=refused_at, lost_before=lost_before)
    return Verdict(Outcome.SUSPECT, reason, status, is_death=True, detail=detail)


def _judge_rejection(s: Situation, reason: str, detail: ErrorDetail) -> Verdict:
    previous = s.status
    if previous and previous.state == State.NEEDS_CONSENT and previous.version == s.version:
        # A probe of a dead grant says nothing new about the grant.
        return Verdict(Outcome.REJECTED, reason, _again(s, previous, _until_probe(s, previous)), detail=detail)
    if previous and previous.state == State.REJECTED and previous.client == s.client:
        # Still the same incident, even if the provider now words it differently.
        status = replace(
            _of_version(s, _again(s, previous, doubling(previous.attempts + 1))),
            reason=reason,
            client_version=s.client_version,
            error=detail.error or "",
            error_subtype=detail.error_subtype or "",
        )
        return Verdict(Outcome.REJECTED, reason, status, detail=detail)
    status = _enter(s, State.REJECTED, reason, wait=doubling(1), detail=detail)
    return Verdict(Outcome.REJECTED, reason, status, announce=EventType.CLIENT_REJECTED, detail=detail)


def _judge_silence(s: Situation, reason: str, detail: ErrorDetail, retry_after: float) -> Verdict:
    """Judge a failure that may pass.

    low   state before                            what it becomes
    no    healthy                                 nothing is written: the back-off lives in memory
    no    any other                               the same, one attempt later
    yes   healthy, suspect, misconfigured         unavailable, and `refresh_failing` is told
    yes   unavailable, needs_consent, rejected    the same, one attempt later: they have been told
    """
    previous = s.status if s.state != State.HEALTHY else None
    answer, answer_since = _repeated_answer(s, reason, detail)
    if answer and s.now - answer_since >= DAY and previous and previous.state == State.UNAVAILABLE:
        verdict = _judge_rejection(s, "invalid_request", detail)
        assert verdict.status  # noqa: S101 - a rejection always has one
        return replace(verdict, status=replace(verdict.status, answer=answer, answer_since=answer_since))
    attempts = max(previous.attempts if previous else 0, s.back_off.attempts if s.back_off else 0) + 1
    delay = of_silence(s.name, attempts, retry_after)
    began_at = s.back_off.began_at if s.back_off else s.now
    back_off = BackOff(attempts, s.now + delay, reason, s.version, began_at or s.now, answer, answer_since)
    announce = None
    if previous is None and not s.is_low:
        status = s.status
    elif s.is_low and s.state in (State.HEALTHY, State.SUSPECT, State.MISCONFIGURED):
        status = replace(_enter(s, State.UNAVAILABLE, reason, wait=delay, detail=detail), attempts=attempts)
        # Where only a suspicion came between, it is still the same incident.
        is_told = event_type_of(status.event_id) == EventType.REFRESH_FAILING
        announce = None if is_told else EventType.REFRESH_FAILING
    else:
        assert previous  # noqa: S101 - every other state is one
        is_probe = previous.state == State.NEEDS_CONSENT and previous.version == s.version
        status = _again(s, previous, max(_until_probe(s, previous), retry_after) if is_probe else delay)
        if previous.state == State.UNAVAILABLE:
            status = replace(_of_version(s, status), reason=reason)
    if status and status.state == State.UNAVAILABLE:
        status = replace(status, answer=answer, answer_since=answer_since)
    return Verdict(Outcome.UNAVAILABLE, reason, status, announce=announce, back_off=back_off, detail=detail)


def _until_probe(s: Situation, dead: Status) -> float:
    """Return when a dead grant is asked for again, whatever a probe was answered; seconds from now."""
    return next_probe(dead.since, s.now) - s.now


def _repeated_answer(s: Situation, reason: str, detail: ErrorDetail) -> tuple[str, float]:
    """Return the answer (reason and error code), and since when it is the same; "" where there was none."""
    if reason in _PATIENCE or reason in _NO_ANSWER:
        return "", 0
    answer = f"{reason} {detail.error or ''}".strip()
    known = [m for m in (s.status, s.back_off) if m and m.answer == answer and m.answer_since]
    return answer, min((m.answer_since for m in known), default=s.now)


def _enter(s: Situation, state: State, reason: str, *, wait: float = 0, detail: ErrorDetail = NO_DETAIL) -> Status:
    """Enter a state. What the connection's unhealthy time has gathered (first failure, client incident) stays."""
    previous = s.status or Status(State.HEALTHY, "", since=0)
    if previous.version != s.version:
        # Nobody has heard of this incident, and its grant is replaced: the new one must not be asked for unjudged.
        previous = forget(previous, _unheard(previous))
    if previous.state == State.HEALTHY:  # of what is over only its news may be owed still
        previous = Status(State.HEALTHY, "", 0, owed=previous.owed, client=previous.client)
    is_same = previous.version == s.version
    return Status(
        state=state,
        reason=reason,
        since=s.now,
        version=s.version,
        attempts=1,
        next_attempt_at=s.now + wait if wait else 0,
        event_id=previous.event_id,
        incidents=previous.incidents,
        tried_at=s.now,
        first_failed_at=previous.first_failed_at or s.now,
        refused_at=previous.refused_at if is_same else 0,
        lost_before=is_same and previous.lost_before,
        error=detail.error or "",
        error_subtype=detail.error_subtype or "",
        owed=previous.owed,
        client=s.client or previous.client,
        client_version=s.client_version,
        client_event_id=previous.client_event_id,
    )


def _of_version(s: Situation, status: Status) -> Status:
    """Judge the version that was tried: what another one was refused for says nothing of it."""
    return replace(status, version=s.version, refused_at=status.refused_at if status.version == s.version else 0)


def _again(s: Situation, status: Status, delay: float) -> Status:
    """Stay in the state, one attempt later."""
    return replace(status, attempts=status.attempts + 1, next_attempt_at=s.now + delay, tried_at=s.now)
