"""`latest`, lists and metadata that are minutes old may cost an attempt, never a grant: also after a crash."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds.crash_points import check_thrift, crash, is_commit_to_write, new_cell, points_of_kills, run_on
from tests.worlds.crash_scenes import SCENES, is_lost
from tests.worlds.crashes import CrashWorld
from tests.worlds.depth import IN_CI

pytestmark = pytest.mark.timeout(240)
STEADY = next(scene for scene in SCENES if scene.name == "steady")
ALL = ("latest", "lists", "metadata")
KINDS = [pytest.param(kinds, id="-".join(kinds)) for kinds in (ALL, *((kind,) for kind in ALL))]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashWorld]:
    with CrashWorld(tmp_path_factory.mktemp("stale")) as world:
        yield world
        world.scan()


@pytest.mark.parametrize("kinds", KINDS)
def test_runs_that_read_what_was_lose_nothing(world: CrashWorld, kinds: tuple[str, ...]) -> None:
    cells = [new_cell(world, STEADY, "strict") for _ in range(5)]
    world.server.calls(clear=True)
    world.secrets.faults.set_stale(**dict.fromkeys(kinds, 3600.0))
    for _ in range(3):  # each in a new process, which remembers nothing of its own writes
        world.run(*(c.name for c in cells), force=True)
    world.secrets.faults.clear()
    run_on(cells)
    spent = [c["refresh_token_sha256"] for c in world.server.calls()]
    assert len(spent) == len(set(spent)), "a refresh token was sent twice"
    for cell in cells:
        STEADY.check(cell)


@pytest.mark.parametrize("kinds", KINDS if IN_CI else KINDS[:1])
def test_a_kill_at_any_call_loses_nothing_while_reads_are_stale(world: CrashWorld, kinds: tuple[str, ...]) -> None:
    points = points_of_kills(world, STEADY, "strict")
    cells = {new_cell(world, STEADY, "strict"): point for point in points}
    world.secrets.faults.set_stale(**dict.fromkeys(kinds, 3600.0))
    for cell, point in cells.items():
        crash(cell, point)
    run_on(cells)
    world.secrets.faults.clear()
    run_on(cells)
    check_thrift(cells)
    for cell, point in cells.items():
        try:
            is_lost(cell) if is_commit_to_write(point) else STEADY.check(cell)
        except AssertionError as fault:
            raise AssertionError(f"{cell.name}, killed {point}: {fault}") from fault
