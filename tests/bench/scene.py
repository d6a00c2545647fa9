"""What the bench runs on: the function, Secret Manager and the token endpoint, each a process of its own."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import requests
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from infra.local.processes.functions import Function
from infra.local.processes.process import Process, python_module

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "bench"
TOKEN_SECONDS = 0.15
SECRET_SECONDS = 0.03
PROVIDERS = """\
[bench]
token_url = "{url}"
rotates_refresh_tokens = "never"

[bench-rotating]
extends = "bench"
rotates_refresh_tokens = "always"
"""


@dataclass
class Scene:
    """Everything runs; `client` is the real client, from this process."""

    client: SecretManagerServiceClient
    session: requests.Session
    function: Function
    rest_url: str
    token_url: str
    project_id: str

    @property
    def project(self) -> str:
        return f"projects/{self.project_id}"

    @property
    def pid(self) -> int:
        assert self.function.process
        return self.function.process.pid

    def declare(self, names: list[str], client: str = "plain", *, document: dict[str, Any] | None = None) -> None:
        """Declare connections, several at once; `document` is the access token they have already."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self._declare(name, client, document), names))

    def _declare(self, name: str, client: str, document: dict[str, Any] | None) -> None:
        provider = "bench-rotating" if client.endswith("rotating") else "bench"
        self._create(f"{name}-access-token", json.dumps(document).encode() if document else b"")
        self._create(
            f"{name}-refresh-token",
            b"1//refresh-token",
            labels={"token-refresh": "enabled", "token-refresh-provider": provider},
            annotations={"token-refresh.client": f"oauth-client-{client}"},
        )

    def declare_client(self, client: str) -> None:
        registration = {"client_id": client, "client_secret": "secret", "provider": ["bench", "bench-rotating"]}
        self._create(f"oauth-client-{client}", json.dumps(registration).encode())

    def _create(self, secret_id: str, payload: bytes, **settings: Any) -> None:
        secret = {"replication": {"automatic": {}}, **settings}
        self.client.create_secret(request={"parent": self.project, "secret_id": secret_id, "secret": secret})
        if payload:
            parent = f"{self.project}/secrets/{secret_id}"
            self.client.add_secret_version(request={"parent": parent, "payload": {"data": payload}})

    def run(self, **body: Any) -> tuple[dict[str, Any], float]:
        """POST to refresh_http; returns the report and the seconds it took."""
        began = time.perf_counter()
        answer = self.session.post(self.function.url, json=body, timeout=600)
        seconds = time.perf_counter() - began
        answer.raise_for_status()
        return answer.json(), seconds

    @contextmanager
    def slow_secrets(self) -> Iterator[None]:
        """Let every call of Secret Manager take its 30 ms meanwhile."""
        url = f"{self.rest_url}/_local/faults"
        self.session.put(url, json={"faults": [{"latency": SECRET_SECONDS}]}, timeout=30).raise_for_status()
        try:
            yield
        finally:
            self.session.delete(url, timeout=30).raise_for_status()

    def resources(self) -> set[str]:
        """Return the projects that were named by any call."""
        made = self.session.get(f"{self.rest_url}/_local/calls", timeout=60).json()["calls"]
        return {call["resource"].split("/")[1] for call in made}

    def calls(self) -> Counter[str]:
        """Count the calls of Secret Manager since the last look, by RPC."""
        url = f"{self.rest_url}/_local/calls"
        calls = self.session.get(url, timeout=30).json()["calls"]
        self.session.delete(url, timeout=30).raise_for_status()
        return Counter(call["rpc"] for call in calls)


@contextmanager
def scene(
    directory: Path,
    *,
    shape: str = "due",
    connections: int = 0,
    project: str = PROJECT,
    token_seconds: float = TOKEN_SECONDS,
    **settings: str,
) -> Iterator[Scene]:
    """Start a fresh one of so many connections, `due` or `fresh`; logs go to `directory`."""
    directory = Path(tempfile.mkdtemp(dir=directory))
    command = python_module("tests.bench.secrets", project, shape, str(connections))
    store = Process("secret-manager", command, logs=directory, cwd=ROOT)
    command = python_module("tests.bench.token_endpoint", str(token_seconds))
    endpoint = Process("token-endpoint", command, logs=directory, cwd=ROOT)
    with store, endpoint, requests.Session() as session:
        session.trust_env = False
        token_url = endpoint.wait_for_line(r"(?m)^(http\S+)\n")[1]
        grpc_address = store.wait_for_line(r"gRPC: (\S+)", seconds=300)[1]
        rest_url = store.wait_for_line(r"REST: (\S+)")[1]
        providers = directory / "providers.toml"
        providers.write_text(PROVIDERS.format(url=token_url))
        environment = {
            "GOOGLE_CLOUD_PROJECT": project,
            "SECRET_MANAGER_EMULATOR_HOST": grpc_address,
            "PROVIDERS_FILE": str(providers),
            # The paces that keep to a provider's and the project's quota are not what is measured here.
            "TOKEN_REQUESTS_PER_SECOND": "100000",
            "SECRET_WRITES_PER_MINUTE": "1000000",
            "SECRET_READS_PER_MINUTE": "1000000",
            "NO_GCE_CHECK": "true",
            **settings,
        }
        options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
        with (
            grpc.insecure_channel(grpc_address, options=options) as channel,
            Function("refresh_http", environment=environment, logs=directory) as function,
        ):
            client = SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
            yield Scene(client, session, function, rest_url, token_url, project)
