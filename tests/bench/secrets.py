"""A local Secret Manager that is full from the start: `python -m tests.bench.secrets PROJECT fresh|due NUMBER`.

Connections are put there by direct calls; over gRPC ten thousand would take longer than what is measured.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from typing import Any

from google.cloud import secretmanager_v1 as sm

from infra.local.secret_manager.server import SecretManagerServer


def fill(server: SecretManagerServer, shape: str, number: int) -> None:
    """Declare connections of one client; `fresh` ones have an access token of an hour."""

    def call(rpc: str, request: Any) -> None:
        server.answer(server.rpcs[rpc], type(request).pb(request), lambda: True)

    def create(secret_id: str, payload: bytes, **fields: Any) -> None:
        parent = f"projects/{server.project}"
        secret = sm.Secret(replication={"automatic": {}}, **fields)
        call("CreateSecret", sm.CreateSecretRequest(parent=parent, secret_id=secret_id, secret=secret))
        if payload:
            version = sm.AddSecretVersionRequest(parent=f"{parent}/secrets/{secret_id}", payload={"data": payload})
            call("AddSecretVersion", version)

    now = int(time.time())
    document = {"access_token": "x" * 200, "expires_at": now + 3600, "refreshed_at": now, "connection_version": "1"}
    token = json.dumps(document).encode() if shape == "fresh" else b""
    if number:
        create("oauth-client-bench", json.dumps({"client_id": "plain", "client_secret": "secret"}).encode())
    labels = {"token-refresh": "enabled", "token-refresh-provider": "bench"}
    for each in range(number):
        create(f"c{each:05}-access-token", token)
        create(f"c{each:05}-refresh-token", f"1//{server.project}-{each}".encode(), labels=labels)
    server.calls.clear()


def main(project: str, shape: str, number: str) -> None:
    """Fill, print the addresses, and serve until stopped."""
    asked_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
    with SecretManagerServer(project) as server:
        fill(server, shape, int(number))
        print(f"gRPC: {server.grpc_address}\nREST: {server.rest_url}", flush=True)  # noqa: T201 - the bench reads it
        asked_to_stop.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
