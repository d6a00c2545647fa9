"""`refresh` as Eventarc, Pub/Sub and Secret Manager's notifications reach it."""

from __future__ import annotations

import base64
import json
from collections import Counter

import pytest

from infra.local.stack import REFRESH_TOPIC
from tests.worlds.stack import OWNER, StackWorld, eventually

ATTRIBUTES = {
    "id": "1",
    "specversion": "1.0",
    "source": "//pubsub.googleapis.com/projects/local-project/topics/token-refresh",
    "type": "google.cloud.pubsub.topic.v1.messagePublished",
}


def wrapped(request: object) -> dict[str, object]:
    """Put a request into a Pub/Sub message as a CloudEvent carries it."""
    data = base64.b64encode(json.dumps(request).encode()).decode()
    return {"message": {"data": data, "messageId": "1", "attributes": {}}, "subscription": "projects/p/subscriptions/s"}


def send_binary(world: StackWorld, data: object) -> int:
    headers = {f"ce-{name}": value for name, value in ATTRIBUTES.items()} | {"Content-Type": "application/json"}
    return world.post(data, to=world.stack.functions["refresh"].url, headers=headers).status_code


def send_structured(world: StackWorld, data: object) -> int:
    headers = {"Content-Type": "application/cloudevents+json"}
    event = {**ATTRIBUTES, "datacontenttype": "application/json", "data": data}
    return world.post(event, to=world.stack.functions["refresh"].url, headers=headers).status_code


@pytest.mark.parametrize("send", [send_binary, send_structured])
@pytest.mark.parametrize("wrap", [wrapped, dict], ids=["message", "bare"])
def test_a_cloud_event_of_either_mode_starts_a_run(world: StackWorld, send, wrap) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    name = f"event-{send.__name__.removeprefix('send_')}-{'message' if wrap is wrapped else 'bare'}"
    world.declare(name)
    assert send(world, wrap({"connections": [name]})) == 200
    world.assert_token_works(name)


def test_a_published_message_starts_a_run(world: StackWorld) -> None:
    world.declare("event-published")
    world.stack.pubsub.publish(REFRESH_TOPIC, b'{"connections": ["event-published"]}')
    assert eventually(lambda: world.versions("event-published-access-token"))
    world.assert_token_works("event-published")


def test_a_repeated_message_is_harmless(world: StackWorld) -> None:
    world.declare("event-repeated", "crm")
    for _ in range(3):
        assert send_binary(world, wrapped({"connections": ["event-repeated"]})) == 200
    assert world.versions("event-repeated-access-token") == ["ENABLED"]
    world.assert_token_works("event-repeated")


def test_a_malformed_message_is_delivered_again_and_ends_as_a_dead_letter(world: StackWorld) -> None:
    world.stack.pubsub.publish(REFRESH_TOPIC, b'{"connection": "misspelt"}', {"mark": "malformed"})
    assert eventually(
        lambda: [m for m in world.pull_dead_letters() if m.attributes.get("mark") == "malformed"], seconds=60
    )
    (letter,) = [m for m in world.dead_letters if m.attributes.get("mark") == "malformed"]
    assert letter.data == b'{"connection": "misspelt"}'
    refusals = [line for line in world.log_lines("refresh") if "'connection'" in line["message"]]
    assert len(refusals) >= 2, "each delivery says what is wrong"
    assert {line["severity"] for line in refusals} == {"ERROR"}


def test_an_unknown_connection_is_logged_and_acknowledged(world: StackWorld) -> None:
    assert send_binary(world, wrapped({"connections": ["event-stranger"]})) == 200
    assert any("event-stranger" in line["message"] for line in world.log_lines("refresh"))


def test_a_run_that_could_not_be_carried_out_raises_and_is_delivered_again(world: StackWorld) -> None:
    world.declare("event-later")
    fault = world.stack.secret_manager.faults.add(rpc="ListSecrets", calls=(1,), code="PERMISSION_DENIED")
    world.stack.pubsub.publish(REFRESH_TOPIC, b"{}")
    assert eventually(lambda: world.versions("event-later-access-token"))
    assert fault.hits == 1
    world.stack.secret_manager.faults.add(rpc="ListSecrets", code="PERMISSION_DENIED")
    assert send_binary(world, wrapped({})) == 500


def test_a_new_version_of_a_connection_secret_is_used_at_once(world: StackWorld) -> None:
    began = len(world.stack.functions["refresh"].log())
    world.declare("event-announced", announced=True)
    assert eventually(lambda: world.versions("event-announced-access-token"))
    assert world.assert_token_works("event-announced")["connection_version"] == "1"
    world.add("event-announced-refresh-token", world.stack.authorization_server.create_grant("mailbox", OWNER))
    assert eventually(lambda: len(world.versions("event-announced-access-token")) == 2)
    assert world.assert_token_works("event-announced")["connection_version"] == "2"

    def outcomes() -> list[str]:
        lines = world.log_lines("refresh", began)
        return [line["outcome"] for line in lines if line.get("connection") == "event-announced"]

    assert eventually(lambda: len(outcomes()) >= 2)  # the line is written after the version
    assert outcomes() == ["refreshed", "refreshed"]


def test_a_version_that_the_function_wrote_itself_does_not_come_back_as_a_refresh(world: StackWorld) -> None:
    began = len(world.stack.functions["refresh"].log())
    world.declare("event-rotating", "crm", announced=True)

    def runs() -> list[dict[str, int]]:
        lines = world.log_lines("refresh", began)
        return [line["counts"] for line in lines if line.get("event") == "run" and line["counts"]]

    # One for the version that the operator added, one for the refresh token that the function stored.
    assert eventually(lambda: len(runs()) >= 2)
    # The second may come while the first is still at work.
    assert Counter(outcome for counts in runs() for outcome in counts if outcome not in {"fresh", "busy"}) == {
        "refreshed": 1
    }
    assert len(world.versions("event-rotating-refresh-token")) == 2
    assert world.assert_token_works("event-rotating")["connection_version"] == "2"


def test_a_rotation_notice_refreshes_the_connection(world: StackWorld) -> None:
    world.declare("event-rotate", announced=True)
    assert eventually(lambda: world.versions("event-rotate-access-token"))
    world.stack.secret_manager.rotate(f"{world.project}/secrets/event-rotate-refresh-token")
    assert eventually(lambda: len(world.versions("event-rotate-access-token")) == 2)
    world.assert_token_works("event-rotate")
