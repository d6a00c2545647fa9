"""`server.py GCLOUD.PY SOCKET`: load gcloud once, then carry out each command in a fork; ends with its standard input.

Runs under gcloud's own Python. The modules that a command has loaded are loaded here for those that follow.
"""

import importlib
import os
import runpy
import select
import socket
import sys

GCLOUD, PATH = sys.argv[1:3]
LIBRARY = os.path.dirname(GCLOUD)  # noqa: PTH120 - what gcloud.py does, too
LAUNCHERS = {key: os.environ[key] for key in ("CLOUDSDK_ROOT_DIR", "PYTHONIOENCODING") if key in os.environ}
sys.path[:0] = [os.path.join(LIBRARY, "third_party"), LIBRARY]  # noqa: PTH118
importlib.import_module("googlecloudsdk.gcloud_main")
LOADED = set(sys.modules)


def take_over(connection: socket.socket) -> None:
    """Become the process that asks: its files, folder, variables and arguments."""
    message, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not message.endswith(b"\0\0\0"):
        message += connection.recv(1 << 20)
    folder, variables, arguments = message[:-3].split(b"\0\0", 2)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
    os.chdir(folder)
    os.environb.clear()
    for pair in variables.split(b"\0"):
        key, _, value = pair.partition(b"=")
        os.environb[key] = value
    os.environ |= LAUNCHERS
    sys.argv = [GCLOUD, *map(os.fsdecode, arguments.split(b"\0"))] if arguments else [GCLOUD]


def carry_out() -> int:
    """Run gcloud; returns its exit code."""
    try:
        runpy.run_path(GCLOUD, run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def fork(connection: socket.socket, loaded: int) -> None:
    """Carry out a command in a process of its own, which says in the end what it has loaded."""
    if os.fork():
        return
    code = 70
    try:
        take_over(connection)
        code = carry_out()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        modules = [name for name in sys.modules if name not in LOADED]
        os.write(loaded, "".join(f"{name}\n" for name in modules).encode())
        connection.sendall(bytes([code]))
        os._exit(0)


def load(names: str) -> None:
    for name in names.split():
        if name not in LOADED:
            LOADED.add(name)
            try:
                importlib.import_module(name)
            except ImportError:  # made by gcloud as it runs
                continue


def serve() -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    names = ""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(PATH)
        server.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            ready = select.select([server.fileno(), read, 0], [], [])[0]
            if 0 in ready:
                return
            if read in ready:
                names += os.read(read, 1 << 20).decode()
                whole, _, names = names.rpartition("\n")
                load(whole)
            while _reap():
                pass
            if server.fileno() in ready:
                connection, _ = server.accept()
                fork(connection, write)
                connection.close()


def _reap() -> int:
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


serve()
