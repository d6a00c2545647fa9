"""When to exchange: what is to be done about a connection now, and why (contract 5).

state           entered by                                left by
(absent)        a refresh
suspect         GrantDead once                            second attempt after CONFIRM_AFTER
needs_consent   GrantDead for the same version again      a newer version; one probe a day
rejected        ClientRejected                            back-off 1 min .. 1 h; a newer connection or client version
unavailable     silence, less than half the margin left   back-off 1 min .. 15 min with jitter, Retry-After
misconfigured   a fault on our side, nothing was sent     the fault is gone: looked for in each run, at no cost

What an answer changes: `token_refresh.core.state.verdict`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.status import HEALTHY, MISCONFIGURED, NEEDS_CONSENT, REJECTED, SUSPECT, UNAVAILABLE, Status


@dataclass(frozen=True, slots=True)
class BackOff:
    """A failure that no status tells of (yet); lives in memory."""

    attempts: int
    next_attempt_at: float
    reason: str
    version: int = 0  # of the connection secret that was tried


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


def needs_newest(status: Status | None) -> bool:
    """Tell whether a newer version of the connection secret is worth a look: it ends every wait."""
    return status is not None and status.state != HEALTHY


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


def _decide_misconfigured(look: Look, status: Status) -> Decision:  # noqa: ARG001 - one of a table
    if look.back_off and _backs_off(look, look.newest_version):  # mended, and the provider was silent
        return Decision(attempt=False, outcome=UNAVAILABLE, reason=look.back_off.reason)
    return _attempt("recheck")


def _decide_unavailable(look: Look, status: Status) -> Decision:
    if _has_newer(look, status):
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
    newest = max(look.newest_version, look.lowest_version)
    return newest > status.version and not _backs_off(look, newest)


def _backs_off(look: Look, version: int) -> bool:
    """Tell whether this version was tried already and its provider was silent."""
    b = look.back_off
    return b is not None and look.now < b.next_attempt_at and version <= b.version and not look.force
