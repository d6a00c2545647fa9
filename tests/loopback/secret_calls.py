"""A running local Secret Manager and the few calls that its tests make, by the real gRPC client."""

import time
from collections.abc import Callable

from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local.secret_manager.messages import Json, Message

PROJECT = "projects/local-project"
SECRET = f"{PROJECT}/secrets/gmail-alice-refresh-token"


def create(client: SecretManagerServiceClient, secret_id: str = "gmail-alice-refresh-token", **fields: Json) -> Message:
    secret = {"replication": {"automatic": {}}, **fields}
    return client.create_secret(request={"parent": PROJECT, "secret_id": secret_id, "secret": secret})


def add(client: SecretManagerServiceClient, data: bytes, name: str = SECRET, **options: Json) -> Message:
    return client.add_secret_version(request={"parent": name, "payload": {"data": data}}, **options)


def access(client: SecretManagerServiceClient, version: str) -> bytes:
    return bytes(client.access_secret_version(name=f"{SECRET}/versions/{version}", retry=None).payload.data)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen within 10 s"
        time.sleep(0.01)
