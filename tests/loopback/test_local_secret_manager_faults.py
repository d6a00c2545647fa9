"""Faults, staleness, quota and notifications of the local Secret Manager, on order and as counted."""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports.grpc import (
    SecretManagerServiceGrpcTransport,
)

from infra.local.secret_manager import Fault, SecretManagerServer

PROJECT = "projects/local-project"
SECRET = f"{PROJECT}/secrets/gmail-alice-refresh-token"
TOPIC = "projects/local-project/topics/token-refresh"
LABELS = {"paths": ["labels"]}

pytestmark = pytest.mark.timeout(30)


def connect(channel: grpc.Channel) -> SecretManagerServiceClient:
    return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))


@pytest.fixture
def server() -> Iterator[SecretManagerServer]:
    with SecretManagerServer() as running:
        yield running


@pytest.fixture
def client(server: SecretManagerServer) -> Iterator[SecretManagerServiceClient]:
    with grpc.insecure_channel(server.grpc_address) as channel:
        client = connect(channel)
        create(client)
        add(client, b"one")
        server.calls.clear()
        yield client


def create(client: SecretManagerServiceClient, secret_id: str = "gmail-alice-refresh-token", **fields: Any) -> Any:
    return client.create_secret(
        parent=PROJECT, secret_id=secret_id, secret={"replication": {"automatic": {}}, **fields}
    )


def add(client: SecretManagerServiceClient, data: bytes, **options: Any) -> Any:
    return client.add_secret_version(parent=SECRET, payload={"data": data}, **options)


def access(client: SecretManagerServiceClient, version: str) -> bytes:
    return bytes(client.access_secret_version(name=f"{SECRET}/versions/{version}", retry=None).payload.data)


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 10
    while not (found := condition()):
        assert time.monotonic() < deadline, "what was waited for did not happen within 10 s"
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(("when", "versions"), [("before", 1), ("after", 2)])
def test_an_error_strikes_the_ordered_call_before_or_after_it_takes_effect(
    server: SecretManagerServer, client: SecretManagerServiceClient, when: str, versions: int
) -> None:
    fault = server.faults.add(Fault(rpc="AddSecretVersion", calls=(2,), code="UNAVAILABLE", when=when))
    add(client, b"first is fine")
    with pytest.raises(exceptions.ServiceUnavailable):
        add(client, b"second fails")
    add(client, b"third is fine")
    assert len(list(client.list_secret_versions(parent=SECRET))) == 2 + versions
    assert (fault.seen, fault.hits) == (3, 1)
    assert [call.code for call in server.calls if call.rpc == "AddSecretVersion"] == ["OK", "UNAVAILABLE", "OK"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("RESOURCE_EXHAUSTED", exceptions.ResourceExhausted),
        ("PERMISSION_DENIED", exceptions.PermissionDenied),
        ("DEADLINE_EXCEEDED", exceptions.DeadlineExceeded),
        ("INTERNAL", exceptions.InternalServerError),
        ("ABORTED", exceptions.Aborted),
    ],
)
def test_any_grpc_code_can_be_ordered_for_every_call(
    server: SecretManagerServer, client: SecretManagerServiceClient, code: str, error: type[Exception]
) -> None:
    server.faults.add(rpc="*", code=code)
    for _ in range(2):
        with pytest.raises(error):
            client.get_secret(name=SECRET)
    server.faults.clear()
    client.get_secret(name=SECRET)


def test_a_fault_of_one_secret_leaves_the_others_alone(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    create(client, "other")
    server.faults.add(rpc="GetSecret", secret="other", code="UNAVAILABLE")
    client.get_secret(name=SECRET)
    with pytest.raises(exceptions.ServiceUnavailable):
        client.get_secret(name=f"{PROJECT}/secrets/other")


def test_latency_is_added_and_calls_wait_side_by_side(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    server.faults.add(rpc="AccessSecretVersion", latency=0.5)
    started = time.monotonic()
    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(lambda _: access(client, "1"), range(64))) == [b"one"] * 64
    assert 0.5 <= time.monotonic() - started < 5


@pytest.mark.parametrize(("when", "newest"), [("before", b"one"), ("after", b"two")])
def test_a_hanging_call_is_never_answered_and_the_hit_shows(
    server: SecretManagerServer, client: SecretManagerServiceClient, when: str, newest: bytes
) -> None:
    fault = server.faults.add(rpc="AddSecretVersion", hang=True, when=when)
    with pytest.raises(exceptions.DeadlineExceeded):
        add(client, b"two", timeout=0.3)
    assert fault.hits == 1
    wait_for(lambda: server.calls == [("AddSecretVersion", SECRET, "HANG")])
    assert access(client, "latest") == newest


def test_another_process_sees_that_the_hang_was_reached_and_ends_it(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    order = {"faults": [{"rpc": "AddSecretVersion", "secret": "gmail-alice-refresh-token", "hang": True}]}
    faults = f"{server.rest_url}/_local/faults"
    assert requests.put(faults, json=order, timeout=5).status_code == 200
    caller = threading.Thread(target=lambda: pytest.raises(exceptions.Cancelled, add, client, b"two"))
    caller.start()
    wait_for(lambda: requests.get(faults, timeout=5).json()["faults"][0]["hits"] == 1)
    assert requests.delete(faults, timeout=5).json() == {}
    caller.join(5)
    assert not caller.is_alive()
    assert requests.get(faults, timeout=5).json() == {"faults": [], "stale": {}, "writes_per_minute": 0}


def test_a_caller_killed_at_the_hang_point_leaves_the_effect_and_no_thread_behind(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    fault = server.faults.add(rpc="AddSecretVersion", hang=True, when="after")
    body = {"payload": {"data": "dHdv"}}
    script = f"import requests; requests.post('{server.rest_url}/v1/{SECRET}:addVersion', json={body!r}, timeout=60)"
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        wait_for(lambda: fault.hits)
    finally:
        process.kill()
        process.wait(10)
    wait_for(lambda: [call.code for call in server.calls] == ["HANG"])
    assert access(client, "2") == b"two"


def test_orders_by_http_are_checked(server: SecretManagerServer) -> None:
    faults = f"{server.rest_url}/_local/faults"
    for wrong in (
        {"faults": [{"rpc": "GetSecret", "code": "NO_CODE"}]},
        {"faults": [{"when": "never"}]},
        {"faults": [{"colour": "red"}]},
        {"stale": {"everything": 5}},
        {"typo": 1},
    ):
        reply = requests.put(faults, json=wrong, timeout=5)
        assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert requests.get(f"{server.rest_url}/_local/nothing", timeout=5).status_code == 404


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
    server.faults.set_stale(latest=0.3)
    add(client, b"two")
    assert access(client, "latest") == b"one"
    wait_for(lambda: access(client, "latest") == b"two")


def test_stale_lists_show_neither_new_secrets_nor_new_labels_nor_new_versions(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    server.faults.set_stale(lists=60)
    create(client, "another")
    client.update_secret(secret={"name": SECRET, "labels": {"token-refresh": "enabled"}}, update_mask=LABELS)
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
    after = client.update_secret(secret={"name": SECRET, "etag": before.etag, "labels": {"a": "1"}}, update_mask=LABELS)
    assert client.get_secret(name=SECRET) == before
    with pytest.raises(exceptions.FailedPrecondition):
        client.update_secret(secret={"name": SECRET, "etag": before.etag}, update_mask=LABELS)
    client.update_secret(secret={"name": SECRET, "etag": after.etag}, update_mask=LABELS)


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


def test_writes_above_the_quota_of_the_minute_are_refused_and_reads_are_not(
    server: SecretManagerServer, client: SecretManagerServiceClient
) -> None:
    now = 1000.0
    server.faults.clock = lambda: now
    server.faults.replace({"writes_per_minute": 3})
    for _ in range(3):
        add(client, b"more")
    with pytest.raises(exceptions.ResourceExhausted, match="Quota exceeded"):
        add(client, b"too much")
    assert len(list(client.list_secret_versions(parent=SECRET))) == 4
    now += 60
    add(client, b"a minute later")


def test_topics_of_a_secret_hear_of_its_changes_in_order_and_of_no_reads() -> None:
    heard: queue.SimpleQueue[tuple[str, dict[str, str], bytes]] = queue.SimpleQueue()
    with (
        SecretManagerServer(notify=lambda *message: heard.put(message)) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        client = connect(channel)
        create(client, "silent")
        secret = create(client, topics=[{"name": TOPIC}], rotation={"next_rotation_time": "2100-01-01T00:00:00Z"})
        version = add(client, b"canary")
        access(client, "latest")
        client.disable_secret_version(name=version.name)
        client.enable_secret_version(name=version.name)
        client.destroy_secret_version(name=version.name)
        client.update_secret(secret={"name": SECRET, "labels": {"a": "1"}}, update_mask=LABELS)
        rotation = requests.post(f"{server.rest_url}/_local/rotations", json={"secret": SECRET}, timeout=5)
        assert rotation.status_code == 200
        client.delete_secret(name=SECRET)
        messages = [heard.get(timeout=5) for _ in range(9)]
        assert heard.empty()
    assert [attributes["eventType"] for _, attributes, _ in messages] == [
        "TOPIC_CONFIGURED",
        "SECRET_CREATE",
        "SECRET_VERSION_ADD",
        "SECRET_VERSION_DISABLE",
        "SECRET_VERSION_ENABLE",
        "SECRET_VERSION_DESTROY",
        "SECRET_UPDATE",
        "SECRET_ROTATE",
        "SECRET_DELETE",
    ]
    assert {topic for topic, _, _ in messages} == {TOPIC}
    assert messages[0][2] == b""
    _, attributes, data = messages[2]
    assert attributes.keys() == {"eventType", "dataFormat", "secretId", "versionId", "timestamp"}
    assert attributes["dataFormat"] == "JSON_API_V1"
    assert (attributes["secretId"], attributes["versionId"]) == (secret.name, version.name)
    assert json.loads(data)["state"] == "ENABLED"
    assert not any(b"canary" in data for _, _, data in messages)


def test_a_listener_that_fails_stops_neither_the_call_nor_the_next_message() -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    def notify(_topic: str, attributes: dict[str, str], _data: bytes) -> None:
        heard.put(attributes["eventType"])
        raise ConnectionError

    with SecretManagerServer(notify=notify) as server, grpc.insecure_channel(server.grpc_address) as channel:
        create(connect(channel), topics=[{"name": TOPIC}])
        assert [heard.get(timeout=5), heard.get(timeout=5)] == ["TOPIC_CONFIGURED", "SECRET_CREATE"]


def test_five_hundred_refreshes_at_once_keep_their_count(server: SecretManagerServer) -> None:
    with grpc.insecure_channel(server.grpc_address) as channel, ThreadPoolExecutor(32) as pool:
        client = connect(channel)

        def refresh(number: int) -> None:
            name = f"{PROJECT}/secrets/c{number}"
            client.access_secret_version(name=f"{name}/versions/latest")
            client.add_secret_version(parent=name, payload={"data": b"x" * 1024})
            client.destroy_secret_version(name=f"{name}/versions/1")

        for number in range(500):
            create(client, f"c{number}")
            client.add_secret_version(parent=f"{PROJECT}/secrets/c{number}", payload={"data": b"x"})
        server.calls.clear()
        list(pool.map(refresh, range(500)))
    counts = [
        sum(call.rpc == rpc and call.code == "OK" for call in server.calls)
        for rpc in ("AccessSecretVersion", "AddSecretVersion", "DestroySecretVersion")
    ]
    assert counts == [500, 500, 500]
    assert len(server.calls) == 1500


def test_of_many_compare_and_swaps_upon_one_read_exactly_one_wins(client: SecretManagerServiceClient) -> None:
    etag = client.get_secret(name=SECRET).etag

    def take(number: int) -> bool:
        lease = {"name": SECRET, "etag": etag, "labels": {"holder": str(number)}}
        try:
            client.update_secret(secret=lease, update_mask=LABELS)
        except exceptions.FailedPrecondition:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(take, range(16))) == 1
