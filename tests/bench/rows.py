"""Rows over real processes: calls, time, memory and processor time of one function and its local cloud."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from threading import Thread

from tests.baselines.plain_sequential import Exchange, refresh_all, requests_oauthlib
from tests.bench.process_facts import cpu_seconds, peak_mebibytes
from tests.bench.row import ROUNDS, Row
from tests.bench.scene import SECRET_SECONDS, TOKEN_SECONDS, Scene, scene

IDLE = 10_000
DUE = 1_000
WORKERS = "64"
MANY = 50_000
SHARD = 10_000
SAMPLE = 40  # of the sequential loop: all of it would take minutes
CPU_SAMPLE = 300
WAIT_SECONDS = 60.0


def calls(directory: Path) -> Iterator[Row]:
    """Count what one refresh in steady state costs."""
    with scene(directory) as s:
        goals = ("1 access, 1 add, 1 destroy", "2 accesses, 6 writes")
        for client, what, goal in (("brief", "kept", goals[0]), ("brief-rotating", "replaced", goals[1])):
            s.declare_client(client)
            s.declare([f"one-{client}"], client)
            yield Row(f"Calls of one refresh, {what}", _calls_of_fourth_refresh(s, f"one-{client}"), goal)


def _calls_of_fourth_refresh(s: Scene, name: str) -> str:
    """Run until the fourth version is written: then previous versions are destroyed and all memory is warm."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        s.calls()
        report, _ = s.run(connections=[name])
        if report["connections"][0]["version"] == 4:
            return _words(s.calls() - Counter({"GetSecret": 1}))  # the named run reads its secret
        time.sleep(0.1)
    raise TimeoutError("no fourth refresh within a minute")


def idle(directory: Path) -> Iterator[Row]:
    """Count and time a run in which nothing is due, cold and warm; and what the instance holds after them."""
    cold, warm, peaks = [], [], []
    for _ in range(ROUNDS):
        with scene(directory, shape="fresh", connections=IDLE) as s:
            cold.append(_cpu_of(s, IDLE))
            s.calls()
            warm.append(_cpu_of(s, IDLE))
            made = s.calls()
            peaks.append(peak_mebibytes(s.pid))
    what = f"Idle run, {IDLE:,} connections"
    yield Row(f"{what}, warm", f"{median(warm):.2f} s of processor time, {_words(made)}", "0.8 s, 2 list")
    yield Row(f"{what}, cold", f"{median(cold):.2f} s of processor time", "5 s")
    yield Row(f"Peak memory, {IDLE:,} connections", f"{median(peaks):.0f} MiB", "120 MiB")


def memory(directory: Path) -> Iterator[Row]:
    """Weigh instances that have seen fifty thousand connections twice."""
    peaks = []
    for _ in range(ROUNDS):
        with scene(directory, shape="fresh", connections=MANY) as s:
            for _ in range(2):
                _idle(s, MANY)
            peaks.append(peak_mebibytes(s.pid))
    yield Row(f"Peak memory, {MANY:,} connections", f"{median(peaks):.0f} MiB", "400 MiB")


def _idle(s: Scene, connections: int) -> None:
    report, _ = s.run()
    assert report["counts"] == {"fresh": connections}, report["counts"]


def _cpu_of(s: Scene, connections: int) -> float:
    before = cpu_seconds(s.pid)
    _idle(s, connections)
    return cpu_seconds(s.pid) - before


def due(directory: Path) -> Iterator[Row]:
    """Time a run in which everything is due, and a part of the plain loop over the same secrets."""
    with scene(directory, connections=DUE, REFRESH_WORKERS=WORKERS) as s, s.slow_secrets():
        plain = _plain(s, SAMPLE)
        _due(s)
        seconds = median(_due(s) for _ in range(ROUNDS))
        plain += _plain(s, SAMPLE)
    loop = median(plain) * DUE
    yield Row(
        f"{DUE:,} due, {WORKERS} threads", f"{seconds:.2f} s: {loop / seconds:.1f} x", "40 x", f"plain {loop:.0f} s"
    )


def cpu(directory: Path) -> Iterator[Row]:
    """Measure the processor time of one refresh; the loops with two client libraries make the same reads and writes."""
    with (
        scene(directory, connections=DUE, token_seconds=0.0) as s,
        scene(directory, connections=CPU_SAMPLE, token_seconds=0.0) as theirs,  # who writes into ours costs it a look
    ):
        for _ in range(3):  # until previous versions are destroyed
            _due(s)

        def ours() -> float:
            before = cpu_seconds(s.pid)
            _due(s)
            return (cpu_seconds(s.pid) - before) / DUE

        def loop(exchange: Exchange | None = None) -> float:
            before = time.process_time()
            _plain(theirs, CPU_SAMPLE, exchange)
            return (time.process_time() - before) / CPU_SAMPLE

        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback
        # In turn, so that all have the same machine.
        rounds = [(ours(), loop(), loop(requests_oauthlib)) for _ in range(ROUNDS)]
        mine, google, oauthlib = map(median, zip(*rounds, strict=True))
    yield Row(
        "Processor time of one refresh",
        f"{mine * 1000:.2f} ms",
        "2.5 ms, and less than either",
        f"google-auth {google * 1000:.2f} ms, requests-oauthlib {oauthlib * 1000:.2f} ms",
    )


def shards(directory: Path) -> Iterator[Row]:
    """Refresh three projects at once, each with a function process of its own."""
    with ExitStack() as stack:
        scenes = [
            stack.enter_context(scene(directory, connections=SHARD, project=f"shard-{n}", token_seconds=0.0))
            for n in range(3)
        ]
        reports: list[dict[str, int]] = []
        threads = [Thread(target=lambda s=s: reports.append(s.run()[0]["counts"])) for s in scenes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert reports == [{"refreshed": SHARD}] * 3, reports
        own = all(s.resources() == {s.project_id} for s in scenes)
        for s in scenes:
            _idle(s, SHARD)
    measured = f"all fresh, {'nothing' if own else 'SOMETHING'} shared"
    yield Row(f"Three shards of {SHARD:,}, three processes", measured, "all fresh, nothing shared")


def _due(s: Scene) -> float:
    report, seconds = s.run(force=True)
    assert report["counts"] == {"refreshed": DUE}, report["counts"]
    return seconds


def _plain(s: Scene, most: int, exchange: Exchange | None = None) -> list[float]:
    return refresh_all(s.client, s.project, "oauth-client-bench", s.token_url, most, exchange)


def _words(made: Counter[str]) -> str:
    """Say how often each RPC was called, by its verb."""
    return ", ".join(f"{made[rpc]} {re.match('[A-Z][a-z]+', rpc)[0].lower()}" for rpc in sorted(made))  # type: ignore[index]


NOTE = (
    f"Medians of {ROUNDS} runs. The due connections: {TOKEN_SECONDS * 1000:.0f} ms at the token endpoint, "
    f"{SECRET_SECONDS * 1000:.0f} ms at Secret Manager, pacing off. The plain loop is "
    f"tests/baselines/plain_sequential.py, measured over 2 x {SAMPLE} of them in the same run; its median is taken "
    f"{DUE} times."
)
