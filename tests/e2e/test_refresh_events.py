"""What a run publishes: each incident once, its end once, and nothing is lost when Pub/Sub is away (contract 8)."""

from __future__ import annotations

import json
from pathlib import Path

from infra.local.processes.process import free_port
from tests.worlds.stack import OWNER, StackWorld, eventually


def types_of(world: StackWorld, subject: str) -> list[str]:
    """Name the events of a subject so far, oldest first."""
    events = [event for event in world.pull_events() if event.attributes["ce-subject"] == subject]
    return [event.attributes["ce-type"].split(".")[2] for event in events]


def bury(world: StackWorld, name: str, url: str = "") -> None:
    """Revoke the grant of a connection, and run until the provider's refusal is confirmed (`CONFIRM_AFTER`: 1 s)."""
    world.stack.authorization_server.revoke(world.declare(name))

    def outcome() -> str:
        (one,) = world.post({"connections": [name]}, to=url).json()["connections"]
        return str(one["outcome"])

    assert outcome() == "suspect"
    assert eventually(lambda: outcome() == "needs_consent")


def test_an_incident_is_published_once_and_so_is_its_end(world: StackWorld) -> None:
    bury(world, "incident")
    for _ in range(3):
        assert world.run("incident", force=True)["incident"]["outcome"] == "needs_consent"
    assert eventually(lambda: types_of(world, "incident") == ["invalid_grant"])
    world.add("incident-refresh-token", world.stack.authorization_server.create_grant("mailbox", OWNER))
    assert world.run("incident")["incident"]["outcome"] == "refreshed"
    world.run("incident", force=True)
    assert eventually(lambda: types_of(world, "incident") == ["invalid_grant", "recovered"])
    world.assert_token_works("incident")


def test_an_event_is_a_cloud_event_in_binary_mode(world: StackWorld) -> None:
    bury(world, "binary-mode")
    assert eventually(lambda: types_of(world, "binary-mode"))
    (event,) = [event for event in world.events if event.attributes["ce-subject"] == "binary-mode"]
    assert event.ordering_key == "binary-mode"
    assert event.attributes["ce-specversion"] == "1.0"
    assert event.attributes["content-type"] == "application/json"
    assert event.attributes.keys() >= {"ce-id", "ce-source", "ce-time"}
    data = json.loads(event.data)
    assert (data["connection"], data["provider"]) == ("binary-mode", "local")
    assert data["connection_secret"].endswith("binary-mode-refresh-token")
    assert data["remedy"] == "reconsent"
    assert "consent_url" not in data, "no consent page is deployed here"


def test_a_wrong_client_is_one_event_for_all_its_connections_and_nobody_is_asked_for_consent(world: StackWorld) -> None:
    registered = json.loads(world.read("oauth-client-mailbox"))
    world.create("oauth-client-mistyped")
    world.add("oauth-client-mistyped", json.dumps({**registered, "client_secret": "mistyped"}))
    names = [f"mistyped-{number}" for number in range(3)]
    for name in names:
        world.declare(name, annotations={"token-refresh.client": "oauth-client-mistyped"})
    assert {one["outcome"] for one in world.run(*names).values()} == {"rejected"}
    assert {one["outcome"] for one in world.run(*names, force=True).values()} == {"rejected"}
    assert eventually(lambda: types_of(world, "oauth-client-mistyped") == ["client_rejected"])
    world.add("oauth-client-mistyped", json.dumps(registered))
    assert {one["outcome"] for one in world.run(*names).values()} == {"refreshed"}, "at once, without force"
    assert eventually(lambda: types_of(world, "oauth-client-mistyped") == ["client_rejected", "recovered"])
    assert not set(names) & {event.attributes["ce-subject"] for event in world.events}


def test_what_could_not_be_published_is_published_by_a_later_run(world: StackWorld, tmp_path: Path) -> None:
    away = {"PUBSUB_EMULATOR_HOST": f"127.0.0.1:{free_port()}"}
    with world.other("refresh_http", tmp_path, away) as function:
        bury(world, "unheard-of", function.url)
    assert types_of(world, "unheard-of") == []
    assert world.run("unheard-of")["unheard-of"]["outcome"] == "needs_consent"
    assert eventually(lambda: types_of(world, "unheard-of") == ["invalid_grant"])
