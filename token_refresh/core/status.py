"""What the functions remember beside the spec: the status of an unhealthy connection, and the lease.

A value that a person edited into nonsense reads as absent; the next write repairs it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from token_refresh.core.connection import LEASE, STATUS, Connection, SecretRecord
from token_refresh.core.json_object import finite, read_object
from token_refresh.core.units import HOUR


class State(StrEnum):
    """The states of a connection (contract 5)."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    NEEDS_CONSENT = "needs_consent"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"


class Outcome(StrEnum):
    """What a run says of a connection (contract 4)."""

    REFRESHED = "refreshed"
    FRESH = "fresh"
    BUSY = "busy"
    SUSPECT = "suspect"
    NEEDS_CONSENT = "needs_consent"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"
    PAUSED = "paused"
    PLANNED = "planned"
    DEFERRED = "deferred"
    REVOKED = "revoked"


STATES: Final = tuple(state for state in State if state != State.HEALTHY)  # those that a status is kept for

# A lease that ends later than this is nonsense: written by hand, or by a clock that was ahead.
LONGEST_LEASE: Final = HOUR
_MAX_TEXT: Final = 300
_ALWAYS: Final = ("state", "reason", "since", "version", "attempts", "next_attempt_at", "event_id")
_CACHED: Final = 4096  # annotations; each is looked at several times a run
CONSENT_HOLDER: Final = "consent-"  # with what the holder's name of a consent begins


@dataclass(frozen=True, slots=True)
class Status:
    """The annotation ``token-refresh.status``; absent while healthy. Times in epoch seconds.

    `healthy` is stored only while an event is still owed. `version` is the connection secret's version that was
    judged, `client_version` that of the client registration.
    """

    state: State
    reason: str
    since: float
    version: int = 0
    attempts: int = 0
    next_attempt_at: float = 0
    event_id: str = ""  # the connection's own incident; the newest where one has become another
    incidents: tuple[str, ...] = ()  # its own that are open, each as its id, a space, and the reason that was told
    tried_at: float = 0
    first_failed_at: float = 0  # the start of the unhealthy time, over all its states
    refused_at: float = 0  # the first refusal of this version as dead, with no success since
    lost_before: bool = False  # its owner was asked for a lost rotation, of which this may be a late copy
    answer: str = ""  # the provider's last answer (reason, error code), and since when it is the same
    answer_since: float = 0
    message: str = ""
    error: str = ""
    error_subtype: str = ""
    owed: tuple[str, ...] = ()  # ids of events that are decided and not yet known to be published
    client: str = ""  # subject of client events
    client_version: int = 0
    client_event_id: str = ""  # the client's incident, shared by its connections
    reminded: int = 0  # hours into the incident of the last consent_overdue
    asked_at: float = 0  # when its owner asked for a new link
    has_unknown_account: bool = False  # the last consent's account could not be known
    needs_exchange: bool = False  # only another exchange can tell whether what is misconfigured is mended


@dataclass(frozen=True, slots=True)
class Lease:
    """The annotation ``token-refresh.lease``: who may spend the refresh token, until when, and the version to spend.

    Released = no holder. A lease that ended without being released tells the next holder that the token may have
    been spent. `unsaved`: the holder has a new refresh token in memory and cannot store it. `kept`: up to this version
    there may be a person's grant that nobody could tell from a dead holder's; 0 = there is none.
    """

    holder: str = ""
    until: float = 0
    version: int = 0
    unsaved: bool = False
    kept: int = 0

    @property
    def is_of_consent(self) -> bool:
        """Tell whether a consent took it, to store a new grant."""
        return self.holder.startswith(CONSENT_HOLDER)

    def is_held(self, now: float) -> bool:
        """Tell whether an exchange, or its saving, may be under way right now."""
        return bool(self.holder) and now < self.until <= now + LONGEST_LEASE

    def is_abandoned(self, now: float) -> bool:
        """Tell whether the last holder's end of the story is unknown."""
        return bool(self.holder) and not self.is_held(now)


_NEVER_TAKEN: Final = Lease()


@lru_cache(maxsize=_CACHED)
def parse_status(text: str | None) -> Status | None:
    """Read the annotation; None when absent or nonsense."""
    data = read_object(text)
    if data is None:
        return None
    known: dict[str, object] = {}
    for field in fields(Status):
        if data.get(field.name) is None:
            continue
        value = _fit(data[field.name], str(field.type))
        if value is None:
            return None
        known[field.name] = value
    if not {"state", "reason", "since"} <= known.keys():
        return None
    status = Status(**known)  # type: ignore[arg-type]  # each value was fitted to its field
    if status.state == State.SUSPECT:  # it began with a refusal, and with which one if nothing earlier is noted
        return replace(status, refused_at=min(status.refused_at or status.since, status.since))
    return status


def render_status(status: Status) -> str:
    """Write the annotation; empty fields are left out but those of the contract."""
    data = asdict(status)
    data |= {name: data[name][:_MAX_TEXT] for name in ("message", "error", "error_subtype")}
    return json.dumps({k: v for k, v in data.items() if v not in ("", 0, ()) or k in _ALWAYS}, ensure_ascii=False)


def status_of(connection: Connection) -> Status | None:
    """Return the status that the connection carries; None when healthy."""
    return parse_status(connection.record.annotations.get(STATUS))


def lease_of(record: SecretRecord) -> Lease:
    """Return the lease that the secret carries; absent or nonsense reads as never taken."""
    return parse_lease(record.annotations.get(LEASE)) or _NEVER_TAKEN


@lru_cache(maxsize=_CACHED)
def parse_lease(text: str | None) -> Lease | None:
    """Read the annotation; None when absent or nonsense."""
    data = read_object(text)
    if data is None:
        return None
    holder, until, version = (
        _fit(data.get(k), t) for k, t in (("holder", "str"), ("until", "float"), ("version", "int"))
    )
    if not (isinstance(holder, str) and isinstance(until, float) and isinstance(version, int)):
        return None
    kept = _fit(data.get("kept", 0), "int")
    kept = kept if isinstance(kept, int) else 0
    return Lease(holder, until, version, unsaved=data.get("unsaved") is True, kept=kept)


def render_lease(lease: Lease) -> str:
    """Write the annotation."""
    data: dict[str, object] = {"holder": lease.holder, "until": lease.until, "version": lease.version}
    return json.dumps(data | {k: v for k, v in (("unsaved", lease.unsaved), ("kept", lease.kept)) if v})


def _fit(value: object, kind: str) -> object | None:
    """Return `value` as a field of that kind, or None."""
    if kind == "State":
        return State(str(value)) if value in tuple(State) else None
    if kind == "str":
        return value if isinstance(value, str) else None
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind.startswith("tuple"):
        is_texts = isinstance(value, list) and all(isinstance(v, str) for v in value)
        return tuple(value) if isinstance(value, list) and is_texts else None
    number = finite(value)
    if number is None or number < 0:
        return None
    return number if kind == "float" else int(number) if number.is_integer() else None
