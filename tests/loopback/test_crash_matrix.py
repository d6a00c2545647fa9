"""Killed (-9) at every call, before and after it takes effect, and run on: no grant is lost, and everybody is told.

The calls are not listed here: they are taken from a run that nobody disturbs. One point cannot be helped: between the
server's commit of a rotation and our durable write the only copy of the new refresh token is in the dying process.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds.crash_points import check_thrift, crash, is_commit_to_write, new_cell, points_of_kills, run_on
from tests.worlds.crash_scenes import SCENES, Scene, is_lost
from tests.worlds.crashes import GRACE, PATIENCE, CrashWorld

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashWorld]:
    with CrashWorld(tmp_path_factory.mktemp("crashes")) as world:
        yield world
        world.scan()
        assert world.canary.known > 20


def test_a_run_takes_the_time_of_its_calls_and_loads_nothing_of_ours(world: CrashWorld) -> None:
    """Hundreds of them are started: see worlds/warm.py."""
    cell = new_cell(world, SCENES[0], "strict")
    with world.start(cell.name) as run:
        assert run.answer(PATIENCE)[0] == 200
        assert run.loaded(PATIENCE) == []


@pytest.mark.parametrize(
    ("scene", "provider"), [pytest.param(s, p, id=f"{s.name}-{p}") for s in SCENES for p in s.providers]
)
def test_a_kill_at_any_call_loses_nothing(world: CrashWorld, scene: Scene, provider: str) -> None:
    points = points_of_kills(world, scene, provider)
    cells = {new_cell(world, scene, provider): point for point in points}
    for cell, point in cells.items():
        crash(cell, point)
    run_on(cells)
    check_thrift(cells)
    for cell, point in cells.items():
        is_gone = scene.lives and is_commit_to_write(point) and not GRACE[provider]
        try:
            is_lost(cell) if is_gone else scene.check(cell)
        except AssertionError as fault:
            raise AssertionError(f"{cell.name}, killed {point}: {fault}") from fault
