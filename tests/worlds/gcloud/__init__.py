"""The installed gcloud, started once for a whole test run: its start takes ten times as long as what it does.

    subprocess.run(["gcloud", ...], env=os.environ | {"PATH": warm_path()})

What runs is gcloud's own code, in a process of its own for each command (`server.py`).
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


@functools.cache
def warm_path() -> str:
    """Return a PATH on which `gcloud` is the one that is started already; the usual one where there is none."""
    if shutil.which("gcloud") is None:
        return os.environ["PATH"]
    folder = Path(tempfile.mkdtemp(prefix="gcloud-"))
    socket = folder / "socket"
    command = folder / "gcloud"
    python = Path(sys.executable).resolve()
    command.write_text(f'#!/bin/sh\nexec {python} -IS {HERE / "client.py"} {socket} "$@"\n')
    command.chmod(0o755)
    # gcloud's launcher finds the Python that gcloud wants, and starts the server with it in place of gcloud.
    environment = os.environ | {"CLOUDSDK_PYTHON_ARGS": f"-S {HERE / 'server.py'}"}
    server = subprocess.Popen(
        ["gcloud", str(socket)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin
    assert server.stdout
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.wait)
    atexit.register(server.stdin.close)  # first of the three
    is_ready = server.stdout.readline() == "ready\n"  # another gcloud may not be one that can be started so
    return f"{folder}{os.pathsep}{os.environ['PATH']}" if is_ready else os.environ["PATH"]
