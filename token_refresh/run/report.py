"""What a run says of itself: its answer, and its log lines."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from token_refresh.core.status import STATES, Outcome, State, Status
from token_refresh.run.visit import Visit

log = logging.getLogger("token_refresh")

_LEVELS = {
    Outcome.SUSPECT: logging.WARNING,
    Outcome.UNAVAILABLE: logging.WARNING,
    Outcome.DEFERRED: logging.INFO,
    Outcome.NEEDS_CONSENT: logging.ERROR,
    Outcome.REJECTED: logging.ERROR,
    Outcome.MISCONFIGURED: logging.ERROR,
}
_QUIET = (Outcome.FRESH, Outcome.PAUSED)


@dataclass(slots=True)
class Report:
    """What a run did. `status_of` and `cannot_keep_fresh` tell what is remembered of a visit's connection."""

    run_id: str
    is_whole: bool  # over all connections
    visits: Sequence[Visit]
    status_of: Callable[[Visit], Status | None]
    cannot_keep_fresh: Callable[[Visit], bool]
    promised: Callable[[Visit, float], bool]
    is_carried_out: bool = True  # neither a dry run, nor failed for all at Secret Manager: a sign of life
    named: Sequence[str] = ()  # connections whose new version the run was asked to use
    destroyed: int | None = None

    @property
    def is_unfinished(self) -> bool:
        """Tell whether a version that was named is still to be acted on: whoever named it must name it again."""
        undone = (Outcome.BUSY, Outcome.DEFERRED)
        return any(v.outcome in undone for v in self.visits if v.connection.name in self.named)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many connections came to which outcome."""
        return dict(Counter(str(v.outcome) for v in self.visits))

    def document(self) -> dict[str, object]:
        """Return the answer of `refresh_http` (contract 4)."""
        document: dict[str, object] = {
            "run_id": self.run_id,
            "counts": self.counts,
            "connections": [self._row(v) for v in self.visits],
        }
        if self.destroyed is not None:
            document["destroyed"] = self.destroyed
        return document

    def log(self, began: float, now: float) -> None:
        """Write a line for each connection that something happened to, and one for the run."""
        for visit in self.visits:
            self._log_visit(visit, now)
        counts = self.counts
        fields: dict[str, object] = {
            "event": "run",
            "run_id": self.run_id,
            "is_whole": self.is_whole,
            "is_carried_out": self.is_carried_out,
            "counts": counts,
            "deferred": counts.get(Outcome.DEFERRED, 0),
            "duration_seconds": round(now - began, 3),
        }
        if self.is_whole:
            fields |= self._standing(now)
        log.info("run %s: %s", self.run_id, counts, extra={"json_fields": fields})

    def _row(self, visit: Visit) -> dict[str, object]:
        status = self.status_of(visit)
        row: dict[str, object] = {
            "name": visit.connection.name,
            "outcome": str(visit.outcome),
            "reason": visit.reason,
            "access_token_expires_at": int(visit.facts.expires_at) if visit.facts else None,
            "version": visit.attempt.written if visit.attempt else None,
        }
        if visit.message:
            row["message"] = visit.message
        if status and status.next_attempt_at and visit.outcome != Outcome.REFRESHED:
            row["next_attempt_at"] = int(status.next_attempt_at)
        if self.cannot_keep_fresh(visit):
            row["cannot_keep_fresh"] = True
        return row

    def _log_visit(self, visit: Visit, now: float) -> None:
        level = logging.DEBUG if visit.outcome in _QUIET else logging.INFO
        if visit.attempt:
            level = _LEVELS.get(visit.outcome, logging.INFO)
        if not log.isEnabledFor(level):
            return
        fields: dict[str, object] = {
            "event": "connection",
            "run_id": self.run_id,
            "connection": visit.connection.name,
            "provider": visit.connection.provider,
            "outcome": str(visit.outcome),
            "reason": visit.reason,
        }
        if visit.facts:
            fields["access_token_seconds_left"] = int(visit.facts.expires_at - now)
        detail = f": {visit.message}" if visit.message else ""
        log.log(
            level,
            "%s %s (%s)%s",
            visit.connection.name,
            visit.outcome,
            visit.reason,
            detail,
            extra={"json_fields": fields},
        )

    def _standing(self, now: float) -> dict[str, object]:
        """Return how all connections stand, for the metrics; a part of them would draw a wrong picture."""
        visits = [v for v in self.visits if not v.connection.paused]
        statuses = [self.status_of(v) for v in visits]
        states = dict.fromkeys(map(str, (State.HEALTHY, *STATES)), 0)
        states |= Counter(self._state(v, s) for v, s in zip(visits, statuses, strict=True))
        # A dead grant has an alert of its own; its token would hide the one that is about to run out.
        alive = [v for v, s in zip(visits, statuses, strict=True) if not (s and s.state == State.NEEDS_CONSENT)]
        left = [v.facts.expires_at - now for v in alive if v.facts]
        promised = sum(self.promised(v, now) for v in alive)
        return {
            "states": states,
            "connections": len(alive),
            "promised": promised,
            "promised_percent": round(100 * promised / len(alive), 2) if alive else 100.0,
            **({"least_seconds_left": int(min(left))} if left else {}),
        }

    @staticmethod
    def _state(visit: Visit, status: Status | None) -> str:
        """Return the state, or what this run came to where no state tells of it yet."""
        if status is None and visit.outcome in (Outcome.UNAVAILABLE, Outcome.MISCONFIGURED):
            return str(visit.outcome)
        return str(status.state if status else State.HEALTHY)
