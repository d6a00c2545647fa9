"""`python -m tests.explorer`: explore; `replay NUMBER` tells one schedule as a story."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence

from tests.explorer.deviations import read_number
from tests.explorer.explore import Found, explore, kinds_of, play
from tests.explorer.scenes import SCENES


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.explorer", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    deep = commands.add_parser("explore", help="explore, and say how far")
    deep.add_argument("--schedules", type=int, default=2_000_000)
    deep.add_argument("--seconds", type=float, default=1200)
    deep.add_argument("--scene", type=int, help="only this one")
    deep.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    one = commands.add_parser("replay", help="tell one schedule as a story")
    one.add_argument("number", type=int)
    one.add_argument("--whole", action="store_true", help="all 288 ticks of the quiet day")
    parsed = parser.parse_args(arguments)
    if parsed.command == "replay":
        sys.stdout.write(tell(parsed.number, whole=parsed.whole) + "\n")
        return 0
    if parsed.command != "explore":
        parser.print_help()
        return 2
    scenes = SCENES if parsed.scene is None else SCENES[parsed.scene : parsed.scene + 1]
    began = time.monotonic()
    found, by_scene = explore(parsed.schedules, parsed.seconds, scenes, parsed.processes)
    sys.stdout.write(report(found, by_scene, time.monotonic() - began) + "\n")
    return 1 if found.failures else 0


def tell(number: int, *, whole: bool = False) -> str:
    """Tell a schedule as a story."""
    index, deviations = read_number(number)
    logging.disable(logging.CRITICAL)
    try:
        played = play(SCENES[index], deviations, whole=whole)
    finally:
        logging.disable(logging.NOTSET)
    start = played.scheduler.log[0][0] if played.scheduler.log else 0
    lines = [f"schedule {number}: {SCENES[index].name}"]
    for step, _ in deviations:
        point = played.scheduler.steps[step]
        lines.append(f"  deviates at step {step}: {point.actor} before {point.operation} {point.target}")
    lines += [f"  {at - start:7.0f} s  {who:18} {words}" for at, who, words in played.scheduler.log]
    lines += ["  the quiet day:"]
    lines += [f"  {at - start:7.0f} s  {'':18} {words}" for at, words in played.stage.books.diary]
    lines += [f"  => {fault}" for fault in played.faults] or ["  => all is well"]
    return "\n".join(lines)


def report(found: Found, by_scene: dict[str, Found], seconds: float) -> str:
    """Say what was explored and what was found."""
    each = 1000 * seconds / max(1, found.schedules)
    lines = [
        f"{found.schedules} schedules in {seconds:.0f} s ({each:.2f} ms each)",
        f"{found.merged} of them were cut short: they had come to a state explored before",
        "explored and known to be left, by (switches, faults):",
    ]
    for name, one in by_scene.items():
        counts = ", ".join(f"{c}: {n}" + (f" of {n + one.left[c]}" if one.left[c] else "") for c, n in one.done.items())
        lines.append(f"  {name}: {counts}")
    for kind in kinds_of(found.failures):
        lines.append(f"FAILS {kind.count} x: {'; '.join(kind.faults)} (in {', '.join(kind.scenes)})")
        lines.append(f"  python -m tests.explorer replay {kind.shortest}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
