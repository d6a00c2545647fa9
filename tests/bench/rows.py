"""The rows of the table: what is measured, how, and what it is held against."""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.baselines.plain_sequential import refresh_all
from tests.bench.scene import SECRET_SECONDS, TOKEN_SECONDS, Scene, scene

IDLE = 1000
DUE = 500
ROUNDS = 5
SAMPLE = 40  # of the sequential loop: all of it would take more than a minute
WAIT_SECONDS = 60.0
LISTS_OF_A_RUN = {"ListSecrets": 2}


class Row(NamedTuple):
    """One line of the table."""

    what: str
    measured: str
    baseline: str = ""
    ratio: str = ""


def count_calls(directory: Path) -> Iterator[Row]:
    """Count what one refresh in steady state costs."""
    with scene(directory) as s:
        for client, what in (("brief", "no rotation"), ("brief-rotating", "rotation")):
            s.declare_client(client)
            s.declare([f"one-{client}"], client)
            calls = _calls_of_fourth_refresh(s, f"one-{client}")
            yield Row(f"One refresh, {what}", calls)


def _calls_of_fourth_refresh(s: Scene, name: str) -> str:
    """Run until the fourth version is written: then previous versions are destroyed and all memory is warm."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        s.calls()
        report, _ = s.run(connections=[name])
        if report["connections"][0]["version"] == 4:
            return _words(s.calls() - Counter(LISTS_OF_A_RUN))
        time.sleep(0.1)
    raise TimeoutError("no fourth refresh within a minute")


def idle_run(directory: Path) -> Iterator[Row]:
    """Count and time a run in which nothing is due."""
    with scene(directory) as s:
        now = int(time.time())
        document = {"expires_at": now + 3600, "refreshed_at": now, "connection_version": "1"}
        s.declare_client("plain")
        s.declare([f"idle-{number}" for number in range(IDLE)], document=document)
        s.run()
        s.calls()
        seconds = []
        for _ in range(ROUNDS):
            report, took = s.run()
            assert report["counts"] == {"fresh": IDLE}, report["counts"]
            seconds.append(took)
        calls = Counter({rpc: count // ROUNDS for rpc, count in s.calls().items()})
        yield Row(f"Idle run, {IDLE:,} connections", f"{_words(calls)}; {statistics.median(seconds) * 1000:.0f} ms")


def due_run(directory: Path) -> Iterator[Row]:
    """Time a run in which everything is due, and a part of the plain sequential loop over the same secrets."""
    with scene(directory) as s:
        s.declare_client("plain")
        s.declare([f"due-{number}" for number in range(DUE)])
        with s.slow_secrets():
            sequential = _plain(s)
            cold = _due(s)
            warm = statistics.median(_due(s) for _ in range(ROUNDS))
            sequential += _plain(s)
    baseline = statistics.median(sequential) * DUE
    for state, seconds in (("first run", cold), ("warm", warm)):
        yield Row(f"{DUE} due, {state}", f"{seconds:.2f} s", f"{baseline:.1f} s", f"{baseline / seconds:.1f} x")


def _due(s: Scene) -> float:
    report, seconds = s.run(force=True)
    assert report["counts"] == {"refreshed": DUE}, report["counts"]
    return seconds


def _plain(s: Scene) -> list[float]:
    return refresh_all(s.client, s.project, "oauth-client-plain", s.token_url, SAMPLE)


def _words(calls: Counter[str]) -> str:
    """Say how often each RPC was called, by its verb."""
    return ", ".join(f"{calls[rpc]} {re.match('[A-Z][a-z]+', rpc)[0].lower()}" for rpc in sorted(calls))  # type: ignore[index]


NOTE = (
    f"Medians of {ROUNDS} runs on a warm instance. The {DUE} due connections: {TOKEN_SECONDS * 1000:.0f} ms at the "
    f"token endpoint, {SECRET_SECONDS * 1000:.0f} ms at Secret Manager, pacing off. The plain loop is "
    f"tests/plain_sequential.py, measured over 2 x {SAMPLE} of them in the same run; its median is taken {DUE} times."
)
