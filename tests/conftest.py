"""What all tests share: in CI a skipped test is a failed one."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest

if sys.dont_write_bytecode:
    # Hundreds of processes begin in here: what one has compiled the others find, and still nothing lies beside sources.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).resolve().parents[1] / "build" / "bytecode")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail when a test was skipped: all it needs is installed")


def pytest_collection_finish() -> None:
    """Spare the collector what stays anyway: modules and tests."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if not session.config.getoption("--no-skips") or exitstatus not in (0, pytest.ExitCode.OK):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped"):
        reporter.write_line("skipped tests are failures here: install what they need", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def _forks() -> None:
    """Start by a fork what is scenery."""
    from tests.worlds import forks  # noqa: PLC0415 - after the lines above

    forks.install()
