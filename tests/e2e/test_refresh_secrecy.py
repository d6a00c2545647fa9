"""Canaries: whatever happens, no refresh token, access token or client secret is said anywhere."""

from __future__ import annotations

import json

import pytest

from tests.worlds.stack import StackWorld, eventually


def echo(world: StackWorld, client: str, status: int, body: str, **headers: str) -> None:
    """Let the token endpoint answer a client's next call with this."""
    world.stack.authorization_server.fail(client_id=client, status=status, body=body, headers=headers)


def test_a_dead_grant_is_reported_without_its_token(world: StackWorld) -> None:
    token = world.declare("canary-dead")
    world.run("canary-dead")
    world.document("canary-dead")
    world.stack.authorization_server.revoke(token)
    assert world.run("canary-dead", force=True)["canary-dead"]["outcome"] == "suspect"

    def confirmed() -> bool:
        return bool(world.run("canary-dead", force=True)["canary-dead"]["outcome"] == "needs_consent")

    assert eventually(confirmed), "CONFIRM_AFTER is one second here"
    assert eventually(lambda: [e for e in world.pull_events() if e.attributes["ce-subject"] == "canary-dead"])
    (event,) = [e for e in world.events if e.attributes["ce-subject"] == "canary-dead"]
    assert event.attributes["ce-type"] == "dev.token-refresh.invalid_grant.v1"
    assert event.ordering_key == "canary-dead"
    assert json.loads(event.data)["remedy"] == "reconsent"
    world.assert_nothing_said()


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500, 502])
def test_a_provider_that_quotes_what_it_was_sent_is_not_quoted(world: StackWorld, status: int) -> None:
    name = f"canary-echo-{status}"
    token = world.declare(name)
    secret = json.loads(world.read("oauth-client-mailbox"))["client_secret"]
    quoting = {
        "error": f"bad {token}",
        "error_description": f"token {token} of client with secret {secret} was refused",
    }
    echo(world, "mailbox", status, json.dumps(quoting), **{"Content-Type": "application/json"})
    outcome = world.run(name)[name]
    assert outcome["outcome"] in {"rejected", "unavailable", "suspect"}
    world.assert_nothing_said()


def test_a_success_that_cannot_be_stored_is_not_quoted(world: StackWorld) -> None:
    world.declare("canary-unstored", "crm")
    world.stack.secret_manager.faults.add(
        rpc="AddSecretVersion", secret="canary-unstored-access-token", code="PERMISSION_DENIED"
    )
    outcome = world.run("canary-unstored")["canary-unstored"]
    assert outcome["outcome"] == "misconfigured"
    assert "grant secretmanager.versions.add" in outcome["message"]
    assert world.versions("canary-unstored-refresh-token") == ["ENABLED", "ENABLED"], "the grant is safe"
    world.assert_nothing_said()
    world.stack.secret_manager.faults.clear()
    assert world.run("canary-unstored", force=True)["canary-unstored"]["outcome"] == "refreshed"
    world.assert_token_works("canary-unstored")


def test_secrets_in_a_malformed_request_are_not_said_back(world: StackWorld) -> None:
    canary = "1//0canary-in-a-request-body-000000000000"
    world.canaries.add(canary)
    for body in (canary.encode(), f'{{"force": true, "refresh_token": "{canary}"'.encode(), f'["{canary}"]'.encode()):
        answer = world.post(body)
        assert answer.status_code == 400
    world.assert_nothing_said()


def test_secrets_in_payloads_of_the_wrong_form_are_not_said(world: StackWorld) -> None:
    canary = "1//0canary-in-a-payload-0000000000000000"
    world.canaries.add(canary)
    payloads = {
        "canary-list": [canary],
        "canary-nested": {"refresh_token": {"value": canary}},
        "canary-misnamed": {"refreshToken": canary},
        "canary-key": {"type": "service_account", "client_email": "a@example.com", "private_key": canary},
    }
    for name, payload in payloads.items():
        world.declare(name, payload=json.dumps(payload).encode())
    world.declare("canary-cut", payload=f'{{"refresh_token": "{canary}'.encode())
    outcomes = world.run(*payloads, "canary-cut")
    assert {one["outcome"] for one in outcomes.values()} == {"misconfigured"}
    world.assert_nothing_said()
