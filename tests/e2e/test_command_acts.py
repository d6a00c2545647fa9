"""`token-refresh refresh`, `revoke` and `link` against the local stack."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.local.processes.process import free_port
from tests.worlds.command import Command, grant
from tests.worlds.stack import StackWorld, eventually


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
    from tests.peers.gmail import GmailApi  # noqa: PLC0415 - any small server will do

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
