"""The command `token-refresh` against the local stack, as an operator runs it (contract 11)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.local.processes.process import free_port
from tests.worlds.stack import OWNER, StackWorld, eventually
from token_refresh.cli.app import app


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    letters = "".join(c if c.isalnum() else "-" for c in str(request.node.name).lower())
    return f"cli-{letters[-50:].strip('-')}"


class Command:
    """The command with the environment of the stack; what it says must hold no secret."""

    def __init__(self, world: StackWorld) -> None:
        self.world = world

    def __call__(self, *arguments: str, stdin: bytes | None = None, **environ: str) -> Result:
        s = self.world.stack
        names = ("GOOGLE_CLOUD_PROJECT", "SECRET_MANAGER_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "PROVIDERS_FILE")
        environment = {**{key: s.environment[key] for key in names}, **environ}
        result = CliRunner().invoke(app, list(arguments), env=environment, input=stdin, prog_name="token-refresh")
        self.world.bodies.append(result.output)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str, code: int = 0, **more: Any) -> dict[str, Any]:
        result = self(*arguments, "--json", **more)
        assert result.exit_code == code, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        return document


@pytest.fixture
def run(world: StackWorld) -> Command:
    return Command(world)


def grant(world: StackWorld, client: str = "mailbox") -> str:
    token = world.stack.authorization_server.create_grant(client, OWNER)
    world.canaries.add(token)
    return token


# -- import ------------------------------------------------------------------------------------------------------------


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


# -- acting ------------------------------------------------------------------------------------------------------------


def test_refresh_asks_on_the_topic(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    said = run.json("refresh", name)
    assert said["requested"] == [name]
    assert eventually(lambda: world.versions(f"{name}-access-token"))


def test_refresh_waits_for_the_run_where_it_is_asked_to(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    said = run.json("refresh", name, "--wait")
    assert [row["state"] for row in said["connections"]] == ["healthy"]
    world.assert_token_works(name)


def test_refresh_by_http_shows_outcomes(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    url = world.stack.functions["refresh_http"].url
    assert run.json("refresh", name, "--url", url)["counts"] == {"refreshed": 1}
    world.declare(f"{name}-2")
    planned = run.json("refresh", f"{name}-2", "--url", url, "--dry-run")
    assert planned["counts"] == {"planned": 1}
    assert not world.versions(f"{name}-2-access-token")
    assert run("refresh", "nobody", "--url", url).exit_code == 1
    assert run("refresh", name, "--url", "http://example.com").exit_code == 2
    assert run("refresh", name, "--url", f"http://127.0.0.1:{free_port()}").exit_code == 3


def test_a_dry_refresh_publishes_nothing(world: StackWorld, run: Command, name: str) -> None:
    world.declare(name)
    assert run.json("refresh", name, "--dry-run")["planned"] == [name]
    assert not world.versions(f"{name}-access-token")


def test_a_person_at_a_terminal_is_asked_before_a_grant_is_revoked(
    world: StackWorld, run: Command, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.declare(name)
    url = world.stack.functions["refresh_http"].url
    with monkeypatch.context() as terminal:
        terminal.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
        asked = run("revoke", name, "--url", url, stdin=b"n\n")
    assert asked.exit_code == 1
    assert f"Revoke the grant of {name}?" in asked.output
    assert world.stack.authorization_server.is_alive(token)
    assert run.json("revoke", name, "--url", url)["counts"] == {"revoked": 1}, "a script says what it wants"
    assert not world.stack.authorization_server.is_alive(token)


def test_revoke_ends_the_grant_at_the_provider_and_destroys_its_access_tokens(
    world: StackWorld, run: Command, name: str
) -> None:
    token = world.declare(name)
    world.run(name)
    access_token = world.assert_token_works(name)["access_token"]
    url = world.stack.functions["refresh_http"].url
    assert run.json("revoke", name, "--dry-run", "--url", url)["counts"] == {"planned": 1}
    assert world.stack.authorization_server.is_alive(token)
    assert run.json("revoke", name, "--yes", "--url", url)["counts"] == {"revoked": 1}
    assert not world.stack.authorization_server.is_alive(token)
    assert world.userinfo(access_token).status_code in (401, 403)
    assert world.versions(f"{name}-access-token") == ["DESTROYED"]
    assert run.json("explain", name)["reason"] == "revoked_by_operator"
    assert run.json("refresh", name, "--url", url, code=1)["counts"] == {"needs_consent": 1}
    assert run("revoke", "nobody", "--yes", "--url", url).exit_code == 1
    events = [message.attributes["ce-type"] for message in world.pull_events() if message.ordering_key == name]
    assert events == []
    world.add(f"{name}-refresh-token", grant(world))
    assert world.run(name)[name]["outcome"] == "refreshed"


class Refresher:
    """A refresh_http that answers a revocation with a given outcome, and keeps what it was asked."""

    def __init__(self) -> None:
        self.outcome, self.asked = "revoked", list[Any]()
        refresher = self

        class Exchange(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                refresher.asked.append(body)
                connections = [{"name": name, "outcome": refresher.outcome} for name in body["revoke"]]
                payload = json.dumps({"run_id": "r", "counts": {}, "connections": connections}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def refresher() -> Iterator[Refresher]:
    refresher = Refresher()
    yield refresher
    refresher.server.shutdown()
    refresher.server.server_close()


@pytest.mark.parametrize(
    ("outcome", "code"), [("revoked", 0), ("planned", 0), ("unavailable", 3), ("busy", 3), ("misconfigured", 1)]
)
def test_revoke_is_done_only_when_the_provider_has_confirmed(
    run: Command, refresher: Refresher, outcome: str, code: int
) -> None:
    refresher.outcome = outcome
    assert run("revoke", "gmail-ada", "--yes", "--url", refresher.url).exit_code == code
    assert refresher.asked == [{"revoke": ["gmail-ada"]}]


def test_a_dry_revoke_asks_for_a_dry_run(run: Command, refresher: Refresher) -> None:
    refresher.outcome = "planned"
    assert run("revoke", "gmail-ada", "--dry-run", TOKEN_REFRESH_URL=refresher.url).exit_code == 0
    assert refresher.asked == [{"revoke": ["gmail-ada"], "dry_run": True}]


@pytest.fixture
def status() -> Iterator[str]:
    """A status function that knows one connection, in the contract's form."""
    from infra.local.gmail import GmailApi  # noqa: PLC0415 - any small server will do

    class Status(GmailApi):
        def answer(self, path: str, token: str) -> tuple[int, object]:  # noqa: ARG002
            row = {
                "name": "gmail-ada",
                "owner": "ada@example.com",
                "consent_url": "https://c.example/consent/x?ticket=t",
            }
            return 200, {"connections": [row]}

    with Status(lambda _token: None) as server:
        yield server.url


def test_link_prints_the_consent_link(run: Command, status: str) -> None:
    assert run("link", "gmail-ada", "--url", status).stdout == "https://c.example/consent/x?ticket=t\n"
    assert run.json("link", "gmail-ada", TOKEN_REFRESH_STATUS_URL=status)["owner"] == "ada@example.com"
    assert run("link", "nobody", "--url", status).exit_code == 1


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
    assert run("providers", "discover", f"http://127.0.0.1:{free_port()}").exit_code == 3
    found = run("providers", "discover", world.stack.authorization_server.issuer)
    assert found.exit_code == 0, found.output
    assert "token_url" in found.output
