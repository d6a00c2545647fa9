"""The moments of a run at which something may happen, taken from a run that nobody disturbs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import NamedTuple

from tests.worlds.crash_scenes import Cell, Scene
from tests.worlds.crashes import CrashWorld, wait_until
from tests.worlds.depth import IN_CI

AFTER_THE_LEASE = 130.0  # LEASE_SECONDS is 120
AFTER_AN_UNSAVED_LEASE = 1100.0  # three runs of 300 s, after a lease; its holder may have died with the process
TOKEN_ENDPOINT = "token endpoint"
_numbers = itertools.count(1)


class Point(NamedTuple):
    """A moment of a run: before or after the nth call of its kind takes effect."""

    what: str  # an RPC, or the token endpoint
    secret: str  # `{name}` stands for the connection
    nth: int
    when: str


def new_cell(world: CrashWorld, scene: Scene, provider: str) -> Cell:
    cell = Cell(world, f"{scene.name}-{provider}-{next(_numbers)}", provider)
    scene.prepare(cell)
    return cell


def record_points(world: CrashWorld, scene: Scene, provider: str) -> list[Point]:
    """Run once undisturbed and list every moment at which the process could have died."""
    cell = new_cell(world, scene, provider)
    world.secrets.calls.clear()
    world.server.calls(clear=True)
    world.run(cell.name)
    counts: Counter[tuple[str, str]] = Counter()
    kinds = [(c.rpc, c.secret.replace(cell.name, "{name}"), c.code == "OK") for c in world.secrets.calls]
    kinds += [(TOKEN_ENDPOINT, "", True)] * len(world.server.calls(clear=True))
    points = []
    for rpc, secret, has_effect in kinds:
        counts[rpc, secret] += 1
        moments = ("before", "after") if has_effect else ("before",)
        points += [Point(rpc, secret, counts[rpc, secret], when) for when in moments]
    return points


def points_of_kills(world: CrashWorld, scene: Scene, provider: str) -> list[Point]:
    """List the moments to kill a process at: in CI all of them.

    Who dies before a call leaves what it would have left right after the last one: elsewhere one of the two is enough.
    """
    points = record_points(world, scene, provider)
    assert len(points) > 8
    return points if IN_CI else [points[0], *(point for point in points[1:] if point.when == "after")]


def arm(cell: Cell, point: Point) -> None:
    """Let the call hang at that moment."""
    if point.what == TOKEN_ENDPOINT:
        commits = point.when == "after"
        cell.world.server.fail(client_id=cell.provider, skip=point.nth - 1, hang=True, commit=commits)
    else:
        secret = point.secret.replace("{name}", cell.name)
        cell.world.secrets.faults.add(rpc=point.what, secret=secret, calls=point.nth, when=point.when, hang=True)


def crash(cell: Cell, point: Point) -> None:
    """Run until that moment, and kill the process there."""
    world = cell.world
    calls_before = len(world.server.calls())
    arm(cell, point)

    def is_reached() -> bool:
        if point.what == TOKEN_ENDPOINT:
            return any(call["result"] == "hanging" for call in world.server.calls()[calls_before:])
        return any(fault.hits for fault in world.secrets.faults.active)

    try:
        with world.start(cell.name) as run:
            wait_until(lambda: is_reached() or not run.running, f"{point}")
            assert is_reached(), f"{point} was never reached"
            run.kill()
    finally:
        world.secrets.faults.replace({"stale": world.secrets.faults.stale})
        world.server.clear_faults()


def is_commit_to_write(point: Point) -> bool:
    """Tell whether the only copy of the new refresh token is in the process."""
    if point.what == TOKEN_ENDPOINT:
        return point.when == "after"
    return (point.what, point.secret, point.nth) == ("AddSecretVersion", "{name}-refresh-token", 1) and (
        point.when == "before"
    )


def run_on(cells: Collection[Cell]) -> None:
    """Run as the schedule would, past leases and confirmations; the last run is an operator's."""
    names = [cell.name for cell in cells]
    world = next(iter(cells)).world
    for later in (AFTER_THE_LEASE, 2 * AFTER_THE_LEASE, AFTER_AN_UNSAVED_LEASE):
        world.run(*names, later=later)
    world.run(*names, later=AFTER_AN_UNSAVED_LEASE + AFTER_THE_LEASE, force=True, clean=True)


def check_thrift(cells: Mapping[Cell, Point]) -> None:
    """Contract 7: no token is spent twice, but for those whose answer died with the process."""
    world = next(iter(cells)).world
    excused = {sha256(c.seed.encode()).hexdigest() for c, p in cells.items() if is_commit_to_write(p)}
    spent = Counter(c["refresh_token_sha256"] for c in world.server.calls() if c["committed"])
    assert not [token for token, times in spent.items() if times > 1 and token not in excused]
    assert all(times <= 2 for times in spent.values())
