"""One cloud for all examples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from infra.local.stack import Stack
from tests.peers.gmail import GmailApi
from tests.worlds.cloud import Cloud, owner_of
from tests.worlds.stack import StackWorld


@pytest.fixture(scope="session")
def running_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with (
        Stack(functions=("refresh_http", "refresh", "token")) as stack,
        stack.secret_manager.client() as client,
        requests.Session() as session,
        GmailApi(lambda token: owner_of(world, token)) as gmail,
    ):
        session.trust_env = False
        session.headers["Connection"] = "close"
        world = StackWorld(stack, client, session)
        world.prepare()
        yield Cloud(world, gmail, tmp_path_factory.mktemp("job"))
        world.pull_events()
        world.assert_nothing_said()


@pytest.fixture
def cloud(running_cloud: Cloud) -> Cloud:
    running_cloud.gmail.calls.clear()
    running_cloud.gmail.meanwhile = None
    return running_cloud


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Name a connection after the test."""
    module = request.path.stem.removeprefix("test_")
    letters = "".join(c if c.isalnum() else "-" for c in str(request.node.name).lower())
    return f"{module}-{letters[-50:].strip('-')}"
