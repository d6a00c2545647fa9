"""The stores that keep the promises of test_secret_store, and what people do to them behind the adapter's back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from google.cloud import secretmanager_v1 as sm

from infra.local.secret_manager import SecretManagerServer
from tests.fakes.instance import FakeStore
from token_refresh.adapters.secret_manager import SecretManager
from token_refresh.adapters.secret_manager_client import build_client, parent_of
from token_refresh.ports import SecretStore
from token_refresh.settings import Settings

PROJECT = "some-project"
ENABLED = {"token-refresh": "enabled"}


class Backstage(Protocol):
    """What people do with gcloud, and what may go wrong."""

    def store(self) -> SecretStore:
        """Return the view of a fresh instance."""

    def create(self, secret_id: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None: ...
    def put(self, secret_id: str, payload: bytes) -> None: ...
    def set_state(self, secret_id: str, version: int, state: str) -> None: ...
    def fail(self) -> None:
        """Let every call fail from now on."""


class InMemory:
    def __init__(self) -> None:
        self.first = FakeStore(time.time)
        self.views = [self.first]

    def store(self) -> SecretStore:
        self.views.append(self.first.restarted())
        return self.views[-1]

    def create(self, secret_id: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
        self.first.create(secret_id, labels=labels, annotations=annotations)

    def put(self, secret_id: str, payload: bytes) -> None:
        self.first.put(secret_id, payload)

    def set_state(self, secret_id: str, version: int, state: str) -> None:
        self.first.set_state(secret_id, version, state)

    def fail(self) -> None:
        for view in self.views:
            view.faults.fail("*", times=-1)


class Local:
    """The real client and adapter, over gRPC."""

    def __init__(self, server: SecretManagerServer) -> None:
        self.server = server
        self.settings = Settings(project=PROJECT, secret_manager_emulator_host=server.grpc_address)
        self.client = build_client(self.settings)

    def store(self) -> SecretStore:
        return SecretManager(self.client, parent_of(self.settings))

    def name(self, secret_id: str) -> str:
        return f"projects/{PROJECT}/secrets/{secret_id}"

    def create(self, secret_id: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
        secret: Any = {"replication": {"automatic": {}}, "labels": labels, "annotations": annotations}
        self.client.create_secret(parent=f"projects/{PROJECT}", secret_id=secret_id, secret=secret)

    def put(self, secret_id: str, payload: bytes) -> None:
        self.client.add_secret_version(parent=self.name(secret_id), payload=sm.SecretPayload(data=payload))

    def set_state(self, secret_id: str, version: int, state: str) -> None:
        name = f"{self.name(secret_id)}/versions/{version}"
        change = {
            "ENABLED": self.client.enable_secret_version,
            "DISABLED": self.client.disable_secret_version,
            "DESTROYED": self.client.destroy_secret_version,
        }[state]
        change(name=name)

    def fail(self) -> None:
        self.server.faults.add(code="PERMISSION_DENIED")
