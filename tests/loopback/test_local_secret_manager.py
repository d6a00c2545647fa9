"""The local Secret Manager keeps the promises of the real one, as the real gRPC client sees them."""

from collections.abc import Iterator

import pytest
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local.secret_manager import SecretManagerServer
from infra.local.secret_manager.messages import Json, Message

PROJECT = "projects/local-project"
SECRET = f"{PROJECT}/secrets/gmail-alice-refresh-token"
AUTOMATIC: Json = {"replication": {"automatic": {}}}

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def server() -> Iterator[SecretManagerServer]:
    with SecretManagerServer() as running:
        yield running


@pytest.fixture
def client(server: SecretManagerServer) -> Iterator[SecretManagerServiceClient]:
    with server.client() as connected:
        yield connected


def create(client: SecretManagerServiceClient, name: str = SECRET, **fields: Json) -> Message:
    parent, _, secret_id = name.partition("/secrets/")
    replication = {} if "/locations/" in parent else AUTOMATIC
    return client.create_secret(request={"parent": parent, "secret_id": secret_id, "secret": {**replication, **fields}})


def add(client: SecretManagerServiceClient, data: bytes = b"payload", name: str = SECRET, **payload: int) -> Message:
    return client.add_secret_version(request={"parent": name, "payload": {"data": data, **payload}})


def update(client: SecretManagerServiceClient, *paths: str, **fields: Json) -> Message:
    mask = {"paths": list(paths)}
    return client.update_secret(request={"secret": {"name": SECRET, **fields}, "update_mask": mask})


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
        client.create_secret(request={"parent": PROJECT, "secret_id": "a"})
    with pytest.raises(exceptions.InvalidArgument, match="replication"):
        client.create_secret(
            request={"parent": f"{PROJECT}/locations/europe-west1", "secret_id": "a", "secret": AUTOMATIC}
        )


def test_a_secret_that_exists_cannot_be_created_again(client: SecretManagerServiceClient) -> None:
    name = create(client).name
    with pytest.raises(exceptions.AlreadyExists, match=rf"Secret \[{name}\] already exists"):
        create(client)


@pytest.mark.parametrize("secret_id", ["", "a.b", "a" * 256, "ä"])
def test_a_secret_id_outside_the_rules_is_refused(client: SecretManagerServiceClient, secret_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Secret ID"):
        client.create_secret(request={"parent": PROJECT, "secret_id": secret_id, "secret": AUTOMATIC})


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
    client: SecretManagerServiceClient, fields: dict[str, Json], named: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=named):
        create(client, **fields)


def test_metadata_up_to_the_limits_is_kept(client: SecretManagerServiceClient) -> None:
    labels = {f"k{number}": "v" * 63 for number in range(62)} | {"straße": "größe", "k" * 63: ""}
    annotations = {"token-refresh.status": "v" * (16 * 1024 - 22), "9": ""}  # 20 + 1 bytes of keys, one short of 16 KiB
    secret = create(client, labels=labels, annotations=annotations)
    assert (dict(secret.labels), dict(secret.annotations)) == (labels, annotations)


def test_an_update_replaces_labels_and_annotations_as_whole_maps_and_nothing_else(
    client: SecretManagerServiceClient,
) -> None:
    create(client, labels={"a": "1", "b": "2"}, annotations={"x": "1", "y": "2"})
    secret = update(client, "annotations", annotations={"z": "3"}, labels={"c": "3"})
    assert (dict(secret.annotations), dict(secret.labels)) == ({"z": "3"}, {"a": "1", "b": "2"})
    secret = update(client, "labels")
    assert (dict(secret.annotations), dict(secret.labels)) == ({"z": "3"}, {})


@pytest.mark.parametrize("paths", [[], ["replication"], ["name"], ["labels.a"], ["colour"], ["*"]])
def test_an_update_with_no_mask_or_a_field_that_cannot_change_is_refused(
    client: SecretManagerServiceClient, paths: list[str]
) -> None:
    create(client, labels={"a": "1"})
    with pytest.raises(exceptions.InvalidArgument, match="mask"):
        update(client, *paths)
    assert dict(client.get_secret(name=SECRET).labels) == {"a": "1"}


def test_an_update_takes_topics_rotation_aliases_expiry_and_the_delay_of_destruction(
    client: SecretManagerServiceClient,
) -> None:
    create(client)
    add(client)
    fields = {
        "topics": [{"name": "projects/p/topics/token-refresh"}],
        "rotation": {"next_rotation_time": "2100-01-01T00:00:00Z", "rotation_period": "86400s"},
        "version_aliases": {"stable": 1},
        "ttl": "3600s",
        "version_destroy_ttl": "86400s",
    }
    secret = update(client, *fields, **fields)
    assert secret.topics[0].name == "projects/p/topics/token-refresh"
    assert secret.rotation.rotation_period.days == 1
    assert (secret.expire_time - secret.create_time).total_seconds() == pytest.approx(3600, abs=30)
    assert "ttl" not in secret
    assert client.access_secret_version(name=f"{SECRET}/versions/stable").payload.data == b"payload"
    secret = update(client, "ttl", "version_aliases")
    assert "expire_time" not in secret
    assert not secret.version_aliases


def test_an_etag_changes_with_every_change_of_its_own_object_only(client: SecretManagerServiceClient) -> None:
    etag = create(client).etag
    assert etag[0] == etag[-1] == '"'
    version = add(client)
    assert client.get_secret(name=SECRET).etag == etag
    updated = update(client, "labels", etag=etag)
    assert updated.etag != etag
    assert client.get_secret_version(name=version.name).etag == version.etag
    assert client.disable_secret_version(name=version.name).etag != version.etag
    assert client.get_secret(name=SECRET).etag == updated.etag


def test_an_outdated_etag_stops_every_change_that_carries_one(client: SecretManagerServiceClient) -> None:
    etag = create(client).etag
    version = add(client)
    update(client, "labels")
    client.disable_secret_version(name=version.name)
    client.enable_secret_version(name=version.name)
    outdated = {"name": version.name, "etag": version.etag}
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        update(client, "labels", etag=etag)
    for change in (client.enable_secret_version, client.disable_secret_version, client.destroy_secret_version):
        with pytest.raises(exceptions.FailedPrecondition, match="etag"):
            change(request=outdated)
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        client.delete_secret(request={"name": SECRET, "etag": etag})
    assert client.access_secret_version(name=version.name).payload.data == b"payload"
    current = client.get_secret_version(name=version.name)
    client.destroy_secret_version(request={"name": version.name, "etag": current.etag})
    client.delete_secret(request={"name": SECRET, "etag": client.get_secret(name=SECRET).etag})


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
