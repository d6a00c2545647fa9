"""What the first edition lost grants by is found: A1 to A6 of its review, each put back into today's code.

And one defect for each other thing that the books judge. The explorer overlooks none that it says it has seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from tests.explorer.deviations import Fault
from tests.explorer.explore import Found, Search, kinds_of
from tests.explorer.scenes import SCENES
from tests.worlds.depth import IN_CI
from token_refresh.connections.incidents import Incidents
from token_refresh.connections.lease import Held, Leases
from token_refresh.connections.unwritten import Unwritten
from token_refresh.core.connection import STATUS, Connection
from token_refresh.core.state import verdict
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import Verdict
from token_refresh.core.status import Status, lease_of, parse_status
from token_refresh.core.token_endpoint.outcome import ErrorDetail
from token_refresh.errors import Busy, StoreError, Superseded
from token_refresh.refresh import refresher, save
from token_refresh.refresh.access_tokens import AccessTokens
from token_refresh.refresh.attempt import Attempt, Prepared, Reply
from token_refresh.refresh.preparation import Preparation
from token_refresh.refresh.save import Saver

A_LOT = 10.0**9

_save_refresh_token, _has_time = Saver._save_refresh_token, Leases.has_time
_write, _judge_death = AccessTokens.write, verdict._judge_death

_judge_death = verdict._judge_death


def throws_away(saver: Saver, reply: Reply) -> Attempt:
    try:
        saver._save_once(reply)
    except (StoreError, Busy, Superseded):
        return _save_refresh_token(saver, reply)
    except Exception:
        saver.unsaved.forget(reply)
        raise
    return saver._finish(reply)


def adds_without_looking(saver: Saver, reply: Reply) -> None:
    reply.own = reply.top = reply.top or saver.store.add(reply.secret_id, reply.payload)


def always_has_time(leases: Leases, held: Held, *, for_sends: int = 1) -> bool:
    return for_sends == 1 or _has_time(leases, held, for_sends=for_sends)


def sees_what_stands_there(unwritten: Unwritten, connection: Connection) -> Status | None:
    text = connection.record.annotations.get(STATUS)
    kept = unwritten._kept.get(connection.secret_id)
    return kept[1] if kept and kept[0] == text else parse_status(text)


def keeps_it_to_itself(leases: Leases, held: Held) -> None:
    """Nobody is told that the only copy is here."""


def looks_at_nothing(*_: object) -> None:
    """Whatever was added in between stays buried."""


def believes_latest(connection: Connection, situation: Situation) -> int:
    return max(lease_of(connection.record).version, situation.lowest_version)


def tells_nobody(*_: object) -> bool:
    return True


def destroys_one_more(tokens: AccessTokens, prepared: Prepared) -> None:
    tokens.store.destroy(prepared.connection.secret_id, prepared.version.number + 1)


def has_never_run_out(*_: object) -> bool:
    return False


def asks_at_once(situation: Situation, reason: str, detail: ErrorDetail) -> Verdict:
    refused = replace(situation, status=_judge_death(situation, reason, detail).status, confirm_after=0)
    return _judge_death(refused, reason, detail)


def forgets_that_it_was_lost(*_: object, **__: object) -> str:
    return "revoked_or_expired"


@dataclass(frozen=True, slots=True)
class Defect:
    """A defect: how it is put back, in which scene and by what it shows (no fault: an interruption alone), and how."""

    owner: object
    method: str
    variant: Callable[..., object]
    scene: str
    faults: frozenset[Fault]
    words: str


DEFECTS = {
    "A1: an exception nobody foresaw throws the new token away": Defect(
        Saver,
        "_save_refresh_token",
        throws_away,
        "two ticks, a strict provider",
        frozenset({Fault.DEFECT_BEFORE}),
        "whose successor is in the memory of",
    ),
    "A2: a holder that wakes up late buries its successor's token": Defect(
        Saver,
        "_save_once",
        adds_without_looking,
        "two ticks, a provider with a grace window",
        frozenset({Fault.LONG_FREEZE_AFTER}),
        "a token whose successor was stored",
    ),
    "A3: a second send goes out long after the lease": Defect(
        Leases,
        "has_time",
        always_has_time,
        "two ticks, a strict provider",
        frozenset({Fault.FROZEN_LOST}),
        "was killed by us",
    ),
    "A4: another instance spends the token whose successor is in a memory": Defect(
        Leases,
        "keep_unsaved",
        keeps_it_to_itself,
        "ticks in turn",
        frozenset({Fault.DENIED}),
        "whose successor is in the memory of",
    ),
    "A5: the grant that a person adds meanwhile is buried": Defect(
        save,
        "newest_between",
        looks_at_nothing,
        "a person adds a grant",
        frozenset(),
        "lives at the provider and is stored nowhere",
    ),
    "A6: a stale `latest` brings the old grant back": Defect(
        Preparation,
        "_lowest",
        staticmethod(believes_latest),
        "a person adds a grant, and the day goes on",
        frozenset({Fault.STALE}),
        "although the access token is of version",
    ),
    "a death is told to nobody": Defect(
        Incidents, "publish", tells_nobody, "an owner revokes", frozenset(), "was reported 0 times"
    ),
    "the newest version is destroyed": Defect(
        AccessTokens,
        "_destroy_previous_grant",
        destroys_one_more,
        "two ticks, a strict provider",
        frozenset(),
        "destroyed the newest version",
    ),
    "an access token is written that has run out": Defect(
        AccessTokens,
        "_has_run_out",
        has_never_run_out,
        "ticks in turn",
        frozenset({Fault.LONG_FREEZE_AFTER}),
        "published an access token that had run out",
    ),
    "an owner is asked after one bad moment": Defect(
        verdict,
        "_judge_death",
        asks_at_once,
        "two ticks, a provider that never rotates",
        frozenset({Fault.LYING}),
        "was asked for a grant that lives",
    ),
    "what was told of a state that could not be written is hidden by another instance's": Defect(
        Unwritten,
        "status_of",
        sees_what_stands_there,
        "a state cannot be written",
        frozenset(),
        "nobody heard that x has recovered",
    ),
    "a lost rotation is called something else": Defect(
        refresher,
        "explain_death",
        forgets_that_it_was_lost,
        "two ticks, a strict provider",
        frozenset({Fault.LOST_AFTER}),
        "the loss of x was reported as",
    ),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS.keys())
def test_it_is_found_once_it_is_back(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _explore(defect).failures
    monkeypatch.setattr(defect.owner, defect.method, defect.variant)
    assert any(defect.words in words for failure in _explore(defect).failures for words in failure.faults)


# Cheap to explore to the end. The last one's scene is so small that in CI all may go wrong in it that can.
TO_THE_END = [
    name for name in DEFECTS if name.startswith(("A3", "a lost", "an owner", *(("A1", "A5") if IN_CI else ())))
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TO_THE_END)
def test_nothing_is_overlooked_where_schedules_are_cut_short(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """States that were explored before are not explored again; without that the same faults are found."""
    defect = DEFECTS[name]
    monkeypatch.setattr(defect.owner, defect.method, defect.variant)
    quick, careful = (_search(defect, ((0, 0), (0, 1), (1, 0), (2, 0), (1, 1))) for _ in range(2))
    careful.is_thorough = True
    if IN_CI and defect.faults == {Fault.LYING}:
        quick.only = careful.only = frozenset(Fault)
    found, everything = quick.explore(10**6, A_LOT), careful.explore(10**6, A_LOT)
    assert found.merged
    assert everything.schedules > found.schedules
    assert everything.failures
    assert {k.faults for k in kinds_of(everything.failures)} == {k.faults for k in kinds_of(found.failures)}


def _explore(defect: Defect) -> Found:
    """Explore what this defect's fault, or one interruption, can do in this defect's scene."""
    return _search(defect, ((0, 0), (0, 1) if defect.faults else (1, 0))).explore(5000, A_LOT)


def _search(defect: Defect, order: Sequence[tuple[int, int]]) -> Search:
    index = next(i for i, s in enumerate(SCENES) if s.name == defect.scene)
    search = Search(index, SCENES[index], order)
    search.only = defect.faults
    return search
