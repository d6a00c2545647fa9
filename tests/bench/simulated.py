"""Rows by virtual time: the real code over a Secret Manager that enforces the quota; nothing depends on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench.row import Row
from tests.worlds.metered import MeteredWorld
from tests.worlds.month import MINUTE, Month

RUSH = 10_000
# (connections, days, length of each daily outage in s)
SHORT = ((1_000, 3, 20 * MINUTE), (10_000, 0.25, 4 * MINUTE))
LONG = ((1_000, 30, 20 * MINUTE), (10_000, 30, 4 * MINUTE))


def rush(_: Path) -> Iterator[Row]:
    """Let ten thousand be due at once."""
    world = MeteredWorld()
    world.add(RUSH)
    began, deferred, runs = world.time(), RUSH, 0
    while deferred:
        world.time.now = max(world.time.now, began + world.settings.run_every * runs)
        counts = world.run().document()["counts"]
        assert isinstance(counts, dict)
        deferred, runs = counts.get("deferred", 0), runs + 1
    thrown = world.made.total() - world.stored()
    failures = len(world.publisher.events) + len(world.statuses()) + world.cloud.refused
    limit = world.settings.run_seconds + 2 * world.settings.http_timeout
    yield Row(
        f"{RUSH:,} due at once, quota enforced",
        f"{thrown} tokens thrown away, {failures} failures, {world.used():.1%} of the pace, "
        f"longest of {runs} runs {world.longest:.0f} s",
        f"0, 0, 95 %, {limit:.0f} s",
    )


def days(_: Path) -> Iterator[Row]:
    """Live through a few days."""
    yield from _live(SHORT)


def month(_: Path) -> Iterator[Row]:
    """Live through thirty days; takes a quarter of an hour for a thousand connections, hours for ten thousand."""
    yield from _live(LONG)


def _live(lives: tuple[tuple[int, float, int], ...]) -> Iterator[Row]:
    for connections, days_, outage in lives:
        life = Month(connections=connections, days=days_, outage=outage, deaths_a_day=connections / 200)
        life.live()
        faults = life.faults()
        yield Row(
            f"{days_:g} days, {connections:,} connections, daily outage of {outage // MINUTE} min",
            f"{len(faults)} faults in {life.made.total():,} refreshes and {len(life.publisher.events):,} events, "
            f"${life.dollars():.3f} a connection and month{'; ' + faults[0] if faults else ''}",
            "0 faults, $0.16",
        )
