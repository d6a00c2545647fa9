"""The local Secret Manager over HTTP: the real REST client and the real gcloud."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from google.api_core import exceptions
from google.auth import credentials
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports.rest import (
    SecretManagerServiceRestTransport,
)

from infra.local.secret_manager import SecretManagerServer
from infra.local.secret_manager.messages import Message
from tests.worlds.gcloud import warm_path

PROJECT = "projects/local-project"
SECRET = f"{PROJECT}/secrets/gmail-alice-refresh-token"
ANNOTATIONS = {"paths": ["annotations", "version_aliases"]}
ROOT = Path(__file__).parents[2]

Gcloud = Callable[..., str]


@pytest.fixture
def server() -> Iterator[SecretManagerServer]:
    with SecretManagerServer() as running:
        yield running


@pytest.fixture
def client(server: SecretManagerServer) -> Iterator[SecretManagerServiceClient]:
    anonymous: Callable[[], credentials.Credentials] = credentials.AnonymousCredentials
    host = server.rest_url.removeprefix("http://")
    transport = SecretManagerServiceRestTransport(host=host, url_scheme="http", credentials=anonymous())
    with SecretManagerServiceClient(transport=transport) as client:
        yield client


def create(client: SecretManagerServiceClient, secret_id: str, state: str = "") -> Message:
    secret = {"replication": {"automatic": {}}, "labels": {"token-refresh": state}}
    return client.create_secret(request={"parent": PROJECT, "secret_id": secret_id, "secret": secret})


@pytest.mark.timeout(30)
def test_the_rest_client_walks_through_the_life_of_a_secret(client: SecretManagerServiceClient) -> None:
    secret = create(client, "gmail-alice-refresh-token", "enabled")
    version = client.add_secret_version(
        request={"parent": SECRET, "payload": {"data": b"\xff" * 32, "data_crc32c": 0x62A8AB43}}
    )
    assert (version.state.name, version.client_specified_payload_checksum) == ("ENABLED", True)
    payload = client.access_secret_version(name=f"{SECRET}/versions/latest").payload
    assert (payload.data, payload.data_crc32c) == (b"\xff" * 32, 0x62A8AB43)  # RFC 3720 appendix B.4
    updated = client.update_secret(
        request={
            "secret": {
                "name": SECRET,
                "etag": secret.etag,
                "annotations": {"a.b": "c"},
                "version_aliases": {"stable": 1},
            },
            "update_mask": ANNOTATIONS,
        }
    )
    assert dict(updated.annotations) == {"a.b": "c"}
    assert client.get_secret_version(name=f"{SECRET}/versions/stable") == version
    page = {"parent": PROJECT, "filter": "labels.token-refresh=enabled AND name:gmail", "page_size": 1}
    assert list(client.list_secrets(request=page)) == [updated]
    assert client.disable_secret_version(name=version.name).state.name == "DISABLED"
    assert client.enable_secret_version(name=version.name).state.name == "ENABLED"
    assert client.destroy_secret_version(name=version.name).state.name == "DESTROYED"
    assert [item.state.name for item in client.list_secret_versions(parent=SECRET)] == ["DESTROYED"]
    policy = client.get_iam_policy(request={"resource": SECRET})
    client.set_iam_policy(request={"resource": SECRET, "policy": policy})
    client.delete_secret(request={"name": SECRET, "etag": updated.etag})
    assert not list(client.list_secrets(parent=PROJECT))


@pytest.mark.timeout(30)
def test_the_rest_client_reads_regional_secrets(client: SecretManagerServiceClient) -> None:
    parent = f"{PROJECT}/locations/europe-west1"
    name = client.create_secret(request={"parent": parent, "secret_id": "a"}).name
    client.add_secret_version(request={"parent": name, "payload": {"data": b"regional"}})
    assert client.access_secret_version(name=f"{parent}/secrets/a/versions/1").payload.data == b"regional"


@pytest.mark.timeout(30)
def test_the_rest_client_raises_what_the_service_answers(client: SecretManagerServiceClient) -> None:
    create(client, "a")
    with pytest.raises(exceptions.Conflict, match="already exists"):
        create(client, "a")
    with pytest.raises(exceptions.NotFound, match="not found"):
        client.get_secret(name=SECRET)
    with pytest.raises(exceptions.BadRequest, match="etag"):
        client.delete_secret(request={"name": f"{PROJECT}/secrets/a", "etag": '"outdated"'})


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("request_line", "body", "status", "name"),
    [
        (f"GET /v1/{SECRET}", None, 404, "NOT_FOUND"),
        ("GET /v2/anything", None, 404, "NOT_FOUND"),
        (f"DELETE /v1/{PROJECT}/secrets", None, 404, "NOT_FOUND"),
        (f"POST /v1/{PROJECT}/secrets?secretId=a", "{truncated", 400, "INVALID_ARGUMENT"),
        (f"POST /v1/{PROJECT}/secrets?secretId=a", '{"colour": "red"}', 400, "INVALID_ARGUMENT"),
        (f"POST /v1/{PROJECT}/secrets?secretId=a", '["list"]', 400, "INVALID_ARGUMENT"),
        (f"GET /v1/{PROJECT}/secrets?filter=%28", None, 400, "INVALID_ARGUMENT"),
        (f"GET /v1/{PROJECT}/locations", None, 501, "UNIMPLEMENTED"),
    ],
)
def test_errors_have_googles_json_form(
    server: SecretManagerServer, request_line: str, body: str | None, status: int, name: str
) -> None:
    method, path = request_line.split()
    reply = requests.request(method, server.rest_url + path, data=body, timeout=5)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["status"]) == (status, status, name)
    assert error["message"]
    assert error["details"] == []


@pytest.mark.timeout(30)
def test_the_journal_is_read_and_emptied_by_http(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    with pytest.raises(exceptions.NotFound):
        client.get_secret(name=SECRET)
    calls = f"{server.rest_url}/_local/calls"
    journal = [{"rpc": "GetSecret", "resource": SECRET, "code": "NOT_FOUND"}]
    assert requests.get(calls, timeout=5).json() == {"calls": journal}
    assert requests.delete(calls, timeout=5).json() == {}
    assert server.calls == []


@pytest.fixture
def gcloud(server: SecretManagerServer, tmp_path: Path) -> Gcloud:
    """Run the real gcloud as docs/local.md says, with a configuration folder of its own."""
    if not shutil.which("gcloud"):
        pytest.skip("gcloud is not installed")
    settings = {
        "PATH": warm_path(),
        "CLOUDSDK_CONFIG": str(tmp_path),
        "CLOUDSDK_CORE_PROJECT": "local-project",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{server.rest_url}/",
    }

    def run(*arguments: str, data: str = "", fails_with: str = "") -> str:
        command = ["gcloud", "secrets", *arguments]
        done = subprocess.run(
            command, input=data, capture_output=True, text=True, timeout=60, check=False, env=os.environ | settings
        )
        assert (done.returncode != 0) == bool(fails_with), done.stderr
        assert fails_with in done.stderr
        return done.stdout.strip()

    return run


@pytest.mark.timeout(180)
def test_gcloud_declares_reads_and_deletes_a_connection(gcloud: Gcloud) -> None:
    gcloud("create", "gmail-alice-refresh-token", "--labels=token-refresh=enabled")
    gcloud("create", "gmail-alice-refresh-token", fails_with="already exists")
    gcloud("versions", "add", "gmail-alice-refresh-token", "--data-file=-", data="1//canary")
    assert gcloud("versions", "access", "latest", "--secret=gmail-alice-refresh-token") == "1//canary"
    gcloud("versions", "disable", "1", "--secret=gmail-alice-refresh-token")
    gcloud("versions", "access", "latest", "--secret=gmail-alice-refresh-token", fails_with="is in DISABLED state")
    gcloud("versions", "enable", "1", "--secret=gmail-alice-refresh-token")
    listed = gcloud(
        "versions", "list", "gmail-alice-refresh-token", "--filter=state:ENABLED", "--format=value(name.basename())"
    )
    assert listed == "1"
    gcloud("versions", "destroy", "1", "--secret=gmail-alice-refresh-token")
    gcloud("delete", "gmail-alice-refresh-token")
    gcloud("describe", "gmail-alice-refresh-token", fails_with="NOT_FOUND")


@pytest.mark.timeout(180)
def test_gcloud_updates_under_an_etag(gcloud: Gcloud) -> None:
    gcloud("create", "gmail-alice-refresh-token", "--labels=token-refresh=enabled")
    etag = gcloud("describe", "gmail-alice-refresh-token", "--format=value(etag)")
    owner = "--update-annotations=token-refresh.owner=alice@example.com"
    gcloud("update", "gmail-alice-refresh-token", f"--etag={etag}", owner, "--update-labels=team=x")
    gcloud("update", "gmail-alice-refresh-token", f"--etag={etag}", owner, fails_with="FAILED_PRECONDITION")
    annotation = gcloud(
        "describe", "gmail-alice-refresh-token", "--format=value(annotations['token-refresh.owner'],labels.team)"
    )
    assert annotation == "alice@example.com\tx"


@pytest.mark.timeout(180)
def test_gcloud_filters_the_list_and_follows_its_pages(gcloud: Gcloud, client: SecretManagerServiceClient) -> None:
    for name, state in (("a", "enabled"), ("b", "paused"), ("c", "enabled")):
        create(client, name, state)
    names = "--format=value(name.basename())"
    assert gcloud("list", names, "--page-size=1").split() == ["c", "b", "a"]
    assert gcloud("list", names, "--filter=labels.token-refresh=enabled", "--page-size=1").split() == ["c", "a"]
    assert gcloud("list", names, "--filter=labels.token-refresh:* AND NOT name:secrets/c").split() == ["b", "a"]


@pytest.mark.timeout(180)
def test_gcloud_works_on_regional_secrets(gcloud: Gcloud) -> None:
    location = "--location=europe-west1"
    gcloud("create", "regional", location)
    gcloud("versions", "add", "regional", location, "--data-file=-", data="canary")
    assert gcloud("versions", "access", "latest", "--secret=regional", location) == "canary"
    assert gcloud("list", "--format=value(name.basename())") == ""
    assert gcloud("list", "--format=value(name.basename())", location) == "regional"
