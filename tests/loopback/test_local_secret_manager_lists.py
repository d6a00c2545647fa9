"""Lists of the local Secret Manager: order, pages, filters."""

import time
from collections.abc import Iterator

import pytest
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local.secret_manager import SecretManagerServer
from infra.local.secret_manager.messages import Json, Message

PROJECT = "projects/local-project"

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def client() -> Iterator[SecretManagerServiceClient]:
    with SecretManagerServer() as server, server.client() as connected:
        yield connected


def create(client: SecretManagerServiceClient, secret_id: str, **fields: Json) -> Message:
    secret = {"replication": {"automatic": {}}, **fields}
    return client.create_secret(request={"parent": PROJECT, "secret_id": secret_id, "secret": secret})


def ids(items: Message) -> list[str]:
    return [item.name.rpartition("/")[2] for item in items]


def test_secrets_are_listed_newest_first_in_pages_that_insertions_do_not_shift(
    client: SecretManagerServiceClient,
) -> None:
    for number in range(5):
        create(client, f"s{number}")
    pages = client.list_secrets(request={"parent": PROJECT, "page_size": 2}).pages
    first = next(pages)
    assert (ids(first.secrets), first.total_size) == (["s4", "s3"], 5)
    create(client, "s5")
    assert [ids(page.secrets) for page in pages] == [["s2", "s1"], ["s0"]]
    with pytest.raises(exceptions.InvalidArgument, match="token"):
        client.list_secrets(request={"parent": PROJECT, "page_token": "made-up"})


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("labels.token-refresh=enabled", ["c", "a"]),
        ('labels.token-refresh="enabled"', ["c", "a"]),
        ("labels.token-refresh:*", ["c", "b", "a"]),
        ("labels.token-refresh:pau", ["b"]),
        ("labels.token-refresh!=enabled", ["d", "b"]),
        ("labels:team", ["c"]),
        ("name:secrets/c", ["c"]),
        ("name:a OR name:b", ["b", "a"]),
        ("name:(secrets/a OR secrets/b)", ["b", "a"]),
        ("labels.token-refresh:(enabled,paused)", ["c", "b", "a"]),
        ("create_time>2001-01-01 AND labels.team=x", ["c"]),
        ("labels.token-refresh:* AND NOT labels.token-refresh=paused", ["c", "a"]),
        ("labels.token-refresh:* -labels.token-refresh=paused", ["c", "a"]),
        ("labels.team=x OR labels.token-refresh=paused AND name:b", ["b"]),
        ("(labels.team=x) OR (labels.token-refresh=paused AND name:b)", ["c", "b"]),
        ("replication.automatic:*", ["d", "c", "b", "a"]),
        ("replication.user_managed.replicas.location:*", []),
        ("create_time<2001-01-01T00:00:00Z", []),
        ("createTime>2001-01-01T00:00:00Z AND labels.team:*", ["c"]),
    ],
)
def test_a_filter_of_the_list_is_applied_on_the_server(
    client: SecretManagerServiceClient, expression: str, found: list[str]
) -> None:
    create(client, "a", labels={"token-refresh": "enabled"})
    create(client, "b", labels={"token-refresh": "paused"})
    create(client, "c", labels={"token-refresh": "enabled", "team": "x"})
    create(client, "d")
    page = next(client.list_secrets(request={"parent": PROJECT, "filter": expression}).pages)
    assert (ids(page.secrets), page.total_size) == (found, 0)


@pytest.mark.parametrize(
    "expression", ["annotations.a=b", "colour=red", "name", "name:", "(name:a", "name:a)", "name>x"]
)
def test_a_filter_that_is_not_supported_is_refused(client: SecretManagerServiceClient, expression: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="filter"):
        client.list_secrets(request={"parent": PROJECT, "filter": expression})


def test_a_secret_that_has_expired_is_gone_and_its_name_is_free(client: SecretManagerServiceClient) -> None:
    create(client, "short-lived", ttl="0.2s")
    create(client, "lasting")
    deadline = time.monotonic() + 10
    while len(list(client.list_secrets(parent=PROJECT))) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(exceptions.NotFound):
        client.get_secret(name=f"{PROJECT}/secrets/short-lived")
    create(client, "short-lived")
    assert ids(client.list_secrets(parent=PROJECT)) == ["short-lived", "lasting"]


def test_a_thousand_secrets_are_listed_in_one_page(client: SecretManagerServiceClient) -> None:
    for number in range(1000):
        create(client, f"s{number}", labels={"token-refresh": "enabled"})
    pages = list(client.list_secrets(request={"parent": PROJECT, "filter": "labels.token-refresh:*"}).pages)
    assert [len(page.secrets) for page in pages] == [1000]
