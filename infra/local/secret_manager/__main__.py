"""Serve a local Secret Manager until SIGINT or SIGTERM: `python -m infra.local.secret_manager`."""

from __future__ import annotations

import argparse
import signal
import threading

from infra.local.secret_manager.server import SecretManagerServer


def main() -> None:
    """Parse the command line, print the addresses, serve."""
    parser = argparse.ArgumentParser(prog="infra.local.secret_manager", description=__doc__)
    parser.add_argument("--project", default="local-project", help="project id (default %(default)s)")
    parser.add_argument("--grpc-port", type=int, default=0, help="0 = any free port")
    parser.add_argument("--rest-port", type=int, default=0, help="0 = any free port")
    options = parser.parse_args()
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    with SecretManagerServer(options.project, grpc_port=options.grpc_port, rest_port=options.rest_port) as server:
        print(f"Secret Manager of project {server.project}, in memory", flush=True)  # noqa: T201 - a command's output
        print(f"gRPC: {server.grpc_address}", flush=True)  # noqa: T201 - a command's output
        print(f"REST: {server.rest_url}", flush=True)  # noqa: T201 - a command's output
        asked_to_stop.wait()


if __name__ == "__main__":
    main()
