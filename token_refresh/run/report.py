"""What a run says of itself: its answer, and its log lines."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection
from token_refresh.core.state.timing import Margins
from token_refresh.core.status import STATES, Outcome, State, Status
from token_refresh.run.run import Run, is_outage
from token_refresh.run.visit import Visit
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")

_LEVELS = {
    Outcome.SUSPECT: logging.WARNING,
    Outcome.UNAVAILABLE: logging.WARNING,
    Outcome.NEEDS_CONSENT: logging.ERROR,
    Outcome.REJECTED: logging.ERROR,
    Outcome.MISCONFIGURED: logging.ERROR,
}
_QUIET = (Outcome.FRESH, Outcome.PAUSED)


@dataclass(slots=True)
class Report:
    """What a run did. `status_of` and `margins` tell what is remembered of a connection."""

    run: Run
    visits: Sequence[Visit]
    status_of: Callable[[Connection], Status | None]
    margins: Callable[[Connection, AccessTokenFacts | None], Margins]
    settings: Settings
    destroyed: int | None = None

    @property
    def is_unfinished(self) -> bool:
        """Tell whether a version that was named is still to be acted on: whoever named it must name it again."""
        undone, trigger = (Outcome.BUSY, Outcome.DEFERRED), self.run.trigger
        named = () if trigger.dry_run else trigger.versions
        return any(v.outcome in undone for v in self.visits if v.connection.name in named)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many connections came to which outcome."""
        return dict(Counter(str(v.outcome) for v in self.visits))

    def document(self) -> dict[str, object]:
        """Return the answer of `refresh_http` (contract 4)."""
        document: dict[str, object] = {
            "run_id": self.run.id,
            "counts": self.counts,
            "connections": [self._row(v) for v in self.visits],
        }
        if self.destroyed is not None:
            document["destroyed"] = self.destroyed
        return document

    def log(self, now: float) -> None:
        """Write a line for each connection that something happened to, and one for the run."""
        for visit in self.visits:
            self._log_visit(visit, now)
        counts = self.counts
        fields: dict[str, object] = {
            "event": "run",
            "run_id": self.run.id,
            "is_whole": self.run.is_whole,
            # Neither a dry run, nor failed for all at Secret Manager: a sign of life.
            "is_carried_out": not self.run.trigger.dry_run and not is_outage(self.visits),
            "counts": counts,
            "deferred": counts.get(Outcome.DEFERRED, 0),
            "duration_seconds": round(now - self.run.began, 3),
        }
        if self.run.is_whole:
            fields |= self._standing(now)
        log.info("run %s: %s", self.run.id, counts, extra={"json_fields": fields})

    def _row(self, visit: Visit) -> dict[str, object]:
        status = self.status_of(visit.connection)
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
        if self.margins(visit.connection, visit.facts).cannot_keep_fresh:
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
            "run_id": self.run.id,
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
        statuses = [self.status_of(v.connection) for v in visits]
        states = dict.fromkeys(map(str, (State.HEALTHY, *STATES)), 0)
        states |= Counter(self._state(v, s) for v, s in zip(visits, statuses, strict=True))
        # A dead grant has an alert of its own; its token would hide the one that is about to run out.
        alive = [v for v, s in zip(visits, statuses, strict=True) if not (s and s.state == State.NEEDS_CONSENT)]
        left = [v.facts.expires_at - now for v in alive if v.facts]
        promised = sum(self._is_promised(v, now) for v in alive)
        return {
            "states": states,
            "connections": len(alive),
            "promised": promised,
            "promised_percent": round(100 * promised / len(alive), 2) if alive else 100.0,
            **({"least_seconds_left": int(min(left))} if left else {}),
        }

    def _is_promised(self, visit: Visit, now: float) -> bool:
        """Tell whether a reader finds the life that contract 3 promises."""
        margin = self.margins(visit.connection, visit.facts).margin
        least = max(margin - self.settings.run_every - self.settings.run_seconds, 0)
        return visit.facts is not None and visit.facts.expires_at - now > least

    @staticmethod
    def _state(visit: Visit, status: Status | None) -> str:
        """Return the state, or what this run came to where no state tells of it yet."""
        if status is None and visit.outcome in (Outcome.UNAVAILABLE, Outcome.MISCONFIGURED):
            return str(visit.outcome)
        return str(status.state if status else State.HEALTHY)
