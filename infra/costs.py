"""What a deployment costs a month and how many connections a project carries: `python -m infra.costs`.

Prices in US dollars and quotas as published, each with its page and the day it was read; a month has 30 days. Reckoned
with warm instances, a run every five minutes, and access tokens of one hour, replaced 15 minutes before their end.
"""
# ruff: noqa: INP001 - infra is a namespace package

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
MONTH: Final = 30 * DAY
TICK: Final = 300  # seconds between two runs


@dataclass(frozen=True)
class Price:
    """What one unit costs, how much a month is free, and where that is written."""

    dollars: float
    free: float
    page: str
    read: str


# cloud.google.com/<page>. Free allowances are by billing account, but for logs (by project).
# Versions by the month, enabled or disabled; destroyed ones are free. By time: "This is based on actual consumption. If
# you had a secret version that was active for only 2 days, you would be billed proportional to that usage" (note 2).
VERSION = Price(0.06, 6, "secret-manager/pricing", "2026-11-28")
ACCESS = Price(0.03 / 10_000, 10_000, "secret-manager/pricing", "2026-11-28")
CPU = Price(0.000_024, 180_000, "run/pricing", "2026-11-20")  # vCPU-second, request-based billing, tier 1
MEMORY = Price(0.000_002_5, 360_000, "run/pricing", "2026-11-20")  # GiB-second
REQUEST = Price(0.40 / 1_000_000, 2_000_000, "run/pricing", "2026-11-20")
JOB = Price(0.10, 3, "scheduler/pricing", "2026-11-20")
PUBSUB = Price(40 / 2**40, 10 * 2**30, "pubsub/pricing", "2026-11-20")  # byte, at least 1000 a request
LOGS = Price(0.50 / 2**30, 50 * 2**30, "stackdriver/pricing", "2026-11-20")  # byte
BUILD = Price(0.006, 2_500, "build/pricing", "2026-11-29")  # minute of the default machine
IMAGES = Price(0.10, 0.5, "artifact-registry/pricing", "2026-11-28")  # GiB and month
# Alerting, by condition and month, and by time series that a query returns. Announced for 2025; a later text of the
# same page counts metric references instead and names no price, so the published one stands here.
CONDITION = Price(1.50, 0, "monitoring/alerts/cost-control", "2026-11-28")
SERIES = Price(0.35 / 1_000_000, 0, "monitoring/alerts/cost-control", "2026-11-28")

# cloud.google.com/secret-manager/quotas, read 2026-11-20: by project and minute, global and regional secrets together.
WRITE_QUOTA: Final = 600
WRITES_IN_USE: Final = 480  # SECRET_WRITES_PER_MINUTE: 80 % of it

INSTANCE_GIB: Final = 0.5
SERVICES: Final = 3  # refresh_http, consent, status
IMAGE_GIB: Final = 0.15  # a version of one, above the base image that Google keeps
IMAGE_VERSIONS: Final = 3  # kept by the clean-up policy
CONDITIONS: Final = 11
DEPLOYMENTS: Final = 4  # a month
CHECK_MINUTES: Final = 30  # cloudbuild.yaml: tests, lint, Terraform
IMAGE_MINUTES: Final = 3  # one function built from its source
# docs/benchmarks.md: an idle run over 10 000 connections, and one refresh, on one vCPU.
IDLE_SECONDS: Final = 0.7 / 10_000
NOTIFICATION_SECONDS: Final = 0.05  # the echo of one's own rotation: one read at most


@dataclass(frozen=True)
class Load:
    """So many connections whose refresh token is replaced at each refresh, or never."""

    connections: int
    rotates: bool
    token_life: int = HOUR
    margin: int = 900

    @property
    def period(self) -> int:
        """Return the seconds between two refreshes of one connection."""
        return self.token_life - self.margin

    @property
    def refreshes(self) -> float:
        """Return the refreshes a month."""
        return self.connections * MONTH / self.period

    @property
    def writes_per_refresh(self) -> int:
        """Return the Secret Manager writes of one refresh.

        Add and destroy an access token; with rotation also take and release the lease, add and destroy a grant.
        """
        return 6 if self.rotates else 2

    @property
    def writes_per_minute(self) -> float:
        """Return the writes a minute: minted at the pace, connections come due at the pace."""
        return self.refreshes * self.writes_per_refresh / (MONTH / MINUTE)

    @property
    def projects(self) -> int:
        """Return over how many projects the connections must be spread."""
        return math.ceil(self.writes_per_minute / WRITES_IN_USE)

    @property
    def versions(self) -> float:
        """Return the versions that exist at a time: the grant, the access token, and what lingers of its predecessor.

        The predecessor is destroyed in the first run after its end: `margin` later, and half a tick on average. With
        rotation the previous grant stays until the next one has been exchanged.
        """
        lingering = (self.margin + TICK / 2) / self.period
        return self.connections * (2 + lingering + (1 if self.rotates else 0))

    @property
    def run_seconds(self) -> float:
        """Return the duration of one run: half a second, a look at each connection, and its writes at the pace."""
        share = 1 / self.projects
        return 0.5 + self.connections * share * IDLE_SECONDS + self.writes_per_minute * share * TICK / WRITES_IN_USE


def usage(load: Load) -> dict[str, list[tuple[Price, float]]]:
    """Return what is used a month, by line of the bill."""
    ticks = MONTH / TICK * load.projects
    # With rotation Secret Manager tells of each lease, version and destruction: published each, delivered one in four.
    published = load.refreshes * 4 if load.rotates else 0
    delivered = load.refreshes if load.rotates else 0
    seconds = ticks * load.run_seconds + delivered * NOTIFICATION_SECONDS
    images = SERVICES * IMAGE_VERSIONS * IMAGE_GIB * load.projects
    conditions = CONDITIONS * load.projects
    return {
        "secret versions": [(VERSION, load.versions)],
        "accesses": [(ACCESS, load.refreshes)],
        "functions": [(CPU, seconds), (MEMORY, seconds * INSTANCE_GIB), (REQUEST, ticks + delivered)],
        "scheduler": [(JOB, 2 * load.projects)],
        "notifications": [(PUBSUB, (published + delivered) * 1000)],
        "logs": [(LOGS, (load.refreshes + ticks) * 1000)],
        "images": [(IMAGES, images)],
        "builds": [(BUILD, DEPLOYMENTS * (CHECK_MINUTES + SERVICES * IMAGE_MINUTES * load.projects))],
        # Each condition is looked at every minute and returns nothing while all is well; one series is reckoned.
        "alerts": [(CONDITION, conditions), (SERIES, conditions * MONTH / MINUTE)],
    }


def dollars(lines: list[tuple[Price, float]], *, after_free: bool) -> float:
    """Price a line of the bill, with or without the free allowances."""
    return sum(price.dollars * max(0.0, amount - (price.free if after_free else 0)) for price, amount in lines)


def capacity(*, rotates: bool, writes_per_minute: int, token_life: int = HOUR) -> int:
    """Return how many connections fit into so many writes a minute, with the margins of docs/contract.md, 4."""
    margin = max(min(900, token_life // 4), min(TICK + 300, token_life // 2))
    load = Load(1, rotates, token_life, margin)
    return math.floor(writes_per_minute / load.writes_per_minute + 1e-9)


def table() -> str:
    """Write the table of costs that docs/costs.md shows."""
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
    rows = [
        ["refresh token", "access token", *(f"at {pace} writes/min" for pace in paces)],
        ["---", "---:", "---:", "---:"],
    ]
    for rotates in (False, True):
        for life in (HOUR // 2, HOUR, 8 * HOUR):
            fits = [_whole(capacity(rotates=rotates, writes_per_minute=pace, token_life=life)) for pace in paces]
            rows.append(["replaced" if rotates else "kept", f"{life // MINUTE} min", *fits])
    return _markdown(rows)


def _whole(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(f"{table()}\n\n{limits()}")  # noqa: T201 - a command
