"""What goes over the wire is what Google's client sends: the methods of its transport, without its wrapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from infra.local.secret_manager import SecretManagerServer
from token_refresh.adapters.secret_manager_client import Methods

PROJECT = "some-project"
PARENT = f"projects/{PROJECT}"
SECRET = f"{PARENT}/secrets/gmail-alice-refresh-token"
VERSION = f"{SECRET}/versions/1"
PAYLOAD = sm.SecretPayload(data=b"1//refresh-token")
CHANGE = {"secret": {"name": SECRET, "annotations": {"note": "x"}}, "update_mask": {"paths": ["annotations"]}}

Client = sm.SecretManagerServiceClient
CALLS: dict[str, tuple[Callable[[Client], Any], Callable[[Methods], Any]]] = {
    "list": (
        lambda c: c.list_secrets(sm.ListSecretsRequest(parent=PARENT, page_size=10)),
        lambda m: m.list(PARENT, page_size=10),
    ),
    "get": (lambda c: c.get_secret(name=SECRET), lambda m: m.get(SECRET)),
    "update": (lambda c: c.update_secret(sm.UpdateSecretRequest(CHANGE)), lambda m: m.update(SECRET, **CHANGE)),
    "access": (lambda c: c.access_secret_version(name=VERSION), lambda m: m.access(VERSION)),
    "add": (
        lambda c: c.add_secret_version(parent=SECRET, payload=PAYLOAD),
        lambda m: m.add(SECRET, payload=sm.SecretPayload.pb(PAYLOAD)),
    ),
    "destroy": (lambda c: c.destroy_secret_version(name=VERSION), lambda m: m.destroy(VERSION)),
    "list_versions": (
        lambda c: c.list_secret_versions(sm.ListSecretVersionsRequest(parent=SECRET)),
        lambda m: m.list_versions(SECRET),
    ),
    "get_version": (lambda c: c.get_secret_version(name=VERSION), lambda m: m.get_version(VERSION)),
}


class Recorder(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc has no types
    """What the channel is asked to send: method, headers, request."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, set[tuple[str, str]], Any]] = []

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.sent.append((details.method, set(details.metadata), request))
        return continuation(details, request)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def client(recorder: Recorder) -> Iterator[Client]:
    with SecretManagerServer(PROJECT) as server:
        channel = grpc.insecure_channel(server.grpc_address, options=[("grpc.enable_http_proxy", 0)])
        transport = SecretManagerServiceGrpcTransport(channel=grpc.intercept_channel(channel, recorder))
        client = Client(transport=transport)
        client.create_secret(
            parent=PARENT, secret_id="gmail-alice-refresh-token", secret=sm.Secret(replication={"automatic": {}})
        )
        client.add_secret_version(parent=SECRET, payload=PAYLOAD)
        recorder.sent.clear()
        yield client
        channel.close()


@pytest.mark.parametrize("call", CALLS)
def test_each_method_sends_what_the_client_s_own_would_send(client: Client, recorder: Recorder, call: str) -> None:
    googles, ours = CALLS[call]
    googles(client)
    with suppress(exceptions.FailedPrecondition):  # a version is destroyed once
        ours(Methods(client))
    assert len(recorder.sent) == 2
    assert recorder.sent[0] == recorder.sent[1]


def test_no_method_is_left_out(client: Client) -> None:
    assert set(vars(Methods(client))) == set(CALLS)
