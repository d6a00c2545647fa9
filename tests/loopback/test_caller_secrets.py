"""Secret Manager read as the caller: the local one with IAM per caller, through the real gRPC client (contract 12)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import requests
from google.cloud.secretmanager_v1 import SecretManagerServiceClient, SecretPayload
from google.iam.v1 import policy_pb2

from infra.local.metadata import MetadataServer
from infra.local.secret_manager.server import SecretManagerServer
from token_refresh.adapters.caller_secrets import CallerSecrets
from token_refresh.adapters.secret_manager_client import open_channel
from token_refresh.core.secrecy import Secret
from token_refresh.errors import CallerNotAccepted, CallerNotAllowed, StoreUnavailable
from token_refresh.settings import Settings

PROJECT = "projects/local-project"
JOB = "job@local-project.iam.gserviceaccount.com"
SECRET = "gmail-alice-access-token"


@pytest.fixture
def server() -> Iterator[SecretManagerServer]:
    with SecretManagerServer() as server:
        yield server


@pytest.fixture
def client(server: SecretManagerServer) -> Iterator[SecretManagerServiceClient]:
    """The owner of the stack, who shows no token and may do everything."""
    with server.client() as client:
        yield client


@pytest.fixture
def callers(server: SecretManagerServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[CallerSecrets]:
    # There are no credentials here, and none may be looked for.
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    with open_channel(Settings(secret_manager_emulator_host=server.grpc_address)) as channel:
        yield CallerSecrets(channel, PROJECT)


def store(client: SecretManagerServiceClient, secret_id: str, *payloads: bytes) -> None:
    request = {"parent": PROJECT, "secret_id": secret_id, "secret": {"replication": {"automatic": {}}}}
    client.create_secret(request=request)
    for payload in payloads:
        client.add_secret_version(parent=f"{PROJECT}/secrets/{secret_id}", payload=SecretPayload(data=payload))


def allow(client: SecretManagerServiceClient, secret_id: str, member: str, role: str = "secretAccessor") -> None:
    policy = policy_pb2.Policy()
    policy.bindings.add(role=f"roles/secretmanager.{role}", members=[member])
    client.set_iam_policy(request={"resource": f"{PROJECT}/secrets/{secret_id}", "policy": policy})


@pytest.fixture
def stored(client: SecretManagerServiceClient) -> None:
    store(client, SECRET, b"old", b"new")
    allow(client, SECRET, f"serviceAccount:{JOB}")
    store(client, "gmail-bob-access-token", b"bob's")


@pytest.mark.usefixtures("stored")
def test_an_allowed_caller_reads_the_newest_version(server: SecretManagerServer, callers: CallerSecrets) -> None:
    assert callers.read(SECRET, Secret(server.callers.issue(JOB))) == b"new"


@pytest.mark.usefixtures("stored")
def test_each_call_is_its_own_callers(server: SecretManagerServer, callers: CallerSecrets) -> None:
    job, other = Secret(server.callers.issue(JOB)), Secret(server.callers.issue("other@example.com"))
    for _ in range(3):
        assert callers.read(SECRET, job) == b"new"
        with pytest.raises(CallerNotAllowed):
            callers.read(SECRET, other)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("secret_id", ["gmail-bob-access-token", "gmail-nobody-access-token"])
def test_what_is_forbidden_and_what_is_unknown_look_the_same(
    server: SecretManagerServer, callers: CallerSecrets, secret_id: str
) -> None:
    with pytest.raises(CallerNotAllowed, match=secret_id):
        callers.read(secret_id, Secret(server.callers.issue(JOB)))


@pytest.mark.usefixtures("stored")
def test_a_token_that_is_unknown_or_has_ended_is_not_accepted(
    server: SecretManagerServer, callers: CallerSecrets
) -> None:
    ended = server.callers.issue(JOB)
    server.callers.expire(ended)
    for token in (ended, "ya29.made-up"):
        with pytest.raises(CallerNotAccepted) as caught:
            callers.read(SECRET, Secret(token))
        assert token not in str(caught.value)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("end", ["disable", "destroy"])
def test_a_newest_version_that_is_gone_is_nothing_to_read(
    server: SecretManagerServer, client: SecretManagerServiceClient, callers: CallerSecrets, end: str
) -> None:
    getattr(client, f"{end}_secret_version")(name=f"{PROJECT}/secrets/{SECRET}/versions/2")
    with pytest.raises(CallerNotAllowed):
        callers.read(SECRET, Secret(server.callers.issue(JOB)))


@pytest.mark.usefixtures("stored")
def test_a_secret_without_a_version_is_nothing_to_read(
    server: SecretManagerServer, client: SecretManagerServiceClient, callers: CallerSecrets
) -> None:
    store(client, "empty-access-token")
    allow(client, "empty-access-token", f"serviceAccount:{JOB}")
    with pytest.raises(CallerNotAllowed):
        callers.read("empty-access-token", Secret(server.callers.issue(JOB)))


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED"])
def test_a_fault_that_passes_is_tried_again(server: SecretManagerServer, callers: CallerSecrets, code: str) -> None:
    server.faults.add(rpc="AccessSecretVersion", code=code, calls=[1])
    assert callers.read(SECRET, Secret(server.callers.issue(JOB))) == b"new"


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNKNOWN", "CANCELLED"])
def test_trouble_is_told_apart_from_a_refusal(server: SecretManagerServer, callers: CallerSecrets, code: str) -> None:
    server.faults.add(rpc="AccessSecretVersion", code=code)
    with pytest.raises(StoreUnavailable, match=SECRET):
        callers.read(SECRET, Secret(server.callers.issue(JOB)))


def test_in_the_cloud_the_channel_is_tls_and_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(grpc, "secure_channel", lambda target, *_, **__: opened.append(target))
    open_channel(Settings())
    open_channel(Settings(location="europe-west3"))
    assert opened == ["secretmanager.googleapis.com:443", "secretmanager.europe-west3.rep.googleapis.com:443"]


# -- the local stack's own part ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stored")
def test_the_local_stack_asks_for_no_token_until_it_has_issued_one(callers: CallerSecrets) -> None:
    assert callers.read(SECRET, Secret("ya29.anything")) == b"new"


@pytest.mark.usefixtures("stored")
def test_the_rest_face_holds_callers_against_iam_too(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    token = requests.post(f"{server.rest_url}/_local/tokens", json={"account": JOB}, timeout=10).json()["access_token"]

    def read(secret_id: str, method: str = "GET", verb: str = "/versions/latest:access", **kwargs: object) -> int:
        url = f"{server.rest_url}/v1/{PROJECT}/secrets/{secret_id}{verb}"
        headers = {"Authorization": f"Bearer {token}"}
        return requests.request(method, url, headers=headers, timeout=10, **kwargs).status_code  # type: ignore[arg-type]

    assert read(SECRET) == 200
    assert read("gmail-bob-access-token") == 403
    assert read(SECRET, verb="") == 403, "an accessor reads payloads, not metadata"
    assert read(SECRET, "POST", ":addVersion", json={"payload": {"data": "eA=="}}) == 403
    allow(client, SECRET, f"user:{JOB}", "admin")
    assert read(SECRET, "POST", ":addVersion", json={"payload": {"data": "eA=="}}) == 200
    token = "made-up"
    assert read(SECRET) == 401


def test_the_metadata_server_gives_out_tokens_of_its_account(server: SecretManagerServer) -> None:
    with MetadataServer("local-project", JOB, server.callers.issue) as machine:
        assert requests.get(machine.token_url, timeout=10).status_code == 403, "without the header it says nothing"
        headers = {"Metadata-Flavor": "Google"}
        answer = requests.get(machine.token_url, headers=headers, timeout=10)
        assert answer.headers["Metadata-Flavor"] == "Google"
        assert server.callers.account_of(answer.json()["access_token"]) == JOB
        missing = requests.get(f"{machine.url}/computeMetadata/v1/x", headers=headers, timeout=10)
        assert missing.status_code == 404


def test_google_auth_takes_it_for_a_machine_in_the_cloud(
    server: SecretManagerServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import google.auth  # noqa: PLC0415 - reads its environment when it is imported
    import google.auth.transport.requests  # noqa: PLC0415
    from google.auth.compute_engine import Credentials, _metadata  # noqa: PLC0415

    with MetadataServer("local-project", JOB, server.callers.issue) as machine:
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", machine.host)
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        credentials = Credentials()  # type: ignore[no-untyped-call]
        credentials.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]
        assert credentials.service_account_email == JOB
        assert server.callers.account_of(str(credentials.token)) == JOB
