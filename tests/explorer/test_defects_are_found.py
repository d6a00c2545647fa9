"""What the first edition lost grants by is found: A1 to A6 of its review."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.explorer.deviations import Fault
from tests.explorer.explore import Failure, Search
from tests.explorer.scenes import SCENES

A_LOT = 10.0**9
ORDER = ((0, 0), (1, 0), (0, 1))


@dataclass(frozen=True, slots=True)
class Defect:
    """A defect: where it shows, by which fault (None: by an interruption alone), and how."""

    scene: str
    fault: Fault | None
    words: str


DEFECTS = {
    "A1: an exception nobody foresaw throws the new token away": Defect(
        "two ticks, a strict provider", Fault.DEFECT_BEFORE, "whose successor is in the memory of"
    ),
    "A2: a holder that wakes up late buries its successor's token": Defect(
        "two ticks, a provider with a grace window", Fault.LONG_FREEZE_AFTER, "is not the newest version"
    ),
    "A3: a second send goes out long after the lease": Defect(
        "two ticks, a strict provider", Fault.FROZEN_LOST, "was killed by us"
    ),
    "A4: another instance spends the token whose successor is in a memory": Defect(
        "ticks in turn", Fault.DENIED, "whose successor is in the memory of"
    ),
    "A5: the grant that a person adds meanwhile is buried": Defect(
        "a person adds a grant", None, "lives at the provider and is stored nowhere"
    ),
    "A6: a stale `latest` brings the old grant back": Defect(
        "a person adds a grant, and the day goes on", Fault.STALE, "although the access token is of version"
    ),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS.keys())
def test_it_is_found(defect: Defect) -> None:
    index = next(i for i, s in enumerate(SCENES) if s.name == defect.scene)
    found = Search(index, SCENES[index], ORDER).explore(5000, A_LOT)
    assert any(_shows(defect, failure) for failure in found.failures)


def _shows(defect: Defect, failure: Failure) -> bool:
    choices = [choice for _, choice in failure.deviations]
    by_fault = defect.fault in choices if defect.fault else all(c >= 32 for c in choices)
    return by_fault and any(defect.words in words for words in failure.faults)
