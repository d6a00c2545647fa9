"""One stack for all end-to-end tests: functions-framework as processes, a real authorization server, Pub/Sub."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack

import pytest

from infra.local.stack import Stack
from tests.worlds.command import Command, name_of
from tests.worlds.forks import from_nothing
from tests.worlds.stack import StackWorld, running


@pytest.fixture(scope="session")
def running_world() -> Iterator[StackWorld]:
    stack = Stack(functions=("refresh_http", "refresh", "token"), environment={"CONFIRM_AFTER": "1"})
    with ExitStack() as exits:
        with from_nothing():  # as Cloud Run starts them
            world = exits.enter_context(running(stack))
        yield world


@pytest.fixture
def world(running_world: StackWorld) -> Iterator[StackWorld]:
    yield running_world
    running_world.stack.secret_manager.faults.clear()
    running_world.stack.authorization_server.clear_faults()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return name_of(request)


@pytest.fixture
def run(world: StackWorld) -> Command:
    return Command(world)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes wrote last beside a failure."""
    report = yield
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and isinstance(world, StackWorld):
        report.sections.append(("the processes' last lines", "\n".join(world.stack.log().splitlines()[-40:])))
    return report
