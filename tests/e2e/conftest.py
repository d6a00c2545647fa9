"""One stack for all end-to-end tests: functions-framework as processes, a real authorization server, Pub/Sub."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
import requests

from infra.local.stack import Stack
from tests.worlds.stack import World


@pytest.fixture(scope="session")
def running_world() -> Iterator[World]:
    with (
        Stack(functions=("refresh_http", "refresh", "token"), environment={"CONFIRM_AFTER": "1"}) as stack,
        stack.secret_manager.client() as client,
        requests.Session() as session,
    ):
        session.trust_env = False
        # A server that is asked to stop waits for idle connections.
        session.headers["Connection"] = "close"
        world = World(stack, client, session)
        world.prepare()
        yield world
        stack.secret_manager.faults.clear()
        world.pull_events()
        world.assert_nothing_said()


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    yield running_world
    running_world.stack.secret_manager.faults.clear()
    running_world.stack.authorization_server.clear_faults()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes wrote last beside a failure."""
    report = yield
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and isinstance(world, World):
        report.sections.append(("the processes' last lines", "\n".join(world.stack.log().splitlines()[-40:])))
    return report
