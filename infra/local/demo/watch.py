"""A refresh run as it happens, one line per connection: read off the calls that arrive at the local Secret Manager."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from infra.local.demo.facts import ask
from infra.local.demo.samples import Sample
from infra.local.stack import Stack

REFRESHES_PER_SECOND = 12
# Of the columns; with indent and gaps they fit a terminal of 80.
WIDTHS = (16, 15, 33, 6)
STYLES = {
    "refreshed": "green",
    "fresh": "green",
    "healthy": "green",
    "needs_consent": "red",
    "rejected": "magenta",
    "misconfigured": "magenta",
    "suspect": "yellow",
    "unavailable": "yellow",
}
# What a call of Secret Manager says about its connection, by RPC and kind of secret.
STEPS = {
    ("AccessSecretVersion", "refresh-token"): "reads the refresh token",
    ("UpdateSecret", "refresh-token"): "writes lease or status",
    ("AddSecretVersion", "refresh-token"): "stores the new refresh token",
    ("AddSecretVersion", "access-token"): "writes the access token",
}


def watch_run(stack: Stack, samples: Sequence[Sample], console: Console, body: dict[str, Any]) -> dict[str, Any]:
    """POST `body` to refresh_http and show what happens meanwhile; answers its report.

    A live table on a terminal, a line per connection otherwise. Raises UnexpectedError when the run is refused.
    """
    began = len(stack.secret_manager.calls)
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    with ThreadPoolExecutor(1) as pool, live or nullcontext():
        run = pool.submit(ask, stack.functions["refresh_http"].url, body=body)
        while live and not run.done():
            live.update(_table(samples, _steps(stack, began), {}), refresh=True)
            time.sleep(1 / REFRESHES_PER_SECOND)
        report = run.result()
        outcomes = {one["name"]: one for one in report["connections"]}
        if live:
            live.update(_table(samples, {}, outcomes), refresh=True)
    if not live:
        for sample in samples:
            if one := outcomes.get(sample.name):
                line = f"   {sample.name:<{WIDTHS[0]}}  {sample.shows:<{WIDTHS[1]}}  {_verdict(one)}"
                console.print(line, style=STYLES.get(one["outcome"]))
    return report


def _steps(stack: Stack, began: int) -> dict[str, str]:
    steps = {}
    for call in list(stack.secret_manager.calls)[began:]:
        for kind in ("refresh-token", "access-token"):
            if call.secret.endswith(f"-{kind}") and (step := STEPS.get((call.rpc, kind))):
                steps[call.secret.removesuffix(f"-{kind}")] = step
    return steps


def _table(samples: Sequence[Sample], steps: dict[str, str], outcomes: dict[str, dict[str, Any]]) -> Padding:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading, width in zip(("connection", "what it shows", "outcome", "life"), WIDTHS, strict=True):
        table.add_column(heading, header_style="dim", min_width=width, no_wrap=True)
    for sample in samples:
        if one := outcomes.get(sample.name):
            now = Text(_verdict(one), STYLES.get(one["outcome"], ""))
            table.add_row(sample.name, sample.shows, now, _life(one.get("access_token_expires_at")))
        else:
            table.add_row(sample.name, sample.shows, Text(steps.get(sample.name, ""), "dim italic"), "")
    return Padding(table, (0, 0, 0, 3))


def _verdict(one: dict[str, Any]) -> str:
    """Name the outcome, and why in words."""
    outcome, reason = str(one["outcome"]), str(one.get("reason") or "")
    return outcome if reason in ("", outcome) else f"{outcome}: {reason.replace('_', ' ')}"


def _life(expires_at: float | None) -> str:
    return f"{(expires_at - time.time()) / 60:.0f} min" if expires_at else ""
