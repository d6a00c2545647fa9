"""Raw Pub/Sub push bodies at refresh_http, those included that the framework refuses for CloudEvent functions."""

from __future__ import annotations

import base64
import json

import pytest

from tests.worlds.stack import StackWorld


def push_body(data: object = None, **attributes: str) -> dict[str, object]:
    """Build a push request's body; https://cloud.google.com/pubsub/docs/push#receive_push."""
    message: dict[str, object] = {"messageId": "1", "message_id": "1", "publishTime": "2026-11-20T12:00:00Z"}
    if data is not None:
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        message["data"] = base64.b64encode(raw).decode()
    if attributes:
        message["attributes"] = attributes
    return {"message": message, "subscription": "projects/local-project/subscriptions/s"}


def test_the_data_of_a_pushed_message_is_the_request(world: StackWorld) -> None:
    world.declare("gmail-pushed")
    answer = world.post(push_body({"connections": ["gmail-pushed"]}, sender="somebody"))
    assert [one["outcome"] for one in answer.json()["connections"]] == ["refreshed"]
    world.assert_token_works("gmail-pushed")


def test_a_pushed_message_without_data_asks_for_all_that_is_due(world: StackWorld) -> None:
    world.declare("gmail-tick")
    answer = world.post(push_body(sender="scheduler"))
    outcomes = {one["name"]: one["outcome"] for one in answer.json()["connections"]}
    assert outcomes["gmail-tick"] == "refreshed"


def test_a_notification_without_data_refreshes_its_connection(world: StackWorld) -> None:
    world.declare("gmail-noted")
    world.run("gmail-noted")
    refresh_token = world.stack.authorization_server.create_grant("mailbox", "ada@example.com")
    version = world.add("gmail-noted-refresh-token", refresh_token)
    number = world.stack.secret_manager.project_number
    secret = f"projects/{number}/secrets/gmail-noted-refresh-token"
    body = push_body(
        eventType="SECRET_VERSION_ADD",
        dataFormat="JSON_API_V1",
        secretId=secret,
        versionId=f"{secret}/versions/{version}",
    )
    (outcome,) = world.post(body).json()["connections"]
    assert (outcome["name"], outcome["outcome"]) == ("gmail-noted", "refreshed")
    assert world.assert_token_works("gmail-noted")["connection_version"] == "2"
    # The same once more, late: harmless.
    (outcome,) = world.post(body).json()["connections"]
    assert outcome["outcome"] == "fresh"


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(
            {"eventType": "TOPIC_CONFIGURED", "secretId": "projects/1/secrets/quiet-refresh-token"}, id="topic"
        ),
        pytest.param({"eventType": "SECRET_UPDATE", "secretId": "projects/1/secrets/quiet-refresh-token"}, id="update"),
        pytest.param({"eventType": "SECRET_ROTATE", "secretId": "projects/1/secrets/no-connection"}, id="stranger"),
        pytest.param(
            {
                "eventType": "SECRET_VERSION_ADD",
                "secretId": "projects/1/secrets/no-connection",
                "versionId": "projects/1/secrets/no-connection/versions/3",
            },
            id="version of a stranger",
        ),
    ],
)
def test_other_notifications_are_acknowledged_and_ignored(world: StackWorld, attributes: dict[str, str]) -> None:
    asked = len(world.sent("mailbox"))
    answer = world.post(push_body(**attributes))
    assert answer.status_code == 200
    assert answer.json()["connections"] == []
    assert len(world.sent("mailbox")) == asked


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        pytest.param({"message": {"data": "%%%"}}, "base64", id="no base64"),
        pytest.param({"message": {"data": 7}}, "base64", id="a number"),
        pytest.param(push_body(b"{"), "JSON", id="truncated"),
        pytest.param(push_body({"everything": True}), "everything", id="unknown key"),
        pytest.param(
            push_body(eventType="SECRET_VERSION_ADD", secretId="projects/1/secrets/a"), "versionId", id="version"
        ),
    ],
)
def test_a_malformed_message_is_refused_by_name_of_its_fault(world: StackWorld, body: object, fault: str) -> None:
    answer = world.post(body)
    assert answer.status_code == 400
    assert fault in answer.json()["message"]
