"""When to exchange: what is to be done about a connection now, and why (contract 5; the states: this room's head)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from token_refresh.core.incident.events import NEVER_CONSENTED, REVOKED_BY_OPERATOR
from token_refresh.core.state.situation import Situation
from token_refresh.core.status import Outcome, State, Status

NEWER_VERSION: Final = "newer_version"
NEWER_CLIENT: Final = "newer_client"
# Nothing can be found out by asking the provider again: only a newer version ends these.
_WITHOUT_PROBES: Final = (NEVER_CONSENTED, REVOKED_BY_OPERATOR)


@dataclass(frozen=True, slots=True)
class Decision:
    """Attempt an exchange, or report `outcome`; `reason` names why either way."""

    attempt: bool
    outcome: Outcome
    reason: str

    @property
    def is_mended(self) -> bool:
        """Tell whether there is a grant or a client that has not been refused yet."""
        return self.reason in (NEWER_VERSION, NEWER_CLIENT)


def needs_newest(status: Status | None) -> bool:
    """Tell whether a newer version of the connection secret is worth a look: it ends every wait."""
    return status is not None and status.state != State.HEALTHY


def decide(situation: Situation) -> Decision:
    """Decide what to do about one connection now, and why."""
    s, status = situation, situation.status
    if status is None or status.state == State.HEALTHY:
        return _decide_healthy(s)
    if status.state == State.MISCONFIGURED:
        return _decide_misconfigured(s, status)
    if _has_newer(s, status):
        return attempt(NEWER_VERSION)
    if status.state == State.SUSPECT:
        return _decide_suspect(s, status)
    if status.state == State.NEEDS_CONSENT:
        return _decide_needs_consent(s, status)
    if status.state == State.REJECTED and s.newest_client_version > status.client_version:
        return attempt(NEWER_CLIENT)
    return _decide_back_off(s, status)


def attempt(reason: str) -> Decision:
    """Decide to attempt an exchange."""
    return Decision(attempt=True, outcome=Outcome.PLANNED, reason=reason)


def wait(outcome: Outcome, reason: str) -> Decision:
    """Decide to leave a connection alone for now."""
    return Decision(attempt=False, outcome=outcome, reason=reason)


def _decide_healthy(s: Situation) -> Decision:
    if s.facts and s.lowest_version > s.facts.connection_version and not _backs_off(s, s.lowest_version):
        return attempt(NEWER_VERSION)
    if s.force:
        return attempt("forced")
    if s.back_off and s.now < s.back_off.next_attempt_at:
        return wait(Outcome.UNAVAILABLE, s.back_off.reason)
    if s.facts is None:
        return attempt("no_access_token")
    if s.now >= s.due_at:
        return attempt("due")
    return wait(Outcome.FRESH, "not_due")


def _decide_suspect(s: Situation, status: Status) -> Decision:
    # A safety and not a back-off: `force` waits for it too.
    is_safe = s.now >= status.refused_at + s.repeat_after
    if is_safe and (s.force or s.now >= status.next_attempt_at):
        return attempt("confirm")
    return wait(Outcome.SUSPECT, status.reason)


def _decide_needs_consent(s: Situation, status: Status) -> Decision:
    if status.reason not in _WITHOUT_PROBES and s.newest_version and (s.force or s.now >= status.next_attempt_at):
        return attempt("forced" if s.force else "probe")
    return wait(Outcome.NEEDS_CONSENT, status.reason)


def _decide_misconfigured(s: Situation, status: Status) -> Decision:
    if s.back_off and _backs_off(s, s.newest_version):  # mended, and the provider was silent
        return wait(Outcome.UNAVAILABLE, s.back_off.reason)
    if status.needs_exchange and not _has_newer(s, status):
        return _decide_back_off(s, status)
    return attempt("recheck")


def _decide_back_off(s: Situation, status: Status) -> Decision:
    if s.force:
        return attempt("forced")
    if s.now >= status.next_attempt_at:
        return attempt("retry")
    return wait(Outcome(status.state), status.reason)


def _has_newer(s: Situation, status: Status) -> bool:
    if not status.version and status.reason != NEVER_CONSENTED:
        return False  # it failed before its version was known: nothing can be said to be newer
    newest = max(s.newest_version, s.lowest_version)
    return newest > status.version and not _backs_off(s, newest)


def _backs_off(s: Situation, version: int) -> bool:
    """Tell whether this version was tried already and its provider was silent."""
    b = s.back_off
    return b is not None and s.now < b.next_attempt_at and version <= b.version and not s.force
