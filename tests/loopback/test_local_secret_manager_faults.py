"""Faults and quota of the local Secret Manager, on order and as counted."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local.secret_manager import Fault, SecretManagerServer
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
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(add, client, b"two")
        wait_for(lambda: requests.get(faults, timeout=5).json()["faults"][0]["hits"] == 1)
        assert not answer.done()
        assert requests.delete(faults, timeout=5).json() == {}
        assert isinstance(answer.exception(5), exceptions.Cancelled)
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


def test_five_hundred_refreshes_at_once_keep_their_count(server: SecretManagerServer) -> None:
    with server.client() as client, ThreadPoolExecutor(32) as pool:

        def refresh(number: int) -> None:
            name = f"{PROJECT}/secrets/c{number}"
            client.access_secret_version(name=f"{name}/versions/latest")
            add(client, b"x" * 1024, name)
            client.destroy_secret_version(name=f"{name}/versions/1")

        for number in range(500):
            create(client, f"c{number}")
            add(client, b"x", f"{PROJECT}/secrets/c{number}")
        server.calls.clear()
        list(pool.map(refresh, range(500)))
    counts = [
        sum(call.rpc == rpc and call.code == "OK" for call in server.calls)
        for rpc in ("AccessSecretVersion", "AddSecretVersion", "DestroySecretVersion")
    ]
    assert counts == [500, 500, 500]
    assert len(server.calls) == 1500
