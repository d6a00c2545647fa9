"""End the process groups of an owner that was killed: `python -m infra.local.processes.warden`, fed by `processes`.

An owner that is killed (-9, out of memory, a test's time limit) cannot stop its children. This process hears of each
one on its standard input (`+<pid>`, `-<pid>`); when the owner is gone the pipe closes, and what is left is ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

GRACE_SECONDS = 2.0


def main() -> None:
    """Listen until the pipe closes, then end what is left."""
    # Ctrl-C at the owner's terminal is the owner's matter.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        if groups and number is signal.SIGTERM:
            time.sleep(GRACE_SECONDS)


if __name__ == "__main__":
    main()
