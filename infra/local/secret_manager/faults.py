"""Faults and eventual consistency on order, so that tests can show what a client does about them.

The real service promises strong consistency only for accessing a version by number after adding it; everything else
"converges within minutes, but may take a few hours" (https://cloud.google.com/secret-manager/docs/consistency).
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import grpc
from google.api_core import exceptions

from infra.local.secret_manager.errors import api_error
from infra.local.secret_manager.messages import Json

STALE_KINDS = ("latest", "lists", "metadata", "states")


@dataclass
class Fault:
    """Describe what goes wrong with calls of one RPC.

    rpc: RPC name such as `AddSecretVersion`, or `*`. secret: a secret id, or `""` for any.
    calls: which of the matching calls, counted from 1; empty = every one.
    when: `before` or `after` the call takes effect. latency: seconds to wait.
    code: gRPC code to fail with, such as `UNAVAILABLE`. hang: never answer.
    seen and hits count the matching calls and those the fault struck.
    """

    rpc: str = "*"
    secret: str = ""
    calls: tuple[int, ...] = ()
    when: str = "before"
    latency: float = 0.0
    code: str = ""
    hang: bool = False
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        self.calls = (self.calls,) if isinstance(self.calls, int) else tuple(self.calls)
        if self.when not in ("before", "after"):
            message = f"when is `before` or `after`, not {self.when!r}"
            raise ValueError(message)
        if self.code and self.code not in grpc.StatusCode.__members__:
            message = f"{self.code!r} is no gRPC code"
            raise ValueError(message)


class Hung(Exception):
    """Say that a call was never answered: its caller went away, or the faults were cleared."""


@dataclass
class Faults:
    """Hold the faults in force.

    `stale` maps `latest` (and aliases), `lists`, `metadata` (GetSecret) and `states` (of versions, for access) to
    the seconds after which a change made from now on becomes visible there. `writes_per_minute` is the project
    quota; 0 = none.
    """

    active: list[Fault] = field(default_factory=list)
    stale: dict[str, float] = field(default_factory=dict)
    writes_per_minute: int = 0
    clock: Callable[[], float] = time.monotonic
    _stale_since: dict[str, float] = field(default_factory=dict)
    _writes: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _released: threading.Event = field(default_factory=threading.Event)

    def add(self, fault: Fault | None = None, **settings: Json) -> Fault:
        """Put a fault in force and return it, so that a test can read its `hits`."""
        fault = fault or Fault(**settings)
        with self._lock:
            self.active.append(fault)
        return fault

    def set_stale(self, **seconds: float) -> None:
        """Delay what reads see, by kind: `latest`, `lists`, `metadata`, `states`; 0 ends the delay."""
        unknown = seconds.keys() - set(STALE_KINDS)
        if unknown:
            message = f"unknown kinds of staleness: {sorted(unknown)}"
            raise ValueError(message)
        for kind, delay in seconds.items():
            if delay != self.stale.get(kind, 0):
                self._stale_since[kind] = self.clock()
            self.stale[kind] = delay

    def clear(self) -> None:
        """End every fault and let hanging calls go."""
        self.replace({})
        self.stale.clear()

    def replace(self, settings: Mapping[str, Json]) -> None:
        """Put in force what a document says: `faults`, `stale`, `writes_per_minute`. Raises ValueError, TypeError."""
        unknown = settings.keys() - {"faults", "stale", "writes_per_minute"}
        if unknown:
            message = f"unknown settings: {sorted(unknown)}"
            raise ValueError(message)
        active = [Fault(**fault) for fault in settings.get("faults", ())]
        stale = dict.fromkeys(self.stale, 0.0) | dict(settings.get("stale", {}))
        self.set_stale(**stale)
        with self._lock:
            self.active[:] = active
            self.writes_per_minute = int(settings.get("writes_per_minute", 0))
            self._writes.clear()
            self._released.set()
            self._released = threading.Event()

    def describe(self) -> dict[str, Json]:
        """Give the JSON document of the faults in force, with their `seen` and `hits`."""
        with self._lock:
            active = [asdict(fault) for fault in self.active]
        return {"faults": active, "stale": dict(self.stale), "writes_per_minute": self.writes_per_minute}

    def visible_until(self, kind: str) -> float:
        """Give the moment (monotonic s) whose state a read of this kind sees; infinity = the true state."""
        delay = self.stale.get(kind, 0)
        return max(self.clock() - delay, self._stale_since[kind]) if delay else math.inf

    @property
    def remembers(self) -> bool:
        """Tell whether past states must be kept, because some reads are stale."""
        return any(self.stale.values())

    def match(self, rpc: str, secret: str) -> list[Fault]:
        """Count a call and pick the faults that strike it."""
        with self._lock:
            struck = []
            for fault in self.active:
                if fault.rpc in ("*", rpc) and fault.secret in ("", secret):
                    fault.seen += 1
                    if not fault.calls or fault.seen in fault.calls:
                        struck.append(fault)
            return struck

    def strike(self, struck: list[Fault], when: str, is_waiting: Callable[[], bool]) -> None:
        """Let the faults of this moment happen. Raises GoogleAPICallError or Hung."""
        for fault in struck:
            if fault.when != when:
                continue
            with self._lock:
                fault.hits += 1
                released = self._released
            if fault.latency:
                released.wait(fault.latency)
            if fault.hang:
                while is_waiting() and not released.wait(0.05):
                    pass
                raise Hung
            if fault.code:
                raise _injected(fault.code)

    def spend_write(self, project: str) -> None:
        """Count a write against the quota of the last minute. Raises ResourceExhausted."""
        if not self.writes_per_minute:
            return
        with self._lock:
            now = self.clock()
            while self._writes and self._writes[0] <= now - 60:
                self._writes.popleft()
            if len(self._writes) >= self.writes_per_minute:
                message = (
                    "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute' of service"
                    f" 'secretmanager.googleapis.com' for consumer 'project_number:{project}'."
                )
                raise api_error(exceptions.ResourceExhausted, message)
            self._writes.append(now)


def _injected(code: str) -> exceptions.GoogleAPICallError:
    def build(message: str) -> exceptions.GoogleAPICallError:
        error: exceptions.GoogleAPICallError = exceptions.from_grpc_status(grpc.StatusCode[code], message)  # type: ignore[no-untyped-call]
        return error

    return api_error(build, "Injected by the local stack.")
