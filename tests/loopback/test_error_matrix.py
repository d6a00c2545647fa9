"""An error at every call, before or after it takes effect, once or from then on: no grant is lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest

from tests.worlds.crash_points import (
    TOKEN_ENDPOINT,
    Point,
    check_thrift,
    is_commit_to_write,
    new_cell,
    record_points,
    run_on,
)
from tests.worlds.crash_scenes import SCENES, Cell, is_lost
from tests.worlds.crashes import CrashWorld
from tests.worlds.depth import IN_CI

pytestmark = pytest.mark.timeout(240)
SCENE = {scene.name: scene for scene in SCENES}
REFUSED = "PERMISSION_DENIED"
CODES = ("UNAVAILABLE", "INTERNAL", REFUSED, "ABORTED")
# In CI each call fails with each of them; while one works they take turns.
TURNS = [(code,) for code in CODES] if IN_CI else [CODES]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashWorld]:
    with CrashWorld(tmp_path_factory.mktemp("errors")) as world:
        yield world
        world.scan()


def fail(cell: Cell, point: Point, code: str, *, lasts: bool) -> None:
    """Carry out a run in which that call, and with `lasts` every later one of its kind, fails."""
    faults = cell.world.secrets.faults
    secret = point.secret.replace("{name}", cell.name)
    calls = tuple(range(point.nth, point.nth + (1000 if lasts else 1)))
    fault = faults.add(rpc=point.what, secret=secret, calls=calls, when=point.when, code=code)
    try:
        cell.world.run(cell.name)
        assert fault.hits, f"{point} was never reached"
    finally:
        faults.clear()


@pytest.mark.parametrize(
    ("codes", "lasts"),
    [
        *(pytest.param(codes, False, id="-".join(codes).lower()) for codes in TURNS),
        pytest.param((REFUSED,), True, id="refused-for-good"),
    ],
)
@pytest.mark.parametrize("name", ["steady", "text"])
def test_an_error_at_any_call_loses_nothing(
    world: CrashWorld, name: str, codes: tuple[str, ...], *, lasts: bool
) -> None:
    scene = SCENE[name]
    points = [p for p in record_points(world, scene, "strict") if p.what != TOKEN_ENDPOINT]
    if lasts:  # what cannot be stored as long as the process lives is lost with it: tests/use_cases/test_lease.py
        points = [p for p in points if not is_commit_to_write(p)]
    cells = {new_cell(world, scene, "strict"): point for point in points}
    failed_with = dict(zip(cells, cycle(codes), strict=False))
    for cell, point in cells.items():
        fail(cell, point, failed_with[cell], lasts=lasts)
    run_on(cells)
    check_thrift({cell: point for cell, point in cells.items() if not is_commit_to_write(point)})
    for cell, point in cells.items():
        try:
            scene.check(cell)
        except AssertionError as fault:
            raise AssertionError(f"{cell.name}, {failed_with[cell]} {point}: {fault}") from fault


@pytest.mark.parametrize(
    ("fault", "is_known"),
    [
        pytest.param({"drop": True}, False, id="dropped"),
        pytest.param({"status": 502}, False, id="bad-gateway"),
        pytest.param({"status": 504}, False, id="gateway-timeout"),
        pytest.param({"status": 200, "body": "<html>"}, False, id="no-token-reply"),
        pytest.param({"status": 503}, True, id="unavailable"),
        pytest.param({"status": 429}, True, id="too-many-requests"),
        pytest.param({"status": 500, "body": "<html>"}, True, id="internal"),
    ],
)
def test_a_token_endpoint_that_fails_costs_an_attempt(
    world: CrashWorld, fault: dict[str, object], *, is_known: bool
) -> None:
    cells = {p: new_cell(world, SCENE["steady"], p) for p in ("strict", "lenient")}
    world.server.calls(clear=True)
    for provider, cell in cells.items():
        world.server.fail(client_id=provider, **fault)
        assert world.run(cell.name) == {cell.name: "unavailable" if is_known else "refreshed"}
    # An outcome that is known is not tried again in the same run, an unknown one is: once, at once.
    assert len(world.server.calls()) == (2 if is_known else 4)
    run_on(cells.values())
    for cell in cells.values():
        SCENE["steady"].check(cell)


def test_an_answer_that_is_lost_after_the_commit_is_recovered_by_grace_and_else_reported(world: CrashWorld) -> None:
    cells = {p: new_cell(world, SCENE["steady"], p) for p in ("strict", "lenient")}
    for provider, cell in cells.items():
        world.server.fail(client_id=provider, commit=True, drop=True)
        world.run(cell.name)
    run_on(cells.values())
    SCENE["steady"].check(cells["lenient"])
    is_lost(cells["strict"])
