"""The command `token-refresh` against the local stack, as an operator runs it (contract 11)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.local.processes.process import free_port
from tests.worlds.command import Command
from tests.worlds.stack import StackWorld

# -- looking -----------------------------------------------------------------------------------------------------------


def test_list_shows_every_connection_as_a_table_and_as_json(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    world.run(name)
    text = run("list").stdout
    assert text.startswith("NAME ")
    assert any(line.split()[:3] == [name, "local", "healthy"] for line in text.splitlines()), text
    rows = {row["name"]: row for row in run.json("list")["connections"]}
    assert rows[name]["state"] == "healthy"
    assert rows[name]["access_token_expires_at"] > 0


def test_list_of_several_projects_names_the_project_of_each_row(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    project = world.stack.project
    said = run.json("list", "--project", project, "--project", "another-shard")
    assert {row["name"]: row["project"] for row in said["connections"]}[name] == project
    assert said["unreachable"] == [], "the other one is empty"
    assert run("list", "--project", project, "--project", "another-shard").stdout.startswith("PROJECT ")


def test_options_may_stand_before_and_after_the_subcommand(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    project = world.stack.project
    for arguments in (("--json", "--project", project, "list"), ("list", "--project", project, "--json")):
        done = run(*arguments, GOOGLE_CLOUD_PROJECT="another-project")
        assert name in {row["name"] for row in json.loads(done.stdout)["connections"]}


def test_explain_says_why_what_next_and_what_would_fix_it(world: StackWorld, run: Command, name: str) -> None:
    token = world.declare(name)
    world.stack.authorization_server.revoke(token)
    world.run(name)
    said = run.json("explain", name)
    assert said["state"] in ("suspect", "needs_consent")
    assert said["why"]
    assert said["next"]
    text = run("explain", name).stdout
    assert text.splitlines()[0].startswith(f"{name}: {said['standing']}")
    assert "\n  why " in text
    assert "\n  next " in text


def test_a_connection_that_does_not_exist_is_a_no(run: Command) -> None:
    for arguments in (("explain", "nobody"), ("check", "nobody"), ("refresh", "nobody")):
        done = run(*arguments)
        assert done.exit_code == 1
        assert "token-refresh list" in done.output


def test_check_uses_the_token_and_says_whether_it_works(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    world.run(name)
    said = run.json("check", name)
    assert said == {
        "connection": name,
        "url": world.stack.authorization_server.userinfo_url,
        "status": 200,
        "works": True,
    }
    document = json.loads(world.read(f"{name}-access-token"))
    world.add(f"{name}-access-token", json.dumps({**document, "access_token": "ya29.invented-by-this-test"}))
    done = run("check", name)
    assert done.exit_code == 1
    assert f"token-refresh refresh {name}" in done.output


def test_check_of_a_connection_without_a_token_is_a_no(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    done = run("check", name)
    assert done.exit_code == 1
    assert f"token-refresh refresh {name}" in done.output


# -- files -------------------------------------------------------------------------------------------------------------


def test_credentials_writes_the_file_of_contract_12(run: Command) -> None:
    said = json.loads(run("credentials", "gmail-ada", "--token-url", "https://t.run.app/token").stdout)
    assert said == {
        "type": "external_account",
        "audience": "//token-refresh/connections/gmail-ada",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_url": "https://t.run.app/token",
        "credential_source": {
            "url": "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
            "headers": {"Metadata-Flavor": "Google"},
            "format": {"type": "json", "subject_token_field_name": "access_token"},
        },
    }


def test_on_a_laptop_the_file_names_a_command_without_quotes(run: Command) -> None:
    said = json.loads(run("credentials", "x", "--token-url", "https://t.run.app/token", "--for", "gcloud").stdout)
    command = said["credential_source"]["executable"]["command"]
    assert command.endswith(" caller-token")
    assert not set(command) & set("'\"\\")


@pytest.mark.parametrize("url", ["http://t.run.app/token", "t.run.app", "ftp://x/token"])
def test_a_token_url_is_https(run: Command, url: str) -> None:
    assert run("credentials", "gmail-ada", "--token-url", url).exit_code == 2


def test_the_laptops_command_asks_gcloud(run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gcloud = tmp_path / "gcloud"
    gcloud.write_text('#!/bin/sh\n[ "$*" = "auth print-access-token" ] && echo ya29.of-this-person\n')
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert json.loads(run("caller-token").stdout)["id_token"] == "ya29.of-this-person"
    gcloud.write_text("#!/bin/sh\nexit 1\n")
    done = run("caller-token")
    assert (done.exit_code, "gcloud auth login" in done.output) == (3, True)


def test_providers_are_listed_checked_and_discovered(run: Command, world: StackWorld, tmp_path: Path) -> None:
    names = [one["name"] for one in run.json("providers", "list")["providers"]]
    assert {"google", "local", "local-rotating"} <= set(names)
    assert run("providers", "check", world.stack.environment["PROVIDERS_FILE"]).exit_code == 0
    bad = tmp_path / "bad.toml"
    bad.write_text("[x]\n")
    done = run("providers", "check", str(bad))
    assert done.exit_code == 1
    assert "token_url" in done.output
    assert run("providers", "check", "/nowhere.toml").exit_code == 2
    done = run("providers", "discover", f"http://127.0.0.1:{free_port()}")
    assert (done.exit_code, done.stdout, "cannot be reached" in done.stderr) == (3, "", True)
    assert run("providers", "discover", "accounts.example").exit_code == 2
    found = run("providers", "discover", world.stack.authorization_server.issuer)
    assert found.exit_code == 0, found.output
    assert "token_url" in found.output
