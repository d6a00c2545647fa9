"""One line of the bench: what is measured, what came of it, and what it is held against."""

from __future__ import annotations

from typing import NamedTuple

ROUNDS = 5


class Row(NamedTuple):
    """One figure beside its goal; `baseline` is what the same run has measured for comparison."""

    what: str
    measured: str
    goal: str = ""
    baseline: str = ""
