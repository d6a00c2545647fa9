"""`make bench`: count and measure on this machine, print a table; nothing is asserted about time."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.rows import NOTE, count_calls, due_run, idle_run


def main() -> None:
    """Run every measurement, each on processes of its own."""
    console = Console()
    table = Table("", "measured", "plain loop", "ratio", box=None, header_style="bold", pad_edge=False)
    for measure in (count_calls, idle_run, due_run):
        with console.status(f"{measure.__name__.replace('_', ' ')} ..."), tempfile.TemporaryDirectory() as directory:
            for row in measure(Path(directory)):
                table.add_row(*row)
    console.print(table)
    console.print(f"\n{NOTE}", style="dim")


if __name__ == "__main__":
    main()
