"""Statuses that could not be written: they die with the process, and are kept until they are written or over.

What was told of one is an incident that no other instance knows. So it outlives what another one writes meanwhile: it
goes on with the status that stands there then, and ends with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from token_refresh.core.connection import STATUS, Connection
from token_refresh.core.incident.incident import carry, recover, told_beside
from token_refresh.core.status import Status, parse_status
from token_refresh.core.units import MINUTE

_LASTS: Final = 15 * MINUTE  # after which a fault that might pass is one that does not


class Unwritten:
    """What this instance alone knows of connections; threads may share it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        # By secret: the status, with the annotation that stands there instead.
        self._kept: dict[str, tuple[str | None, Status | None]] = {}
        self._failing_since: dict[str, float] = {}

    def __contains__(self, connection: Connection) -> bool:
        """Tell whether only this instance knows the connection's status."""
        return connection.secret_id in self._kept

    def ids(self) -> list[str]:
        """Return the secrets whose status is kept, the one that was refused last at the end."""
        return list(self._kept)

    def postpone(self, connection: Connection) -> None:
        """Let the others be written first the next time."""
        if kept := self._kept.pop(connection.secret_id, None):
            self._kept[connection.secret_id] = kept

    def status_of(self, connection: Connection) -> Status | None:
        """Return the connection's status: what it carries, or what could not be written."""
        text = connection.record.annotations.get(STATUS)
        kept = self._kept.get(connection.secret_id) if self._kept else None
        if kept and kept[0] == text:
            return kept[1]
        seen = parse_status(text) if text else None
        told = _told(kept, seen) if kept else None
        return (carry(seen, told) if seen else told) if told else seen

    def has_lasted(self, connection: Connection) -> bool:
        """Note that a status could not be written, and tell whether that has been so for long."""
        now = self.clock()
        return now - self._failing_since.setdefault(connection.secret_id, now) >= _LASTS

    def note_end_of_fault(self, connection: Connection) -> None:
        """Note that its status could be written, if only by another instance."""
        self._failing_since.pop(connection.secret_id, None)

    def keep(self, connection: Connection, status: Status | None) -> None:
        """Keep a status beside what stands there; None: it is healthy, whatever that says."""
        self._kept[connection.secret_id] = (connection.record.annotations.get(STATUS), status)

    def forget(self, connection: Connection) -> None:
        """Forget what could not be written: it was written now, or is over."""
        self._kept.pop(connection.secret_id, None)
        self._failing_since.pop(connection.secret_id, None)

    def end(self, connection: Connection) -> None:
        """Let what only this instance knows be over: another one has refreshed the connection. Ends are owed then."""
        kept, seen = self._kept[connection.secret_id], parse_status(connection.record.annotations.get(STATUS))
        told = _told(kept, seen)
        self.forget(connection)
        if told:
            self.keep(connection, carry(seen, told) if seen else recover(told, self.clock()))


def _told(kept: tuple[str | None, Status | None], seen: Status | None) -> Status | None:
    """Return what was told of a status that is kept, and is written nowhere; None = nothing."""
    before, status = kept
    told = told_beside(status, parse_status(before), seen) if status else None
    return told if told and told.incidents else None
