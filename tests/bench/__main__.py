"""`make bench`: count and measure on this machine, print each figure beside its goal; nothing is asserted about time.

`BENCH="--only idle,due"` for some rows, `--json` for machines, `--long` for thirty simulated days (hours).
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import rows, simulated
from tests.bench.cold_start import cold_start
from tests.bench.row import Row

MEASURES: dict[str, Callable[[Path], Iterator[Row]]] = {
    "calls": rows.calls,
    "cold": cold_start,
    "cpu": rows.cpu,
    "due": rows.due,
    "idle": rows.idle,
    "memory": rows.memory,
    "shards": rows.shards,
    "rush": simulated.rush,
    "days": simulated.days,
    "month": simulated.month,
}


def main() -> None:
    """Run the measurements, each on processes of its own."""
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON list of rows")
    parser.add_argument("--only", default="", help=f"some of {', '.join(MEASURES)}")
    parser.add_argument("--long", action="store_true", help="thirty days instead of a few")
    options = parser.parse_args()
    left_out = "days" if options.long else "month"
    names = options.only.split(",") if options.only else [name for name in MEASURES if name != left_out]
    logging.disable(logging.CRITICAL)
    console = Console(stderr=options.json)
    found: list[Row] = []
    for name in names:
        with console.status(f"{name} ..."), tempfile.TemporaryDirectory() as directory:
            for row in MEASURES[name](Path(directory)):
                found.append(row)
                console.print(_table(row, is_first=len(found) == 1))
    if options.json:
        print(json.dumps([row._asdict() for row in found], indent=2))  # noqa: T201 - a command's output
        return
    console.print(f"\n{rows.NOTE}", style="dim")


def _table(row: Row, *, is_first: bool) -> Table:
    """Return a table of one row, to be shown as soon as it is measured: all of them together take minutes."""
    table = Table(
        box=None, header_style="bold", pad_edge=False, show_header=is_first, expand=True, padding=(0, 2, 1, 0)
    )
    for heading, ratio in (("", 4), ("measured", 6), ("goal", 3), ("beside", 5)):
        table.add_column(heading, ratio=ratio)
    table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
