"""What the local Secret Manager promises to readers and writers while everything else is seen late."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local.secret_manager import SecretManagerServer
from infra.local.secret_manager.messages import Json, Message
from tests.loopback.secret_calls import PROJECT, SECRET, access, add, create, wait_for

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def server() -> Iterator[SecretManagerServer]:
    with SecretManagerServer() as running:
        yield running


@pytest.fixture
def client(server: SecretManagerServer) -> Iterator[SecretManagerServiceClient]:
    with server.client() as connected:
        create(connected)
        add(connected, b"one")
        server.calls.clear()
        yield connected


def update(client: SecretManagerServiceClient, **fields: Json) -> Message:
    """Replace the labels."""
    return client.update_secret(request={"secret": {"name": SECRET, **fields}, "update_mask": {"paths": ["labels"]}})


def test_a_stale_latest_shows_the_older_version_while_the_number_is_there_at_once(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    server.faults.set_stale(latest=60)
    assert add(client, b"two").name.endswith("/versions/2")
    assert access(client, "latest") == b"one"
    assert access(client, "2") == b"two"
    server.faults.set_stale(latest=0)
    assert access(client, "latest") == b"two"


def test_a_stale_latest_catches_up_by_itself(server: SecretManagerServer, client: SecretManagerServiceClient) -> None:
    order = {"stale": {"latest": 0.3}}
    assert requests.put(f"{server.rest_url}/_local/faults", json=order, timeout=5).json()["stale"] == {"latest": 0.3}
    add(client, b"two")
    assert access(client, "latest") == b"one"
    wait_for(lambda: access(client, "latest") == b"two")


def test_stale_lists_show_neither_new_secrets_nor_new_labels_nor_new_versions(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    server.faults.set_stale(lists=60)
    create(client, "another")
    update(client, labels={"token-refresh": "enabled"})
    add(client, b"two")
    assert [dict(secret.labels) for secret in client.list_secrets(parent=PROJECT)] == [{}]
    assert len(list(client.list_secret_versions(parent=SECRET))) == 1
    assert dict(client.get_secret(name=SECRET).labels) == {"token-refresh": "enabled"}
    client.delete_secret(name=SECRET)
    assert len(list(client.list_secrets(parent=PROJECT))) == 1
    server.faults.clear()
    assert [secret.name.rpartition("/")[2] for secret in client.list_secrets(parent=PROJECT)] == ["another"]


def test_stale_metadata_shows_the_old_etag_but_the_true_one_decides(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    before = client.get_secret(name=SECRET)
    server.faults.set_stale(metadata=60)
    after = update(client, etag=before.etag, labels={"a": "1"})
    assert client.get_secret(name=SECRET) == before
    with pytest.raises(exceptions.FailedPrecondition):
        update(client, etag=before.etag)
    update(client, etag=after.etag)


def test_stale_states_keep_a_destroyed_version_readable_for_a_while(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    server.faults.set_stale(states=60)
    client.destroy_secret_version(name=f"{SECRET}/versions/1")
    assert access(client, "1") == b"one"
    with pytest.raises(exceptions.FailedPrecondition):
        client.destroy_secret_version(name=f"{SECRET}/versions/1")
    server.faults.clear()
    with pytest.raises(exceptions.FailedPrecondition):
        access(client, "1")


def test_what_was_there_before_the_staleness_began_stays_visible(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    server.faults.set_stale(latest=60, lists=60, metadata=60, states=60)
    assert access(client, "latest") == b"one"
    assert len(list(client.list_secrets(parent=PROJECT))) == 1
    assert client.get_secret(name=SECRET).name.endswith("gmail-alice-refresh-token")


def test_of_many_compare_and_swaps_upon_one_read_exactly_one_wins(client: SecretManagerServiceClient) -> None:
    etag = client.get_secret(name=SECRET).etag

    def take(number: int) -> bool:
        try:
            update(client, etag=etag, labels={"holder": str(number)})
        except exceptions.FailedPrecondition:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(take, range(16))) == 1
