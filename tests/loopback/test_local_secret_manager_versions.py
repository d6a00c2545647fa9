"""Versions in the local Secret Manager, as the real gRPC client sees them."""

import time
from collections.abc import Callable, Iterator

import pytest
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient, SecretVersion

from infra.local.secret_manager import SecretManagerServer
from infra.local.secret_manager.messages import Json, Message

PROJECT = "projects/local-project"
SECRET = f"{PROJECT}/secrets/gmail-alice-refresh-token"

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def client() -> Iterator[SecretManagerServiceClient]:
    with SecretManagerServer() as server, server.client() as connected:
        yield connected


def create(client: SecretManagerServiceClient, secret_id: str = "gmail-alice-refresh-token", **fields: Json) -> Message:
    secret = {"replication": {"automatic": {}}, **fields}
    return client.create_secret(request={"parent": PROJECT, "secret_id": secret_id, "secret": secret})


def add(client: SecretManagerServiceClient, data: bytes = b"payload", name: str = SECRET, **payload: int) -> Message:
    return client.add_secret_version(request={"parent": name, "payload": {"data": data, **payload}})


def ids(items: Message) -> list[str]:
    return [item.name.rpartition("/")[2] for item in items]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen within 10 s"
        time.sleep(0.01)


def test_a_payload_comes_back_as_it_was_with_its_checksum(client: SecretManagerServiceClient) -> None:
    create(client)
    version = add(client, b"123456789", data_crc32c=0xE3069283)
    assert version.client_specified_payload_checksum
    assert not add(client).client_specified_payload_checksum
    reply = client.access_secret_version(name=version.name)
    assert (reply.name, reply.payload.data) == (version.name, b"123456789")
    assert reply.payload.data_crc32c == 0xE3069283  # the check value of CRC-32C for these nine digits


@pytest.mark.parametrize(
    "payload", [{"data": b""}, {"data": b"x" * 65_537}, {"data": b"123456789", "data_crc32c": 0xE3069284}]
)
def test_a_payload_that_is_empty_too_large_or_damaged_is_refused_and_takes_no_number(
    client: SecretManagerServiceClient, payload: dict[str, Json]
) -> None:
    create(client)
    with pytest.raises(exceptions.InvalidArgument, match="Payload"):
        add(client, **payload)
    assert add(client, b"x" * 65_536).name.endswith("/versions/1")


def test_latest_is_the_newest_version_whatever_its_state_and_never_falls_back(
    client: SecretManagerServiceClient,
) -> None:
    create(client)
    add(client, b"one")
    add(client, b"two")
    latest = f"{SECRET}/versions/latest"
    assert client.access_secret_version(name=latest).name.endswith("/versions/2")
    client.disable_secret_version(name=f"{SECRET}/versions/2")
    with pytest.raises(exceptions.FailedPrecondition, match="DISABLED"):
        client.access_secret_version(name=latest)
    client.destroy_secret_version(name=f"{SECRET}/versions/2")
    with pytest.raises(exceptions.FailedPrecondition, match="DESTROYED"):
        client.access_secret_version(name=latest)
    assert client.get_secret_version(name=latest).state == SecretVersion.State.DESTROYED
    assert client.access_secret_version(name=f"{SECRET}/versions/1").payload.data == b"one"
    assert add(client, b"three").name.endswith("/versions/3")


def test_a_version_can_be_disabled_and_enabled_but_not_come_back_from_destruction(
    client: SecretManagerServiceClient,
) -> None:
    create(client)
    name = add(client).name
    assert client.disable_secret_version(name=name).state == SecretVersion.State.DISABLED
    assert client.enable_secret_version(name=name).state == SecretVersion.State.ENABLED
    destroyed = client.destroy_secret_version(name=name)
    assert destroyed.state == SecretVersion.State.DESTROYED
    assert "destroy_time" in destroyed
    for change in (client.enable_secret_version, client.disable_secret_version, client.destroy_secret_version):
        with pytest.raises(exceptions.FailedPrecondition, match="DESTROYED"):
            change(name=name)


def test_a_delay_of_destruction_disables_at_once_and_can_be_called_off(client: SecretManagerServiceClient) -> None:
    create(client, version_destroy_ttl="86400s")
    name = add(client).name
    scheduled = client.destroy_secret_version(name=name)
    assert scheduled.state == SecretVersion.State.DISABLED
    assert "scheduled_destroy_time" in scheduled
    client.enable_secret_version(name=name)
    assert client.access_secret_version(name=name).payload.data == b"payload"


def test_a_delayed_destruction_happens_when_its_time_has_come(client: SecretManagerServiceClient) -> None:
    create(client, version_destroy_ttl="0.2s")
    name = add(client).name
    client.destroy_secret_version(name=name)
    wait_for(lambda: client.get_secret_version(name=name).state == SecretVersion.State.DESTROYED)
    assert [version.state.name for version in client.list_secret_versions(parent=SECRET)] == ["DESTROYED"]


def test_versions_are_listed_newest_first_by_state_and_in_pages(client: SecretManagerServiceClient) -> None:
    create(client)
    for _ in range(4):
        add(client)
    client.disable_secret_version(name=f"{SECRET}/versions/2")
    client.destroy_secret_version(name=f"{SECRET}/versions/1")

    def numbers(expression: str, page_size: int = 0) -> list[str]:
        request = {"parent": SECRET, "filter": expression, "page_size": page_size}
        return ids(client.list_secret_versions(request=request))

    assert numbers("") == numbers("", page_size=1) == ["4", "3", "2", "1"]
    assert numbers("state:ENABLED") == numbers("state=ENABLED", page_size=1) == ["4", "3"]
    assert numbers("state:(ENABLED OR DISABLED)") == numbers("NOT state:DESTROYED") == ["4", "3", "2"]
    assert numbers("state:DISABLED AND create_time>2001-01-01T00:00:00Z") == ["2"]
