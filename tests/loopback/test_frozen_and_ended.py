"""Real processes that are stopped past their lease, or told to end, in the middle of a rotation at a strict server.

npm's oidc-provider forgives nothing: a second use of a refresh token kills the grant. The points are those at which a
grant can be kept: before the exchange, and once the new refresh token is on its way into the store.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest
import requests

from infra.local.secret_manager.faults import Fault
from tests.peers.oidc_provider import OidcProvider, why_missing
from tests.worlds.crashes import OWNER, PATIENCE, CrashWorld, wait_until
from tests.worlds.one_run import OneRun

pytestmark = pytest.mark.timeout(300)
SHORT = {"HTTP_TIMEOUT": "4", "LEASE_SECONDS": "16"}
HELD_UP = 120.0  # s, longer than anything that the tests wait for: they let the calls go


@dataclass
class Ground:
    world: CrashWorld
    peer: OidcProvider
    environ: dict[str, str]

    def connect(self, name: str) -> None:
        labels = {"token-refresh": "enabled", "token-refresh-provider": self.peer.name}
        self.world.create(f"{name}-refresh-token", self.peer.create_grant(self.peer.name, OWNER), labels=labels)
        self.world.create(f"{name}-access-token")

    def run(self, name: str, token_url: str = "") -> OneRun:
        """Start a run; with `token_url` it goes to the provider by that way."""
        environ = self.environ
        if token_url:
            path = self.world.directory / "gate.toml"
            path.write_text(Path(environ["PROVIDERS_FILE"]).read_text().replace(self.peer.token_url, token_url))
            environ = {**environ, "PROVIDERS_FILE": str(path)}
        return OneRun(environ, {"connections": [name], "force": True}, logs=self.world.logs)

    def outcome(self, run: OneRun) -> str:
        status, answer = run.answer(PATIENCE)
        assert status in (200, 503), answer
        return str(answer["connections"][0]["outcome"]) if "connections" in answer else str(status)

    def wait_for_the_end_of_the_lease(self, name: str) -> None:
        """Wait for it; its holder is stopped, so that it stays as it is."""
        until = self.world.lease(name)["until"]
        wait_until(lambda: bool(until < time.time()), f"the end of the lease of {name}")

    def has_old_on_top(self, name: str) -> bool:
        """Tell whether the lease names an older version than the newest, or the newest access token is made of one."""
        newest = max(self.world.payloads(f"{name}-refresh-token"))
        documents = self.world.payloads(f"{name}-access-token")
        made_of = json.loads(documents[max(documents)])["connection_version"]
        return made_of != str(newest) or self.world.lease(name) != {"holder": "", "until": 0, "version": newest}

    def assert_kept(self, name: str) -> None:
        newest = list(self.world.payloads(f"{name}-refresh-token").values())[-1].decode()
        assert self.peer.is_alive(newest), f"the grant of {name} was lost"
        with self.run(name) as run:
            assert self.outcome(run) == "refreshed", name


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    if reason := why_missing():
        pytest.skip(reason)
    with CrashWorld(tmp_path_factory.mktemp("frozen"), {}) as world, OidcProvider() as peer:
        yield Ground(world, peer, {**world.declare_peer(peer), **SHORT})
        world.scan()


# The first two fail where `Leases.give_back` asks for no holder (what is released is somebody else's lease), the third
# without the look at `Reply.is_outdone`. The last has not been seen to fail without one guard alone, and neither has a
# grant been lost at the first: its look by number and its look at the lease's end are each enough.
FREEZES = {
    "before-the-exchange": Fault("AccessSecretVersion", "before-the-exchange-refresh-token", calls=(2,)),
    "before-the-access-token": Fault("AddSecretVersion", "before-the-access-token-access-token", calls=(1,)),
    "stored-and-not-told": Fault("AddSecretVersion", "stored-and-not-told-refresh-token", calls=(1,), when="after"),
    "before-the-release": Fault("UpdateSecret", "before-the-release-refresh-token", calls=(2,)),
}
# These calls come back only when another holder has gone on: what they do then must do no harm.
LATE = ("stored-and-not-told", "before-the-release")


def test_who_is_stopped_past_its_lease_loses_no_grant(ground: Ground) -> None:
    faults = ground.world.secrets.faults
    with ExitStack() as exits:
        frozen = {}
        for name, fault in FREEZES.items():
            ground.connect(name)
            fault.latency = HELD_UP
            faults.add(fault)
            frozen[name] = exits.enter_context(ground.run(name))
        for name, fault in FREEZES.items():
            wait_until(lambda fault=fault: fault.hits > 0, f"the call of {name}")  # type: ignore[misc]
            frozen[name].signal(signal.SIGSTOP)
        for name in sorted(frozen, key=lambda name: name not in LATE):
            if name not in LATE:
                faults.clear()
            ground.wait_for_the_end_of_the_lease(name)
            with ground.run(name) as other:
                assert ground.outcome(other) in ("refreshed", "fresh"), name
        for run in frozen.values():
            run.signal(signal.SIGCONT)
        for run in frozen.values():
            ground.outcome(run)
    assert [name for name in frozen if ground.has_old_on_top(name)] == []
    for name in frozen:
        ground.assert_kept(name)
        assert ground.world.status(name) is None


class Gate:
    """The way to a token endpoint; while it is closed, requests are held up, and dropped in the end."""

    def __init__(self, token_url: str) -> None:
        self.reached, self.is_open = threading.Event(), threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.close_connection = True
                if not gate.is_open.is_set():
                    gate.reached.set()
                    gate.is_open.wait(HELD_UP)
                    return
                headers = {k: self.headers[k] for k in ("Authorization", "Content-Type")}
                reply = requests.post(token_url, data=body, headers=headers, timeout=PATIENCE)
                self.send_response(reply.status_code)
                self.send_header("Content-Type", reply.headers["Content-Type"])
                self.end_headers()
                self.wfile.write(reply.content)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)


def test_who_is_stopped_while_a_reply_is_lost_sends_nothing_more(ground: Ground) -> None:
    name = "reply-lost"
    ground.connect(name)
    with Gate(ground.peer.token_url) as gate, ground.run(name, gate.url) as frozen:
        assert gate.reached.wait(PATIENCE)
        frozen.signal(signal.SIGSTOP)
        ground.wait_for_the_end_of_the_lease(name)
        with ground.run(name) as other:
            assert ground.outcome(other) == "refreshed"
        gate.is_open.set()
        frozen.signal(signal.SIGCONT)
        ground.outcome(frozen)
    ground.assert_kept(name)


@pytest.mark.parametrize("trouble", ["slow", "failing"])
def test_who_is_told_to_end_in_the_middle_of_a_save_loses_no_grant(ground: Ground, trouble: str) -> None:
    name = f"told-to-end-{trouble}"
    ground.connect(name)
    fault = Fault("AddSecretVersion", f"{name}-refresh-token")
    fault.latency, fault.code = (HELD_UP, "") if trouble == "slow" else (0.0, "UNAVAILABLE")
    faults = ground.world.secrets.faults
    faults.add(fault)
    with ground.run(name) as run:
        wait_until(lambda: fault.hits > 0, "the save")
        run.signal(signal.SIGTERM)
        if trouble == "slow":  # else the call may come back, and the process end, before the end has begun
            wait_until(lambda: fault.hits > 1, "the save at the end")
        faults.clear()
        run.wait(PATIENCE)
    assert len(ground.world.payloads(f"{name}-refresh-token")) > 1, "stored before the end"
    ground.assert_kept(name)
