"""What a deployment costs a month and how many connections a project carries: `python -m infra.costs`.

Prices in US dollars and quotas as published, each with its page and the day it was read; a month has 30 days. Reckoned
with warm instances and access tokens of one hour, replaced 15 minutes before their end.
"""
# ruff: noqa: INP001 - infra is a namespace package

from __future__ import annotations

import math
from dataclasses import dataclass

DAY = 86_400
MONTH = 30 * DAY
TICK = 300  # seconds between two runs


@dataclass(frozen=True)
class Price:
    """What one unit costs, how much a month is free, and where that is written."""

    dollars: float
    free: float
    page: str
    read: str


# cloud.google.com/<page>. Free allowances are by billing account, but for logs (by project).
VERSION = Price(
    0.06, 6, "secret-manager/pricing", "2026-11-20"
)  # enabled or disabled, a month; destroyed ones are free
ACCESS = Price(0.03 / 10_000, 10_000, "secret-manager/pricing", "2026-11-20")
CPU = Price(0.000_024, 180_000, "run/pricing", "2026-11-20")  # vCPU-second, request-based billing, tier 1
MEMORY = Price(0.000_002_5, 360_000, "run/pricing", "2026-11-20")  # GiB-second
REQUEST = Price(0.40 / 1_000_000, 2_000_000, "run/pricing", "2026-11-20")
JOB = Price(0.10, 3, "scheduler/pricing", "2026-11-20")
PUBSUB = Price(40 / 2**40, 10 * 2**30, "pubsub/pricing", "2026-11-20")  # byte, at least 1000 a request
LOGS = Price(0.50 / 2**30, 50 * 2**30, "stackdriver/pricing", "2026-11-20")  # byte

# cloud.google.com/secret-manager/quotas, read 2026-11-20: by project and minute, global and regional secrets together.
WRITE_QUOTA = 600
WRITES_IN_USE = 480  # SECRET_WRITES_PER_MINUTE: 80 % of it


@dataclass(frozen=True)
class Load:
    """So many connections whose refresh token is replaced at each refresh, or never."""

    connections: int
    rotates: bool
    token_life: int = 3600
    margin: int = 900

    @property
    def refreshes(self) -> float:
        """Return the refreshes a month."""
        return self.connections * MONTH / (self.token_life - self.margin)

    @property
    def writes_per_refresh(self) -> int:
        """Return the Secret Manager writes of one refresh.

        Add and destroy an access token; with rotation also take and release the lease, add and destroy a grant.
        """
        return 6 if self.rotates else 2

    @property
    def writes_per_minute(self) -> float:
        """Return the writes a minute, spread evenly by the jitter."""
        return self.refreshes * self.writes_per_refresh / (MONTH / 60)

    @property
    def projects(self) -> int:
        """Return over how many projects the connections must be spread."""
        return math.ceil(self.writes_per_minute / WRITES_IN_USE)

    @property
    def run_seconds(self) -> float:
        """Return the duration of one run: half a second, and its writes at the pace, in each project at once."""
        return 0.5 + self.writes_per_minute / self.projects * TICK / 60 / (WRITES_IN_USE / 60)


def usage(load: Load) -> dict[str, list[tuple[Price, float]]]:
    """Return what is used a month, by line of the bill."""
    ticks = MONTH / TICK * load.projects
    # The grant, the access token and its predecessor; with rotation also the previous grant.
    versions = load.connections * (4 if load.rotates else 3)
    seconds = ticks * load.run_seconds
    # Secret Manager tells of each lease, version and destruction: published once, for two subscriptions.
    messages = load.refreshes * 4 if load.rotates else 0
    return {
        "secret versions": [(VERSION, versions)],
        "accesses": [(ACCESS, load.refreshes)],
        "functions": [(CPU, seconds), (MEMORY, seconds), (REQUEST, ticks)],
        "scheduler": [(JOB, 2 * load.projects)],
        "notifications": [(PUBSUB, messages * 3 * 1000)],
        "logs": [(LOGS, (load.refreshes + ticks) * 1000)],
    }


def dollars(lines: list[tuple[Price, float]], *, after_free: bool) -> float:
    """Price a line of the bill, with or without the free allowances."""
    return sum(price.dollars * max(0.0, amount - (price.free if after_free else 0)) for price, amount in lines)


def capacity(*, rotates: bool, writes_per_minute: int) -> int:
    """Return how many connections fit into so many writes a minute."""
    return math.floor(writes_per_minute / Load(1, rotates).writes_per_minute + 1e-9)


def table() -> str:
    """Write the table of costs that README.md shows."""
    loads = [Load(connections, rotates) for connections in (10, 1_000, 10_000) for rotates in (False, True)]
    lines = list(usage(loads[0]))
    rows = [["connections", "refresh token", "writes/min", "projects", *lines, "list price", "after free allowances"]]
    rows.append(["---:", "---", *["---:"] * (len(rows[0]) - 2)])
    for load in loads:
        bill = usage(load)
        totals = [sum(dollars(line, after_free=free) for line in bill.values()) for free in (False, True)]
        rows.append(
            [
                _whole(load.connections),
                "replaced" if load.rotates else "kept",
                f"{load.writes_per_minute:.1f}",
                str(load.projects),
                *(f"${dollars(line, after_free=False):.2f}" for line in bill.values()),
                *(f"**${total:.2f}**" for total in totals),
            ]
        )
    return _markdown(rows)


def limits() -> str:
    """Write the table of what one project carries."""
    paces = (WRITES_IN_USE, WRITE_QUOTA)
    rows = [["refresh token", *(f"at {pace} writes/min" for pace in paces)], ["---", "---:", "---:"]]
    for rotates in (False, True):
        fits = [_whole(capacity(rotates=rotates, writes_per_minute=pace)) for pace in paces]
        rows.append(["replaced" if rotates else "kept", *fits])
    return _markdown(rows)


def _whole(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(f"{table()}\n\n{limits()}")  # noqa: T201 - a command
