"""When to exchange, and what an answer changes: the states of a connection (contract 5).

    state           entered by                                left by
    (absent)        a refresh
    suspect         GrantDead once                            second attempt after CONFIRM_AFTER
    needs_consent   GrantDead for the same version again      a newer version; one probe a day
    rejected        ClientRejected                            back-off 1 min .. 1 h; a newer connection or client version
    unavailable     Unavailable/UnknownOutcome, half the      back-off 1 min .. 15 min with jitter, Retry-After
                    margin gone
    misconfigured   a fault on our side, nothing was sent     the fault is gone; back-off like rejected

A failure that is nobody's verdict never leaves `suspect`, `needs_consent` or `rejected`: it only moves the next attempt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.events import CLIENT_REJECTED, INVALID_GRANT, REFRESH_FAILING
from token_refresh.core.outcome import (
    ClientRejected,
    ErrorDetail,
    GrantDead,
    Refreshed,
    TokenOutcome,
    Unavailable,
    UnknownOutcome,
)
from token_refresh.core.provider import Provider
from token_refresh.core.status import HEALTHY, MISCONFIGURED, NEEDS_CONSENT, REJECTED, SUSPECT, UNAVAILABLE, Status

DAY: Final = 86_400.0
_OWN_MARGIN_CAP: Final = 0.5
_DEFAULT_MARGIN_CAP: Final = 0.25
_JITTER: Final = 0.1
_GOOGLE: Final = "https://accounts.google.com"
# "A publishing status of Testing issues a refresh token expiring in 7 days"; the death shows at the next refresh.
# https://developers.google.com/identity/protocols/oauth2#expiration
_TESTING_MODE_DAYS: Final = (6.9, 8.0)


@dataclass(frozen=True, slots=True)
class Margins:
    """How early to refresh, in seconds: the effective margin, and the moment (epoch seconds) from which it is due."""

    margin: float
    due_at: float


@dataclass(frozen=True, slots=True)
class BackOff:
    """A failure that is not worth a status yet; lives in memory."""

    attempts: int
    next_attempt_at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Look:
    """All that a decision may depend on, gathered before it is made."""

    name: str
    now: float
    status: Status | None = None
    facts: AccessTokenFacts | None = None
    due_at: float = 0
    paused: bool = False
    force: bool = False
    lowest_version: int = 0  # asked for by the trigger
    newest_version: int = 0  # of the connection secret, where the state makes it worth a look
    client_version: int = 0  # of the client registration, likewise
    back_off: BackOff | None = None
    confirm_after: float = 60


@dataclass(frozen=True, slots=True)
class Decision:
    """Attempt an exchange, or report `outcome`; `reason` names why either way."""

    attempt: bool
    outcome: str
    reason: str


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
    detail: ErrorDetail = ErrorDetail()


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


def margins(
    name: str, own: float | None, provider: Provider | None, default: float, facts: AccessTokenFacts | None
) -> Margins:
    """Compute when a connection is due: ``expires_at - margin - jitter``, the jitter fixed per connection.

    The connection's own margin and the provider's are capped at half of the token's life, the default at a quarter.
    """
    wanted = own or (provider.refresh_before_expiry if provider else None)
    life = facts.life if facts else 0.0
    cap = _OWN_MARGIN_CAP if wanted else _DEFAULT_MARGIN_CAP
    margin = min(wanted or default, life * cap) if facts else (wanted or default)
    due_at = facts.expires_at - margin * (1 + _JITTER * spread(name)) if facts else 0.0
    return Margins(margin, due_at)


def spread(*parts: object) -> float:
    """Return a number in [0, 1) that is fixed by `parts`: jitter without randomness."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def needs_newest(status: Status | None) -> bool:
    """Tell whether the state makes a newer version of the connection secret worth a look in each run."""
    return status is not None and status.state in (NEEDS_CONSENT, REJECTED, MISCONFIGURED)


def decide(look: Look) -> Decision:
    """Decide what to do about one connection now, and why."""
    if look.paused:
        return Decision(attempt=False, outcome="paused", reason="paused")
    state = look.status.state if look.status else HEALTHY
    if state == HEALTHY or look.status is None:
        return _decide_healthy(look)
    return _DECIDE[state](look, look.status)


def _decide_healthy(look: Look) -> Decision:
    if look.facts and look.lowest_version > look.facts.connection_version:
        return _attempt("newer_version")
    if look.force:
        return _attempt("forced")
    if look.back_off and look.now < look.back_off.next_attempt_at:
        return Decision(attempt=False, outcome=UNAVAILABLE, reason=look.back_off.reason)
    if look.facts is None:
        return _attempt("no_access_token")
    if look.now >= look.due_at:
        return _attempt("due")
    return Decision(attempt=False, outcome="fresh", reason="not_due")


def _decide_suspect(look: Look, status: Status) -> Decision:
    if _has_newer(look, status):
        return _attempt("newer_version")
    # CONFIRM_AFTER is a safety and not a back-off: `force` waits for it too.
    may_confirm = look.now >= status.tried_at + look.confirm_after
    if may_confirm and (look.force or look.now >= status.next_attempt_at):
        return _attempt("confirm")
    return Decision(attempt=False, outcome=SUSPECT, reason=status.reason)


def _decide_needs_consent(look: Look, status: Status) -> Decision:
    if _has_newer(look, status):
        return _attempt("newer_version")
    if look.newest_version and (look.force or look.now >= status.next_attempt_at):
        return _attempt("forced" if look.force else "probe")
    return Decision(attempt=False, outcome=NEEDS_CONSENT, reason=status.reason)


def _decide_rejected(look: Look, status: Status) -> Decision:
    if _has_newer(look, status):
        return _attempt("newer_version")
    if look.client_version > status.client_version:
        return _attempt("newer_client")
    return _decide_back_off(look, status)


def _decide_misconfigured(look: Look, status: Status) -> Decision:
    # Finding the fault costs nothing and bothers no provider: it is looked for in each run.
    return _attempt("forced" if look.force else "recheck") if status else _decide_healthy(look)


def _decide_unavailable(look: Look, status: Status) -> Decision:
    if look.lowest_version > status.version:
        return _attempt("newer_version")
    return _decide_back_off(look, status)


def _decide_back_off(look: Look, status: Status) -> Decision:
    if look.force:
        return _attempt("forced")
    if look.now >= status.next_attempt_at:
        return _attempt("retry")
    return Decision(attempt=False, outcome=status.state, reason=status.reason)


_DECIDE: Final[dict[str, Callable[[Look, Status], Decision]]] = {
    SUSPECT: _decide_suspect,
    NEEDS_CONSENT: _decide_needs_consent,
    REJECTED: _decide_rejected,
    MISCONFIGURED: _decide_misconfigured,
    UNAVAILABLE: _decide_unavailable,
}


def _attempt(reason: str) -> Decision:
    return Decision(attempt=True, outcome="planned", reason=reason)


def _has_newer(look: Look, status: Status) -> bool:
    return max(look.newest_version, look.lowest_version) > status.version


def judge(case: Case, outcome: TokenOutcome) -> Verdict:
    """Tell what an answer changes. The breaker may still hold back a death (`token_refresh.core.breaker`)."""
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


def doubling(attempt: int) -> float:
    """Return the back-off after so many attempts: 1 min doubling to 1 h, in seconds."""
    return min(60.0 * 2.0 ** min(attempt - 1, 10), 3600.0)


def back_off_delay(name: str, attempt: int, retry_after: float) -> float:
    """Return the back-off of a silent provider: 1 min doubling to 15 min, jittered; `Retry-After` outranks it."""
    longest = min(60.0 * 2.0 ** min(attempt - 1, 10), 900.0)
    return max(longest * (0.5 + 0.5 * spread(name, attempt)), min(retry_after, DAY))


def is_google(provider: Provider) -> bool:
    """Tell whether Google's rules of grant life apply."""
    return provider.name == "google" or provider.issuer == _GOOGLE


def explain_death(  # noqa: PLR0913 - the facts of a death
    reason: str,
    provider: Provider,
    *,
    maybe_spent: bool,
    issued_at: float | None,
    last_used_at: float | None,
    now: float,
) -> str:
    """Return the most precise reason for a dead grant. Times in epoch seconds."""
    if reason != "revoked_or_expired" and not (maybe_spent and reason == "refresh_token_reused"):
        return reason
    if maybe_spent:
        return "lost_rotation"
    if issued_at is not None and is_google(provider):
        days = (now - issued_at) / DAY
        if _TESTING_MODE_DAYS[0] <= days <= _TESTING_MODE_DAYS[1]:
            return "testing_mode_expiry"
    idle_since = max((t for t in (issued_at, last_used_at) if t is not None), default=None)
    idle_life = provider.refresh_token_idle_lifetime
    if idle_life and idle_since is not None and now - idle_since >= idle_life:
        return "idle_expiry"
    return reason


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
    if previous and previous.state == REJECTED and previous.reason == reason:
        status = _again(case, previous, doubling(previous.attempts + 1))
        status = replace(status, version=case.version, client_version=case.client_version)
        return Verdict(REJECTED, reason, status, detail=detail)
    status = _status(case, REJECTED, reason, next_attempt_at=case.now + doubling(1), detail=detail)
    return Verdict(REJECTED, reason, status, announce=CLIENT_REJECTED, detail=detail)


def _judge_silence(case: Case, reason: str, detail: ErrorDetail, retry_after: float) -> Verdict:
    previous = case.previous if case.previous and case.previous.state != HEALTHY else None
    attempts = max(previous.attempts if previous else 0, case.back_off.attempts if case.back_off else 0) + 1
    delay = back_off_delay(case.name, attempts, retry_after)
    if previous and previous.state not in (UNAVAILABLE, MISCONFIGURED):
        return Verdict(UNAVAILABLE, reason, _again(case, previous, delay), detail=detail)
    if previous and previous.state == UNAVAILABLE:
        status = replace(_again(case, previous, delay), reason=reason, version=case.version)
        return Verdict(UNAVAILABLE, reason, status, detail=detail)
    low = case.facts is None or case.facts.expires_at - case.now < case.margin / 2
    if not low and previous is None:
        back_off = BackOff(attempts, case.now + delay, reason)
        return Verdict(UNAVAILABLE, reason, case.previous, back_off=back_off, detail=detail)
    if not low and previous:  # what was misconfigured is mended, but nothing proves it yet
        return Verdict(UNAVAILABLE, reason, _again(case, previous, delay), detail=detail)
    status = _status(case, UNAVAILABLE, reason, next_attempt_at=case.now + delay, detail=detail)
    status = replace(status, attempts=attempts)
    return Verdict(UNAVAILABLE, reason, status, announce=REFRESH_FAILING, detail=detail)


def _status(
    case: Case,
    state: str,
    reason: str,
    *,
    next_attempt_at: float,
    detail: ErrorDetail = ErrorDetail(),
    message: str = "",
) -> Status:
    """Enter a state. What the connection's unhealthy time has gathered (first failure, client incident) stays."""
    previous = case.previous or Status(state="", reason="", since=0)
    return Status(
        state=state,
        reason=reason,
        since=case.now,
        version=case.version,
        attempts=1,
        next_attempt_at=next_attempt_at,
        event_id=previous.event_id,
        tried_at=case.now,
        first_failed_at=previous.first_failed_at or case.now,
        message=message,
        error=detail.error or "",
        error_subtype=detail.error_subtype or "",
        owed=previous.owed,
        client=case.client or previous.client,
        client_version=case.client_version,
        client_event_id=previous.client_event_id,
        hold_until=previous.hold_until if state == SUSPECT else 0,
    )


def _again(case: Case, status: Status, delay: float) -> Status:
    """Stay in the state, one attempt later."""
    return replace(status, attempts=status.attempts + 1, next_attempt_at=case.now + delay, tried_at=case.now)
