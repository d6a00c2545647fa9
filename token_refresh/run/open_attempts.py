"""Which attempts of each client are still open: the last one to end brings the verdicts of all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import final

from token_refresh.run.visit import Visit


@final
class OpenAttempts:
    """Which attempts of each client are still open, and what those that have ended came to."""

    def __init__(self, due: Iterable[Visit]) -> None:
        self._client = {v.connection.secret_id: v.client for v in due}
        self._open = Counter(self._client.values())
        self._ended = defaultdict[str, list[Visit]](list)
        self.failed: list[Visit] = []  # at Secret Manager: judged when it is known whether all have

    def end(self, visit: Visit) -> list[Visit]:
        """Note that a visit has ended; return the client's visits if it was the last one that is open."""
        client = self._client.pop(visit.connection.secret_id, None)
        if client is None:
            client = visit.client
        else:
            self._open[client] -= 1
        if visit.failed_at_store:
            self.failed.append(visit)
        elif visit.attempt:
            self._ended[client].append(visit)
        return self._ended.pop(client, []) if not self._open[client] else []


def is_outage(visits: Sequence[Visit]) -> bool:
    """Tell whether Secret Manager failed for all of at least two connections (contract 4)."""
    awake = [v for v in visits if not v.connection.paused]
    return len(awake) > 1 and all(v.failed_at_store for v in awake)
