"""What a run says of itself: its answer, and its log lines."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field

from token_refresh.core.status import HEALTHY, MISCONFIGURED, NEEDS_CONSENT, REJECTED, STATES, SUSPECT, UNAVAILABLE
from token_refresh.run.visit import Work

log = logging.getLogger("token_refresh")

_LEVELS = {
    SUSPECT: logging.WARNING,
    UNAVAILABLE: logging.WARNING,
    NEEDS_CONSENT: logging.ERROR,
    REJECTED: logging.ERROR,
    MISCONFIGURED: logging.ERROR,
}


@dataclass(slots=True)
class Report:
    """What a run did."""

    run_id: str
    is_whole: bool  # over all connections
    works: list[Work] = field(default_factory=list)
    destroyed: int | None = None

    def document(self) -> dict[str, object]:
        """Return the answer of `refresh_http` (contract 4)."""
        document: dict[str, object] = {
            "run_id": self.run_id,
            "counts": dict(Counter(w.outcome for w in self.works)),
            "connections": [w.result() for w in self.works],
        }
        if self.destroyed is not None:
            document["destroyed"] = self.destroyed
        return document

    def log(self, began: float, now: float) -> None:
        """Write a line for each connection that something happened to, and one for the run."""
        for work in self.works:
            fields: dict[str, object] = {
                "event": "connection",
                "run_id": self.run_id,
                "connection": work.connection.name,
                "provider": work.connection.provider,
                "outcome": work.outcome,
                "reason": work.reason,
            }
            if work.facts:
                fields["access_token_seconds_left"] = int(work.facts.expires_at - now)
            known = logging.DEBUG if work.outcome in ("fresh", "paused") else logging.INFO
            level = _LEVELS.get(work.outcome, logging.INFO) if work.attempt else known
            detail = f": {work.message}" if work.message else ""
            log.log(
                level,
                "%s %s (%s)%s",
                work.connection.name,
                work.outcome,
                work.reason,
                detail,
                extra={"json_fields": fields},
            )
        counts = self.document()["counts"]
        fields = {
            "event": "run",
            "run_id": self.run_id,
            "counts": counts,
            "duration_seconds": round(now - began, 3),
        }
        if self.is_whole:
            fields |= self._standing(now)
        log.info("run %s: %s", self.run_id, counts, extra={"json_fields": fields})

    def _standing(self, now: float) -> dict[str, object]:
        """Return how all connections stand, for the metrics; a part of them would draw a wrong picture."""
        works = [w for w in self.works if not w.connection.paused]
        states = dict.fromkeys((HEALTHY, *STATES), 0)
        states |= Counter(w.status.state if w.status else HEALTHY for w in works)
        # A dead grant has an alert of its own; its token would hide the one that is about to run out.
        alive = (w for w in works if not (w.status and w.status.state == NEEDS_CONSENT))
        left = [w.facts.expires_at - now for w in alive if w.facts]
        return {"states": states, **({"least_seconds_left": int(min(left))} if left else {})}
