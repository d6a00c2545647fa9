"""What one run knows of itself: how long it may take, what it has listed, what it holds."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from token_refresh.core.connection import Connection
from token_refresh.core.status import Status
from token_refresh.core.trigger import Trigger
from token_refresh.instance.quota import Priority
from token_refresh.run.visit import Visit

_CLEAN_SHARE: Final = 1 / 20


@dataclass(slots=True)
class Run:
    """What one run knows of itself. `until` is the moment after which nothing is begun; epoch seconds."""

    trigger: Trigger
    began: float
    seconds: float
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    listed: list[Connection] | None = None
    claimed: set[str] = field(default_factory=set)
    unread: list[Visit] = field(default_factory=list)  # connections that were named and cannot be read
    _troubled: list[Connection] | None = None

    @property
    def ends(self) -> float:
        """Return the end of its time; epoch seconds."""
        return self.began + self.seconds

    @property
    def until(self) -> float:
        """Return the end of all but the cleaning, which gets at least a twentieth (contract 9)."""
        return self.ends - (self.seconds * _CLEAN_SHARE if self.trigger.clean else 0)

    def as_it_is(self, done: Mapping[str, Visit]) -> list[Connection] | None:
        """Return the listed connections as the visits so far have left them; None when nothing was listed."""
        if self.listed is None:
            return None
        return [done[c.secret_id].connection if c.secret_id in done else c for c in self.listed]

    def troubled(self, status_of: Callable[[Connection], Status | None]) -> list[Connection]:
        """Return those of the listed connections that have a status; none when nothing was listed."""
        if self._troubled is None and self.listed is not None:
            self._troubled = [c for c in self.listed if status_of(c)]
        return self._troubled or []

    @property
    def is_whole(self) -> bool:
        """Tell whether it is about all connections."""
        return self.trigger.connections is None and not self.trigger.signals

    @property
    def priority(self) -> Priority:
        """Return the turn of its attempts among those of the instance (contract 9)."""
        return Priority.DUE if self.is_whole else Priority.NAMED
