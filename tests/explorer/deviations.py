"""What may go otherwise at a point of a schedule: another actor comes first, or one thing goes wrong.

A schedule is what happens by default, one actor after another, and its deviations: (step, choice). It is written as
one number, so that it can be replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

LEASE: Final = 120
SHORT: Final = 400.0  # s, a freeze past the lease; the other instance ticks once meanwhile
LONG: Final = 4200.0  # s, a freeze past the access token's life; the other instance ticks twice meanwhile


class Fault(IntEnum):
    """One thing that goes wrong at a call; `_AFTER`: the call took effect."""

    CRASH_BEFORE = 1
    CRASH_AFTER = 2
    FREEZE_BEFORE = 3
    FREEZE_AFTER = 4
    LONG_FREEZE_BEFORE = 5
    LONG_FREEZE_AFTER = 6
    SIGTERM = 7
    UNAVAILABLE_BEFORE = 8
    UNAVAILABLE_AFTER = 9
    DEFECT_BEFORE = 10  # a bare ValueError
    DEFECT_AFTER = 11
    GOOGLE_BEFORE = 12  # an exception of Google's library that no port names
    GOOGLE_AFTER = 13
    DENIED = 14  # from here on, for this secret, until people mend it
    STALE = 15  # this read shows how things were before the scene began
    LOST_BEFORE = 16  # the reply is lost, and the provider saw nothing
    LOST_AFTER = 17  # the reply is lost after the provider's commit
    SILENT = 18  # HTTP 503
    LYING = 19  # `invalid_grant` for a grant that lives
    FROZEN_LOST = 20  # frozen while waiting for a reply that never came: the provider saw nothing
    LONG_FROZEN_LOST = 21


FREEZES: Final = {
    Fault.FREEZE_BEFORE: SHORT,
    Fault.FREEZE_AFTER: SHORT,
    Fault.LONG_FREEZE_BEFORE: LONG,
    Fault.LONG_FREEZE_AFTER: LONG,
    Fault.FROZEN_LOST: SHORT,
    Fault.LONG_FROZEN_LOST: LONG,
}
_ANYWHERE: Final = (
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.FREEZE_BEFORE,
    Fault.FREEZE_AFTER,
    Fault.LONG_FREEZE_BEFORE,
    Fault.LONG_FREEZE_AFTER,
    Fault.SIGTERM,
)
_READ: Final = (Fault.UNAVAILABLE_BEFORE, Fault.DEFECT_BEFORE, Fault.GOOGLE_BEFORE)
_WRITE: Final = (*_READ, Fault.UNAVAILABLE_AFTER, Fault.DEFECT_AFTER, Fault.GOOGLE_AFTER, Fault.DENIED)
_EXCHANGE: Final = (
    Fault.DEFECT_BEFORE,
    Fault.DEFECT_AFTER,
    Fault.LOST_BEFORE,
    Fault.LOST_AFTER,
    Fault.SILENT,
    Fault.LYING,
    Fault.FROZEN_LOST,
    Fault.LONG_FROZEN_LOST,
)
_SLEEP: Final = tuple(f for f in _ANYWHERE if not f.name.endswith("AFTER"))

FAULTS: Final[dict[str, tuple[Fault, ...]]] = {
    "list_connections": (*_ANYWHERE, *_READ, Fault.STALE),
    "get": (*_ANYWHERE, *_READ, Fault.STALE),
    "access": (*_ANYWHERE, *_READ, Fault.DENIED),
    "access latest": (*_ANYWHERE, *_READ, Fault.DENIED, Fault.STALE),
    "list_versions": (*_ANYWHERE, *_READ, Fault.STALE),
    "created_at": (*_ANYWHERE, *_READ),
    "add": (*_ANYWHERE, *_WRITE),
    "annotate": (*_ANYWHERE, *_WRITE),
    "destroy": (*_ANYWHERE, *_WRITE),
    "publish": (*_ANYWHERE, *(f for f in _WRITE if f != Fault.DENIED)),
    "exchange": (*_ANYWHERE, *_EXCHANGE),
    "sleep": _SLEEP,
}
_SWITCH: Final = 32  # choices from here on: the actor of that index comes first
_STEPS: Final = 256
_CHOICES: Final = 64


@dataclass(frozen=True, slots=True)
class Budget:
    """How far a schedule may deviate; `switches` counts only those that interrupt an actor."""

    switches: int
    faults: int

    def covers(self, other: Budget) -> bool:
        return self.switches >= other.switches and self.faults >= other.faults


Deviations = tuple[tuple[int, int], ...]


def switch_to(index: int) -> int:
    return _SWITCH + index


def actor_of(choice: int) -> int | None:
    """Return the index of the actor that comes first; None when the choice is a fault."""
    return choice - _SWITCH if choice >= _SWITCH else None


def number_of(scene: int, deviations: Sequence[tuple[int, int]]) -> int:
    """Write a schedule as a number."""
    number = 0
    for step, choice in reversed(deviations):
        number = (number * _STEPS + step) * _CHOICES + choice
    return number * _CHOICES + scene


def read_number(number: int) -> tuple[int, Deviations]:
    """Read a schedule's number: the scene's index and the deviations."""
    number, scene = divmod(number, _CHOICES)
    deviations = []
    while number:
        number, choice = divmod(number, _CHOICES)
        number, step = divmod(number, _STEPS)
        deviations.append((step, choice))
    return scene, tuple(deviations)
