"""`token-refresh import` against the local stack: a token file becomes a connection, or nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.local.processes.process import free_port
from tests.worlds.command import Command, grant
from tests.worlds.stack import OWNER, StackWorld


def test_a_token_file_becomes_a_connection_that_jobs_can_read(
    world: StackWorld, run: Command, name: str, tmp_path: Path
) -> None:
    registered = json.loads(world.read("oauth-client-mailbox"))
    data = {**registered, "refresh_token": grant(world), "scopes": ["openid", "email", "profile"], "token": "x"}
    file = tmp_path / "token.json"
    file.write_text(json.dumps(data))
    said = run.json("import", str(file), "--name", name, "--provider", "local", "--owner", OWNER)
    assert (said["connection"], said["checked"], said["kind"]) == (name, True, "a refresh token with its client")
    assert f'"projects/{world.stack.project}/secrets/{name}-refresh-token"' in said["terraform"]
    document = world.assert_token_works(name)
    assert document["connection_version"] == "1"
    assert world.run(name)[name]["outcome"] == "fresh"
    assert world.run(name, force=True)[name]["outcome"] == "refreshed"


def test_a_refresh_token_that_is_replaced_is_stored_before_anything_else(
    world: StackWorld, run: Command, name: str
) -> None:
    first = grant(world, "crm")
    with world.calls(name) as calls:
        done = run(
            *("import", "-", "--name", name, "--provider", "local-rotating", "--client", "oauth-client-crm"),
            stdin=first.encode(),
        )
    assert done.exit_code == 0, done.output
    assert "is declared; its access token is good until" in done.output
    assert [call.rpc for call in calls if call.rpc not in ("ListSecrets", "AccessSecretVersion")] == [
        "CreateSecret",
        "CreateSecret",
        "AddSecretVersion",
        "AddSecretVersion",
        "AddSecretVersion",
        "UpdateSecret",
    ]
    second = world.read(f"{name}-refresh-token")
    world.canaries.add(second)
    assert second != first
    assert world.stack.authorization_server.is_alive(second)
    assert world.assert_token_works(name)["connection_version"] == "2"
    assert world.run(name, force=True)[name]["outcome"] == "refreshed"


def test_a_dead_grant_leaves_nothing_behind(world: StackWorld, run: Command, name: str) -> None:
    token = grant(world)
    world.stack.authorization_server.revoke(token)
    arguments = ("import", "-", "--name", name, "--provider", "local", "--client", "oauth-client-mailbox")
    done = run(*arguments, stdin=token.encode())
    assert done.exit_code == 1
    assert "must consent again" in done.output
    assert not [secret for secret in world._all_secrets() if f"/{name}-" in secret.name]


def test_a_name_that_is_taken_is_kept_as_it_is(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    arguments = ("import", "-", "--name", name, "--provider", "local", "--client", "oauth-client-mailbox")
    done = run(*arguments, stdin=grant(world).encode())
    assert done.exit_code == 1
    assert f"{name}-access-token exists already" in done.output
    assert world.versions(f"{name}-refresh-token") == ["ENABLED"]


def test_without_a_check_nothing_is_sent(world: StackWorld, run: Command, name: str) -> None:
    token = grant(world)
    arguments = ("import", "-", "--name", name, "--provider", "local", "--client", "oauth-client-mailbox")
    said = run.json(*arguments, "--no-check", stdin=token.encode())
    assert (said["checked"], said["access_token_expires_at"]) == (False, None)
    assert world.read(f"{name}-refresh-token") == token
    assert world.run(name)[name]["outcome"] == "refreshed"


def test_a_dry_run_writes_and_sends_nothing(world: StackWorld, run: Command, name: str) -> None:
    arguments = ("import", "-", "--name", name, "--provider", "local", "--client", "oauth-client-mailbox")
    with world.calls(name) as calls:
        said = run.json(*arguments, "--dry-run", stdin=grant(world).encode())
    assert said["planned"] is True
    assert said["secrets"] == [f"{name}-access-token", f"{name}-refresh-token"]
    assert not [call for call in calls if call.secret.startswith(name)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("--name", "bad/name"), "cannot be the name", id="a name that cannot be"),
        pytest.param(("--name", ""), "cannot be the name", id="no name at all"),
        pytest.param(("--name", "x", "--provider", "nobody"), "providers list", id="an unknown provider"),
        pytest.param(("--name", "x", "--variable", "tenant"), "NAME=VALUE", id="a variable without a value"),
        pytest.param((), "--name", id="no name"),
    ],
)
def test_wrong_use_is_2(run: Command, arguments: tuple[str, ...], says: str) -> None:
    done = run("import", "-", *arguments, stdin=b"1//x")
    assert done.exit_code == 2
    assert says in done.output


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"ya29.access", "not a refresh token", id="an access token"),
        pytest.param(b'{"web": {}}', "client registration", id="a client registration"),
        pytest.param(b"1//x", "gcloud secrets versions add oauth-client-google", id="no client anywhere"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_no_with_the_next_command(run: Command, content: bytes, says: str) -> None:
    done = run("import", "-", "--name", "x", stdin=content)
    assert done.exit_code == 1
    assert says in done.output


def test_an_unreachable_secret_manager_is_3(run: Command) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    done = run("list", SECRET_MANAGER_EMULATOR_HOST=nowhere)
    assert done.exit_code == 3, done.output
    said = run("--json", "list", SECRET_MANAGER_EMULATOR_HOST=nowhere)
    assert json.loads(said.stdout)["exit_code"] == 3


def test_an_unreachable_provider_is_3_and_imports_nothing(world: StackWorld, run: Command, name: str) -> None:
    world.stack.authorization_server.fail(times=5, status=503)
    arguments = ("import", "-", "--name", name, "--provider", "local", "--client", "oauth-client-mailbox")
    done = run(*arguments, stdin=grant(world).encode())
    assert done.exit_code == 3
    assert not [secret for secret in world._all_secrets() if f"/{name}-" in secret.name]
