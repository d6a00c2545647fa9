"""Several instances on the same single-use refresh tokens at once: no grant is lost. The plain loop loses them.

`RACE_ROUNDS` sets how often each instance works on all connections.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.peers.oidc_provider import OidcProvider, why_missing
from tests.worlds.crashes import OWNER, PATIENCE, PROJECT, CrashWorld
from tests.worlds.depth import IN_CI
from tests.worlds.one_run import OneRun, Plainly

ROUNDS = int(os.environ.get("RACE_ROUNDS", "2"))
CONNECTIONS = 20 if IN_CI else 10
PLAINLY = 20  # connections of the plain loop: enough that it is seen to lose some
pytestmark = pytest.mark.timeout(120 + 12 * ROUNDS)


@dataclass(frozen=True, slots=True)
class Ground:
    """A server to race on: its name as a provider, and what it knows of a refresh token."""

    provider: str
    token_url: str
    environ: dict[str, str]
    create_grant: Callable[[], str]
    is_alive: Callable[[str], bool]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashWorld]:
    with CrashWorld(tmp_path_factory.mktemp("races"), {"strict": 0.0, "grace": 10.0}) as world:
        yield world
        world.scan()


@pytest.fixture(scope="module")
def peer() -> Iterator[OidcProvider | None]:
    if why_missing():
        yield None
        return
    with OidcProvider() as peer:
        yield peer


@pytest.fixture
def ground(request: pytest.FixtureRequest, world: CrashWorld, peer: OidcProvider | None) -> Ground:
    provider = str(request.param)
    if provider != "oidc-provider":
        server = world.server
        create = lambda: server.create_grant(provider, OWNER)  # noqa: E731 - a name for one line
        return Ground(provider, server.token_url, world.environ, create, server.is_alive)
    if peer is None:
        pytest.skip(why_missing())
    environ = world.declare_peer(peer)
    return Ground(provider, peer.token_url, environ, lambda: peer.create_grant(provider, OWNER), peer.is_alive)


def connect(world: CrashWorld, ground: Ground, prefix: str, count: int) -> list[str]:
    """Create the connections and return their names."""
    names = [f"{prefix}-{ground.provider}-{n}" for n in range(count)]
    labels = {"token-refresh": "enabled", "token-refresh-provider": ground.provider}
    for name in names:
        world.create(f"{name}-refresh-token", ground.create_grant(), labels=labels)
        world.create(f"{name}-access-token")
    return names


def is_usable(world: CrashWorld, ground: Ground, name: str) -> bool:
    """Tell whether the stored refresh token is the one that works."""
    return ground.is_alive(list(world.payloads(f"{name}-refresh-token").values())[-1].decode())


@pytest.mark.parametrize("instances", [2, 4])
@pytest.mark.parametrize("ground", ["strict", "grace", "oidc-provider"], indirect=True)
def test_racing_instances_lose_no_grant(world: CrashWorld, ground: Ground, instances: int) -> None:
    names = connect(world, ground, f"race-of-{instances}", CONNECTIONS)
    body = {"connections": names, "force": True}
    outcomes: Counter[tuple[str, str]] = Counter()
    with ExitStack() as exits:
        runs = [
            exits.enter_context(OneRun(ground.environ, body, logs=world.logs, times=ROUNDS)) for _ in range(instances)
        ]
        for run in runs:
            for _ in range(ROUNDS):
                status, answer = run.answer(PATIENCE)
                assert status == 200, answer
                world.answers.append(json.dumps(answer))
                outcomes.update((c["name"], c["outcome"]) for c in answer["connections"])
    # `fresh`: another instance refreshed it after this run had begun.
    assert {outcome for _, outcome in outcomes} <= {"refreshed", "busy", "fresh"}
    assert sum(n for (_, outcome), n in outcomes.items() if outcome == "refreshed") >= ROUNDS * CONNECTIONS / 2
    for name in names:
        assert outcomes[name, "refreshed"]
        assert is_usable(world, ground, name), f"the grant of {name} was lost"
        assert world.status(name) is None
        assert world.lease(name)["holder"] == ""


@pytest.mark.parametrize("ground", ["strict", "oidc-provider"], indirect=True)  # grace may forgive
def test_the_plain_loop_loses_grants(world: CrashWorld, ground: Ground) -> None:
    names = connect(world, ground, "plain", PLAINLY)
    with ExitStack() as exits:
        loops = [exits.enter_context(Plainly(ground.environ, names, PROJECT, ground.token_url)) for _ in range(4)]
        refused = [name for loop in loops for name in loop.refused(PATIENCE)]
    lost = [name for name in names if not is_usable(world, ground, name)]
    assert refused
    assert lost, "the race that everybody warns of did not happen"
