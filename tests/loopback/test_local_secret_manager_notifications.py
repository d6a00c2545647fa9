"""What the topics of a secret hear from the local Secret Manager."""

import json
import queue

import pytest
import requests
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local.secret_manager import SecretManagerServer
from infra.local.secret_manager.messages import Json, Message

PROJECT = "projects/local-project"
SECRET = f"{PROJECT}/secrets/gmail-alice-refresh-token"
TOPIC = "projects/local-project/topics/token-refresh"

pytestmark = pytest.mark.timeout(30)


def create(client: SecretManagerServiceClient, secret_id: str = "gmail-alice-refresh-token", **fields: Json) -> Message:
    secret = {"replication": {"automatic": {}}, **fields}
    return client.create_secret(request={"parent": PROJECT, "secret_id": secret_id, "secret": secret})


def add(client: SecretManagerServiceClient, data: bytes) -> Message:
    return client.add_secret_version(request={"parent": SECRET, "payload": {"data": data}})


def update(client: SecretManagerServiceClient, **fields: Json) -> Message:
    """Replace the labels."""
    return client.update_secret(request={"secret": {"name": SECRET, **fields}, "update_mask": {"paths": ["labels"]}})


def test_topics_of_a_secret_hear_of_its_changes_in_order_and_of_no_reads() -> None:
    heard: queue.SimpleQueue[tuple[str, dict[str, str], bytes]] = queue.SimpleQueue()
    with (
        SecretManagerServer(notify=lambda *message: heard.put(message)) as server,
        server.client() as client,
    ):
        create(client, "silent")
        secret = create(client, topics=[{"name": TOPIC}], rotation={"next_rotation_time": "2100-01-01T00:00:00Z"})
        version = add(client, b"canary")
        client.access_secret_version(name=version.name)
        client.disable_secret_version(name=version.name)
        client.enable_secret_version(name=version.name)
        client.destroy_secret_version(name=version.name)
        update(client, labels={"a": "1"})
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

    with SecretManagerServer(notify=notify) as server, server.client() as client:
        create(client, topics=[{"name": TOPIC}])
        assert [heard.get(timeout=5), heard.get(timeout=5)] == ["TOPIC_CONFIGURED", "SECRET_CREATE"]
