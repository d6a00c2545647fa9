"""`python -m infra.local up` keeps the local stack running; `python -m infra.local demo` tells its story."""

from __future__ import annotations

import argparse
import sys

from infra.local.demo.story import demo
from infra.local.processes.process import ProcessFailedError, end_on_signals
from infra.local.up import up


def main() -> int:
    """Run the command that was asked for; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("command", choices=["up", "demo"])
    command = parser.parse_args().command
    end_on_signals()
    try:
        if command == "demo":
            return demo()
        up()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)  # noqa: T201 - a command's output
        return 130
    except ProcessFailedError as failure:
        print(failure, file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
