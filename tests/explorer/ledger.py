"""What is known of a schedule: true books, whatever the instances believe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.simulated_server import Family
from token_refresh.core.connection import LEASE, SUFFIX
from token_refresh.core.incident.events import NOT_SAVED, Event
from token_refresh.core.status import parse_lease
from token_refresh.core.token_endpoint.outcome import TokenOutcome

if TYPE_CHECKING:
    from tests.explorer.scheduler import Life
    from tests.explorer.stage import Stage

ACCESS = "-access-token"
UNSAVED = 900.0  # s, how long an unsaved lease holds without a run
MARGIN = 900.0  # s, of an access token that lives for an hour
BESIDE = "an instance died, or was frozen, between storing its token and putting a person's grant on top again"
# Why a grant could not be kept: what no client can avoid.
LOST = "the reply was lost"
DIED = "an instance died with the only copy"
OUT = "the only copy was in an instance that was frozen, or not called, past its lease"
LATE = "an instance was frozen between its last look at the clock and what it did then"


@dataclass(eq=False, slots=True)
class Sent:
    """One exchange: who sent what under which lease, and what became of it."""

    life: Life
    token: str
    name: str
    holder: str
    is_late: bool = False
    is_excused: bool = False  # late, and without a lease by then: no client can look at the clock and act in one step
    is_lost: bool = False  # the call ended without the reply
    committed: str = ""  # the refresh token that the provider issued for it, if any
    outcome: TokenOutcome | None = None
    delivered: bool = False


@dataclass(eq=False)
class Ledger:
    """What there is, and what there was. `faults` tells what was violated, in the order of discovery."""

    stage: Stage
    faults: list[str] = field(default_factory=list)
    diary: list[tuple[float, str]] = field(default_factory=list)
    disabled: set[str] = field(default_factory=set)
    excused: dict[str, str] = field(default_factory=dict)  # by connection: why its grant could not be kept
    events: list[Event] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)  # incidents that nobody alive knows of, and no status
    _tellers: dict[str, set[Life]] = field(default_factory=dict)  # by event
    _grants: dict[str, list[tuple[int, str]]] = field(default_factory=dict)  # by connection: version, first token
    _sent: list[Sent] = field(default_factory=list)
    _memory: dict[str, set[Life]] = field(default_factory=dict)  # by refresh token: who has been told it
    _floor: dict[tuple[Life, str], int] = field(default_factory=dict)  # the `connection_version` that it has seen
    _valid_until: dict[str, dict[str, float]] = field(default_factory=dict)  # by instance, at its run's begin
    _decided: dict[str, float] = field(default_factory=dict)  # by alarm: what was left of the access token by then
    _holders: dict[str, Life] = field(default_factory=dict)  # by the name that it gave itself
    _called_at: dict[Life, float] = field(default_factory=dict)  # when the last run of an instance ended
    _looked: dict[tuple[Life, str], int] = field(default_factory=dict)  # when it looked at the grants, as a count
    _stored_late: dict[str, int] = field(default_factory=dict)  # by refresh token, likewise: by whom was late
    _added: dict[tuple[str, int], Life] = field(default_factory=dict)  # by connection and version: by whom
    _count: int = 0

    # -- looking things up ---------------------------------------------------------------------------------------------

    def names(self) -> Sequence[str]:
        return tuple(self._grants)

    def has_valid_token(self, name: str) -> bool:
        document = self._document(name)
        return document is not None and document["expires_at"] > self.stage.clock() + 600

    def newest_given(self, name: str) -> int:
        return max(self._grants[name])[0]

    def wanted(self, name: str) -> Family:
        """Return the grant that was given last."""
        return self._family(max(self._grants[name])[1])

    def _family(self, token: str) -> Family:
        family = self.stage.server.family(token)
        assert family
        return family

    def _is_of(self, event: Event, name: str, family: Family) -> bool:
        version = int(str(event.data.get("version", 0)))
        payloads = self._versions(name)
        return 0 < version <= len(payloads) and payloads[version - 1].payload.decode() in family.tokens

    def _versions(self, name: str) -> list[Any]:
        return list(self.stage.cloud.secrets[name + SUFFIX].versions)

    def _notes(self, name: str) -> dict[str, str]:
        return dict(self.stage.cloud.secrets[name + SUFFIX].record.annotations)

    def _holder(self, name: str) -> str:
        lease = parse_lease(self._notes(name).get(LEASE))
        return lease.holder if lease else ""

    def _is_stored(self, name: str, token: str) -> bool:
        return any(v.payload.decode() == token and v.state == "ENABLED" for v in self._versions(name))

    def _is_known(self, token: str) -> bool:
        """Tell whether we have the token: stored, or in the memory of an instance that lives."""
        name = self._family(token).name.partition(",")[0]
        return self._is_stored(name, token) or bool(self._memory.get(token))

    def _must_be_told(self, event: Event) -> bool:
        """Tell whether it is about a grant that is in memory only, or is stored and still has to be put on top."""
        token = self.wanted(event.subject).tokens[-1]
        is_on_top = self._versions(event.subject)[-1].payload.decode() == token
        is_safe = is_on_top or self._is_stored(event.subject, token) and event.data.get("reason") != NOT_SAVED
        return not is_safe and (self._is_stored(event.subject, token) or bool(self._memory.get(token)))

    def _document(self, name: str) -> dict[str, Any] | None:
        versions = [v for v in self.stage.cloud.secrets[name + ACCESS].versions if v.state == "ENABLED"]
        document = json.loads(versions[-1].payload) if versions else None
        assert document is None or isinstance(document, dict)
        return document

    def _is_named(self, name: str, token: str) -> bool:
        lease, versions = parse_lease(self._notes(name).get(LEASE)), self._versions(name)
        return (
            lease is None
            or 0 < lease.version <= len(versions)
            and versions[lease.version - 1].payload == token.encode()
        )

    def _holds_lease(self, life: Life, name: str) -> bool:
        lease = parse_lease(self._notes(name).get(LEASE))
        return lease is not None and lease.is_held(self.stage.clock()) and self._holders.get(lease.holder) is life

    def _is_neglected(self, life: Life) -> bool:
        """Tell whether nobody has called an instance for so long that its unsaved lease has run out."""
        return life in self._called_at and self.stage.clock() - self._called_at[life] >= UNSAVED

    def blame(self, words: str) -> None:
        if words not in self.faults:
            self.faults.append(words)
            self.stage.note(f"!!! {words}")


def short(token: str) -> str:
    return token.removeprefix("CANARY-refresh-")
