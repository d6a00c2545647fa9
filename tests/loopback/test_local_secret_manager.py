"""The local Secret Manager keeps the promises of the real one, as the real gRPC client sees them."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient, SecretVersion
from google.cloud.secretmanager_v1.services.secret_manager_service.transports.grpc import (
    SecretManagerServiceGrpcTransport,
)

from infra.local.secret_manager import SecretManagerServer

PROJECT = "projects/local-project"
SECRET = f"{PROJECT}/secrets/gmail-alice-refresh-token"
AUTOMATIC = {"replication": {"automatic": {}}}

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def server() -> Iterator[SecretManagerServer]:
    with SecretManagerServer() as running:
        yield running


@pytest.fixture
def client(server: SecretManagerServer) -> Iterator[SecretManagerServiceClient]:
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))


def create(client: SecretManagerServiceClient, name: str = SECRET, **fields: Any) -> Any:
    parent, _, secret_id = name.partition("/secrets/")
    replication = {} if "/locations/" in parent else AUTOMATIC
    return client.create_secret(request={"parent": parent, "secret_id": secret_id, "secret": {**replication, **fields}})


def add(client: SecretManagerServiceClient, data: bytes = b"payload", name: str = SECRET) -> Any:
    return client.add_secret_version(parent=name, payload={"data": data})


def ids(secrets: Any) -> list[str]:
    return [item.name.rpartition("/")[2] for item in secrets]


def test_names_come_back_with_a_number_that_asks_for_the_same_project(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    name = create(client).name
    assert name == f"projects/{server.project_number}/secrets/gmail-alice-refresh-token"
    assert server.project_number.isdigit()
    assert client.get_secret(name=name) == client.get_secret(name=SECRET)
    assert add(client, name=name).name == f"{name}/versions/1"
    with SecretManagerServer() as another:
        assert another.project_number == server.project_number


def test_a_regional_secret_is_apart_from_the_global_one_of_its_name(client: SecretManagerServiceClient) -> None:
    regional = f"{PROJECT}/locations/europe-west1/secrets/gmail-alice-refresh-token"
    create(client)
    create(client, regional)
    add(client, b"global")
    add(client, b"regional", regional)
    assert client.access_secret_version(name=f"{regional}/versions/latest").payload.data == b"regional"
    assert client.access_secret_version(name=f"{SECRET}/versions/latest").payload.data == b"global"
    assert len(list(client.list_secrets(parent=PROJECT))) == 1
    assert len(list(client.list_secrets(parent=f"{PROJECT}/locations/europe-west1"))) == 1
    assert not list(client.list_secrets(parent=f"{PROJECT}/locations/europe-west4"))


def test_a_global_secret_needs_a_replication_policy_and_a_regional_one_has_none(
    client: SecretManagerServiceClient,
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="replication"):
        client.create_secret(parent=PROJECT, secret_id="a", secret={})
    with pytest.raises(exceptions.InvalidArgument, match="replication"):
        client.create_secret(parent=f"{PROJECT}/locations/europe-west1", secret_id="a", secret=AUTOMATIC)


def test_a_secret_that_exists_cannot_be_created_again(client: SecretManagerServiceClient) -> None:
    name = create(client).name
    with pytest.raises(exceptions.AlreadyExists, match=rf"Secret \[{name}\] already exists"):
        create(client)


@pytest.mark.parametrize("secret_id", ["", "a.b", "a" * 256, "ä"])
def test_a_secret_id_outside_the_rules_is_refused(client: SecretManagerServiceClient, secret_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Secret ID"):
        client.create_secret(parent=PROJECT, secret_id=secret_id, secret=AUTOMATIC)


def test_what_does_not_exist_is_named_in_the_error(client: SecretManagerServiceClient) -> None:
    with pytest.raises(
        exceptions.NotFound, match=r"Secret \[projects/\d+/secrets/gmail-alice-refresh-token\] not found"
    ):
        client.get_secret(name=SECRET)
    with pytest.raises(exceptions.NotFound):
        add(client)
    with pytest.raises(exceptions.NotFound):
        client.delete_secret(name=SECRET)
    create(client)
    with pytest.raises(exceptions.NotFound, match="has no versions"):
        client.access_secret_version(name=f"{SECRET}/versions/latest")
    with pytest.raises(exceptions.NotFound, match="Secret Version"):
        client.access_secret_version(name=f"{SECRET}/versions/7")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"labels": {"Upper": "x"}}, "Upper"),
        ({"labels": {"1st": "x"}}, "1st"),
        ({"labels": {"": "x"}}, "label key"),
        ({"labels": {"k": "with.dot"}}, "with.dot"),
        ({"labels": {"k": "v" * 64}}, "label value"),
        ({"labels": {f"k{number}": "" for number in range(65)}}, "64"),
        ({"annotations": {"-starts": ""}}, "-starts"),
        ({"annotations": {"ends.": ""}}, "ends."),
        ({"annotations": {"k" * 64: ""}}, "annotation key"),
        ({"annotations": {"k": "v" * (16 * 1024 - 1)}}, "16 KiB"),
        ({"version_aliases": {"latest": 1}}, "latest"),
        ({"version_aliases": {"stable": 1}}, "does not exist"),
        ({"topics": [{"name": "no-full-name"}]}, "no-full-name"),
        ({"topics": [{"name": f"projects/p/topics/t{number}"} for number in range(11)]}, "10"),
        ({"rotation": {"next_rotation_time": "2100-01-01T00:00:00Z"}}, "topics"),
    ],
)
def test_metadata_outside_the_limits_is_refused(
    client: SecretManagerServiceClient, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=named):
        create(client, **fields)


def test_metadata_up_to_the_limits_is_kept(client: SecretManagerServiceClient) -> None:
    labels = {f"k{number}": "v" * 63 for number in range(62)} | {"straße": "größe", "k" * 63: ""}
    annotations = {"token-refresh.status": "v" * (16 * 1024 - 22), "9": ""}  # 20 + 1 bytes of keys, one short of 16 KiB
    secret = create(client, labels=labels, annotations=annotations)
    assert (dict(secret.labels), dict(secret.annotations)) == (labels, annotations)


def test_secrets_are_listed_newest_first_in_pages_that_insertions_do_not_shift(
    client: SecretManagerServiceClient,
) -> None:
    for number in range(5):
        create(client, f"{PROJECT}/secrets/s{number}")
    pages = client.list_secrets(request={"parent": PROJECT, "page_size": 2}).pages
    first = next(pages)
    assert (ids(first.secrets), first.total_size) == (["s4", "s3"], 5)
    create(client, f"{PROJECT}/secrets/s5")
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
    create(client, f"{PROJECT}/secrets/a", labels={"token-refresh": "enabled"})
    create(client, f"{PROJECT}/secrets/b", labels={"token-refresh": "paused"})
    create(client, f"{PROJECT}/secrets/c", labels={"token-refresh": "enabled", "team": "x"})
    create(client, f"{PROJECT}/secrets/d")
    page = next(client.list_secrets(request={"parent": PROJECT, "filter": expression}).pages)
    assert (ids(page.secrets), page.total_size) == (found, 0)


@pytest.mark.parametrize(
    "expression", ["annotations.a=b", "colour=red", "name", "name:", "(name:a", "name:a)", "name>x"]
)
def test_a_filter_that_is_not_supported_is_refused(client: SecretManagerServiceClient, expression: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="filter"):
        client.list_secrets(request={"parent": PROJECT, "filter": expression})


def test_an_update_replaces_labels_and_annotations_as_whole_maps_and_nothing_else(
    client: SecretManagerServiceClient,
) -> None:
    create(client, labels={"a": "1", "b": "2"}, annotations={"x": "1", "y": "2"})
    secret = client.update_secret(
        secret={"name": SECRET, "annotations": {"z": "3"}, "labels": {"c": "3"}}, update_mask={"paths": ["annotations"]}
    )
    assert (dict(secret.annotations), dict(secret.labels)) == ({"z": "3"}, {"a": "1", "b": "2"})
    secret = client.update_secret(secret={"name": SECRET}, update_mask={"paths": ["labels"]})
    assert (dict(secret.annotations), dict(secret.labels)) == ({"z": "3"}, {})


@pytest.mark.parametrize("paths", [[], ["replication"], ["name"], ["labels.a"], ["colour"], ["*"]])
def test_an_update_with_no_mask_or_a_field_that_cannot_change_is_refused(
    client: SecretManagerServiceClient, paths: list[str]
) -> None:
    create(client, labels={"a": "1"})
    with pytest.raises(exceptions.InvalidArgument, match="mask"):
        client.update_secret(secret={"name": SECRET}, update_mask={"paths": paths})
    assert dict(client.get_secret(name=SECRET).labels) == {"a": "1"}


def test_an_update_takes_topics_rotation_aliases_expiry_and_the_delay_of_destruction(
    client: SecretManagerServiceClient,
) -> None:
    create(client)
    add(client)
    paths = ["topics", "rotation", "version_aliases", "ttl", "version_destroy_ttl"]
    secret = client.update_secret(
        secret={
            "name": SECRET,
            "topics": [{"name": "projects/p/topics/token-refresh"}],
            "rotation": {"next_rotation_time": "2100-01-01T00:00:00Z", "rotation_period": "86400s"},
            "version_aliases": {"stable": 1},
            "ttl": "3600s",
            "version_destroy_ttl": "86400s",
        },
        update_mask={"paths": paths},
    )
    assert secret.topics[0].name == "projects/p/topics/token-refresh"
    assert secret.rotation.rotation_period.days == 1
    assert (secret.expire_time - secret.create_time).total_seconds() == pytest.approx(3600, abs=30)
    assert "ttl" not in secret
    assert client.access_secret_version(name=f"{SECRET}/versions/stable").payload.data == b"payload"
    secret = client.update_secret(secret={"name": SECRET}, update_mask={"paths": ["ttl", "version_aliases"]})
    assert "expire_time" not in secret
    assert not secret.version_aliases


def test_an_etag_changes_with_every_change_of_its_own_object_only(client: SecretManagerServiceClient) -> None:
    etag = create(client).etag
    assert etag[0] == etag[-1] == '"'
    version = add(client)
    assert client.get_secret(name=SECRET).etag == etag
    updated = client.update_secret(secret={"name": SECRET, "etag": etag}, update_mask={"paths": ["labels"]})
    assert updated.etag != etag
    assert client.get_secret_version(name=version.name).etag == version.etag
    assert client.disable_secret_version(name=version.name).etag != version.etag
    assert client.get_secret(name=SECRET).etag == updated.etag


def test_an_outdated_etag_stops_every_change_that_carries_one(client: SecretManagerServiceClient) -> None:
    etag = create(client).etag
    version = add(client)
    client.update_secret(secret={"name": SECRET}, update_mask={"paths": ["labels"]})
    client.disable_secret_version(name=version.name)
    client.enable_secret_version(name=version.name)
    outdated = {"name": version.name, "etag": version.etag}
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        client.update_secret(secret={"name": SECRET, "etag": etag}, update_mask={"paths": ["labels"]})
    for change in (client.enable_secret_version, client.disable_secret_version, client.destroy_secret_version):
        with pytest.raises(exceptions.FailedPrecondition, match="etag"):
            change(request=outdated)
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        client.delete_secret(request={"name": SECRET, "etag": etag})
    assert client.access_secret_version(name=version.name).payload.data == b"payload"
    current = client.get_secret_version(name=version.name)
    client.destroy_secret_version(request={"name": version.name, "etag": current.etag})
    client.delete_secret(request={"name": SECRET, "etag": client.get_secret(name=SECRET).etag})


def test_a_payload_comes_back_as_it_was_with_its_checksum(client: SecretManagerServiceClient) -> None:
    create(client)
    version = client.add_secret_version(parent=SECRET, payload={"data": b"123456789", "data_crc32c": 0xE3069283})
    assert version.client_specified_payload_checksum
    assert not add(client).client_specified_payload_checksum
    reply = client.access_secret_version(name=version.name)
    assert (reply.name, reply.payload.data) == (version.name, b"123456789")
    assert reply.payload.data_crc32c == 0xE3069283  # the check value of CRC-32C for these nine digits


@pytest.mark.parametrize(
    "payload", [{"data": b""}, {"data": b"x" * 65_537}, {"data": b"123456789", "data_crc32c": 0xE3069284}]
)
def test_a_payload_that_is_empty_too_large_or_damaged_is_refused_and_takes_no_number(
    client: SecretManagerServiceClient, payload: dict[str, Any]
) -> None:
    create(client)
    with pytest.raises(exceptions.InvalidArgument, match="Payload"):
        client.add_secret_version(parent=SECRET, payload=payload)
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


def test_a_deleted_secret_takes_its_versions_along_and_its_name_is_free(client: SecretManagerServiceClient) -> None:
    create(client)
    add(client, b"old")
    client.delete_secret(name=SECRET)
    with pytest.raises(exceptions.NotFound):
        client.access_secret_version(name=f"{SECRET}/versions/1")
    create(client)
    assert not list(client.list_secret_versions(parent=SECRET))
    assert add(client, b"new").name.endswith("/versions/1")


def test_a_policy_is_kept_and_a_concurrent_change_of_it_is_aborted(client: SecretManagerServiceClient) -> None:
    create(client)
    outdated = client.get_iam_policy(request={"resource": SECRET})
    binding = {"role": "roles/secretmanager.secretAccessor", "members": ["user:a@example.com"]}
    client.set_iam_policy(request={"resource": SECRET, "policy": {"bindings": [binding], "etag": outdated.etag}})
    assert client.get_iam_policy(request={"resource": SECRET}).bindings[0].members == ["user:a@example.com"]
    with pytest.raises(exceptions.Aborted):
        client.set_iam_policy(request={"resource": SECRET, "policy": {"etag": outdated.etag}})
    asked = {"resource": SECRET, "permissions": ["secretmanager.versions.access"]}
    assert client.test_iam_permissions(request=asked).permissions == ["secretmanager.versions.access"]


def test_the_journal_lists_every_call_with_its_outcome(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    create(client)
    add(client)
    server.calls.clear()
    client.access_secret_version(name=f"{SECRET}/versions/latest")
    with pytest.raises(exceptions.NotFound):
        client.access_secret_version(name=f"{SECRET}/versions/9")
    list(client.list_secrets(parent=PROJECT))
    assert server.calls == [
        ("AccessSecretVersion", f"{SECRET}/versions/latest", "OK"),
        ("AccessSecretVersion", f"{SECRET}/versions/9", "NOT_FOUND"),
        ("ListSecrets", PROJECT, "OK"),
    ]
    assert [call.secret for call in server.calls] == ["gmail-alice-refresh-token"] * 2 + [""]


def test_an_rpc_that_the_client_knows_and_the_stack_does_not_is_unimplemented(
    client: SecretManagerServiceClient,
) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match="ListLocations"):
        client.list_locations(request={"name": PROJECT})


def test_a_thousand_secrets_are_listed_in_one_page(client: SecretManagerServiceClient) -> None:
    for number in range(1000):
        create(client, f"{PROJECT}/secrets/s{number}", labels={"token-refresh": "enabled"})
    pages = list(client.list_secrets(request={"parent": PROJECT, "filter": "labels.token-refresh:*"}).pages)
    assert [len(page.secrets) for page in pages] == [1000]
