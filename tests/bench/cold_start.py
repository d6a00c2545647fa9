"""From the start of the process to its first answer, beside three that only import: nothing, Google's client, all."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import requests

from infra.local.processes.functions import MAIN, Function
from infra.local.processes.process import Process, python_module
from tests.bench.process_facts import cpu_seconds
from tests.bench.row import ROUNDS, Row
from tests.bench.scene import ROOT

_EMPTY = """\
import functions_framework
{imports}

@functions_framework.http
def refresh_http(request):
    return "{{}}"
"""
_CLIENT = "import google.cloud.secretmanager_v1"  # what no refresher can do without
_LIBRARIES = (
    f"{_CLIENT}, google.cloud.logging, google.cloud.pubsub_v1\nimport cryptography, itsdangerous, jinja2, jwt, requests"
)


def cold_start(directory: Path) -> Iterator[Row]:
    """Measure processor time: waiting is the machine's, and one machine differs from another."""
    sources = {"ours": MAIN}
    for name, imports in (("empty", ""), ("client", _CLIENT), ("eager", _LIBRARIES)):
        sources[name] = directory / f"{name}.py"
        sources[name].write_text(_EMPTY.format(imports=imports))
    store = Process("secrets", python_module("tests.bench.secrets", "bench", "due", "0"), logs=directory, cwd=ROOT)
    with store:
        environment = {
            "GOOGLE_CLOUD_PROJECT": "bench",
            "SECRET_MANAGER_EMULATOR_HOST": store.wait_for_line(r"gRPC: (\S+)")[1],
            "NO_GCE_CHECK": "true",
            "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
            # As in the image, where everything is compiled (tests/infra/test_bytecode.py).
            "PYTHONPYCACHEPREFIX": str(directory / "bytecode"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        for source in sources.values():
            _until_first_answer(source, environment, directory)
        seconds: dict[str, list[float]] = {name: [] for name in sources}
        for _ in range(ROUNDS):  # in turn, so that all have the same machine
            for name, source in sources.items():
                seconds[name].append(_until_first_answer(source, environment, directory))
    ours, empty, client, eager = (statistics.median(seconds[name]) for name in ("ours", "empty", "client", "eager"))
    yield Row(
        "Process start to first answer (processor time)",
        f"{ours * 1000:.0f} ms: {ours / empty:.2f} x empty, {ours / eager:.2f} x eager",
        "1.7 x / 0.75 x",
        f"empty function {empty * 1000:.0f} ms, libraries imported {eager * 1000:.0f} ms; Google's client alone "
        f"{client * 1000:.0f} ms: {client / empty:.2f} x, {client / eager:.2f} x",
    )


def _until_first_answer(source: Path, environment: dict[str, str], directory: Path) -> float:
    with (
        Function("refresh_http", environment=environment, logs=directory, source=source) as function,
        requests.Session() as session,
    ):
        session.trust_env = False
        session.post(function.url, json={}, timeout=60).raise_for_status()
        assert function.process
        return cpu_seconds(function.process.pid)
