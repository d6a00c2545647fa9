"""What one run knows of itself: how long it may take, what it has listed, what it holds, and what is still open."""

from __future__ import annotations

import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, final

from token_refresh.connections.directory import Directory
from token_refresh.core.connection import Connection
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.url import token_endpoint_host
from token_refresh.core.status import State, Status
from token_refresh.core.trigger import Trigger
from token_refresh.instance.lanes import Task
from token_refresh.instance.quota import Priority
from token_refresh.run.visit import Visit

_CLEAN_SHARE: Final = 1 / 20
_WEIGHED_WITHIN: Final = 30.0  # s
# Writes of one refresh: the access token; of a replaced refresh token besides: the lease, the new refresh token, the
# release, and the destruction of an old one. Old access tokens are destroyed when nobody waits for a new one.
_WRITES: Final = 1
_WRITES_REPLACED: Final = 5
_WRITES_TEXT: Final = 1


@final
class Claims:
    """The connections that runs of this instance work on, by secret: no two work on the same. Safe for threads."""

    def __init__(self) -> None:
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def claim(self, key: str) -> bool:
        """Keep other runs from working on the connection; False where one does already."""
        with self._lock:
            is_free = key not in self._claimed
            self._claimed.add(key)
            return is_free

    def release(self, key: str) -> None:
        """Let other runs work on the connection."""
        with self._lock:
            self._claimed.discard(key)


@dataclass(slots=True)
class Run:
    """What one run knows of itself. `until` is the moment after which nothing is begun; epoch seconds."""

    trigger: Trigger
    began: float
    seconds: float
    claims: Claims
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    listed: list[Connection] | None = None
    done: dict[str, Visit] = field(default_factory=dict)  # what each connection has come to so far, by its secret
    unread: list[Visit] = field(default_factory=list)  # connections that were named and cannot be read
    _troubled: dict[str, Connection] | None = None
    _claimed: set[str] = field(default_factory=set)

    @property
    def ends(self) -> float:
        """Return the end of its time; epoch seconds."""
        return self.began + self.seconds

    @property
    def until(self) -> float:
        """Return the end of all but the cleaning, which gets at least a twentieth (contract 9)."""
        return self.ends - (self.seconds * _CLEAN_SHARE if self.trigger.clean else 0)

    def claim(self, connection: Connection) -> bool:
        """Keep other runs from working on the connection; False where one does already."""
        is_claimed = self.claims.claim(connection.secret_id)
        if is_claimed:
            self._claimed.add(connection.secret_id)
        return is_claimed

    def free(self, *connections: Connection) -> None:
        """Let other runs work on the connections that this one has claimed."""
        for key in self._claimed.intersection(c.secret_id for c in connections):
            self._claimed.discard(key)
            self.claims.release(key)

    def free_all(self) -> None:
        """Let other runs work on whatever it has claimed."""
        while self._claimed:
            self.claims.release(self._claimed.pop())

    def listing(self, directory: Directory) -> list[Connection]:
        """List the project's connections, once a run; raises `StoreError`."""
        if self.listed is None:
            self.listed = directory.list()
        return self.listed

    def as_it_is(self) -> list[Connection] | None:
        """Return the listed connections as the visits so far have left them; None when nothing was listed."""
        if self.listed is None:
            return None
        return [self.done[c.secret_id].connection if c.secret_id in self.done else c for c in self.listed]

    def troubled(self, status_of: Callable[[Connection], Status | None]) -> list[Connection]:
        """Return those of the listed connections that have a status; none when nothing was listed."""
        if self._troubled is None and self.listed is not None:
            self._troubled = {c.secret_id: c for c in self.listed if status_of(c)}
        return list((self._troubled or {}).values())

    def note(self, connection: Connection, status: Status | None) -> None:
        """Note what was recorded of a connection, for those whose verdicts are weighed after it."""
        if self._troubled is not None:
            self._troubled.pop(connection.secret_id, None)
            self._troubled.update({connection.secret_id: connection} if status else {})

    @property
    def is_whole(self) -> bool:
        """Tell whether it is about all connections."""
        return self.trigger.connections is None and not self.trigger.signals

    @property
    def priority(self) -> Priority:
        """Return the turn of its attempts among those of the instance (contract 9)."""
        return Priority.DUE if self.is_whole else Priority.NAMED


@final
class OpenAttempts:
    """Which attempts of each client are still open, and what those that have ended came to.

    Verdicts are weighed together where a run is short; where it is long, none waits longer than half a minute.
    """

    def __init__(self, due: Iterable[Visit]) -> None:
        self._client = {v.connection.secret_id: v.client for v in due}
        self._open = Counter(self._client.values())
        self._ended = defaultdict[str, list[Visit]](list)
        self._since: dict[str, float] = {}  # the first of them ended
        self.failed: list[Visit] = []  # at Secret Manager: judged when it is known whether all have

    def end(self, visit: Visit, now: float) -> list[Visit]:
        """Note that a visit has ended; return those of clients of which none is open, or one has waited for long."""
        client = self._client.pop(visit.connection.secret_id, None)
        if client is None:
            client = visit.client
        else:
            self._open[client] -= 1
        if visit.failed_at_store:
            self.failed.append(visit)
        elif visit.attempt:
            self._ended[client].append(visit)
            self._since.setdefault(client, now)
        ready = [] if self._open[client] else [client]
        ready += takewhile(lambda c: now - self._since[c] >= _WEIGHED_WITHIN, self._since)  # the oldest stand first
        return [ended for each in dict.fromkeys(ready) for ended in self._take(each)]

    def _take(self, client: str) -> list[Visit]:
        self._since.pop(client, None)
        return self._ended.pop(client, [])


def is_outage(visits: Sequence[Visit]) -> bool:
    """Tell whether Secret Manager failed for all of at least two connections (contract 4)."""
    awake = [v for v in visits if not v.connection.paused]
    return len(awake) > 1 and all(v.failed_at_store for v in awake)


def build_task(visit: Visit, provider: Provider | None, work: Callable[[], Visit]) -> Task:
    """Describe the attempt that `work` makes; all its writes are reserved before it begins (contract 9)."""
    connection = visit.connection
    is_replacing = bool(provider and provider.rotates)
    return Task(
        key=connection.secret_id,
        host=token_endpoint_host(provider, connection.variables) if provider else "",
        writes=(_WRITES_REPLACED if is_replacing else _WRITES) + _WRITES_TEXT * connection.is_text,
        is_single_use=is_replacing,
        work=work,
    )


def urgency(visit: Visit, run: Run) -> tuple[bool, bool, float, str]:
    """Return what to sort by: versions that were named, then least life first (contract 9).

    What was refused has none, and will hardly have any now: it goes last, or a thousand of them would leave none to
    those who live. What has been mended since has none either, and goes first.
    """
    left = visit.facts.expires_at - run.began if visit.facts else 0.0
    was_refused = visit.situation.state in (State.REJECTED, State.NEEDS_CONSENT) and not visit.decision.is_mended
    return (visit.connection.name not in run.trigger.versions, was_refused, left, visit.connection.name)
