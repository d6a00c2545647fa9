"""After a scene: nothing goes wrong any more, and an instance ticks every five minutes.

Ticks at which nothing can be due are left out: once a tick has found nothing to do, the next one is where the next
refresh or probe is due. `whole` leaves none out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from token_refresh.core.connection import LEASE, STATUS, SUFFIX
from token_refresh.core.status import State, parse_lease, parse_status
from token_refresh.core.trigger import Trigger

if TYPE_CHECKING:
    from tests.explorer.stage import Stage

TICK: Final = 300.0
_STEADY: Final = (2700.0, 2700.0, 300.0)  # two refreshes, one by each instance
_LONGEST: Final = 60  # ticks without rest


def live(stage: Stage, *, whole: bool = False) -> None:
    """Let a day pass."""
    for member in stage.instances:
        if member.life.dead:
            member.start()
    if whole:
        for number in range(288):
            _tick(stage, number, TICK)
        return
    number = 0
    while (not number or not _is_at_rest(stage)) and number < _LONGEST:
        _tick(stage, number, TICK)
        number += 1
    for seconds in _STEADY:
        _tick(stage, number, seconds)
        number += 1
    if not _is_at_rest(stage, also_dead=False):
        for seconds in (3600.0, 300.0, 14_400.0, 300.0, 86_400.0, 300.0, 300.0):
            _tick(stage, number, seconds)
            number += 1


def _tick(stage: Stage, number: int, seconds: float) -> None:
    stage.clock.advance(seconds)
    stage.instances[number % 2].run(Trigger())


def _is_at_rest(stage: Stage, *, also_dead: bool = True) -> bool:
    for name in stage.books.names():
        notes = stage.cloud.secrets[name + SUFFIX].record.annotations
        status, lease = parse_status(notes.get(STATUS)), parse_lease(notes.get(LEASE))
        if status and not status.owed and (status.state == State.NEEDS_CONSENT or name in stage.books.disabled):
            if not also_dead:
                return False
        elif status or (lease and lease.holder) or not stage.books.has_valid_token(name):
            return False
    return True
