"""A fault of Secret Manager that concerns one connection stays with it (contract 4, 5)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import LIFE, RunWorld
from token_refresh.core.token_endpoint.outcome import Unavailable
from token_refresh.errors import StoreDenied, StoreUnavailable

DENIED = StoreDenied("cannot access secret bad-access-token: grant secretmanager.versions.access")


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("bad")
    world.add("good")
    return world


def row(world: RunWorld, *connections: str, **trigger: bool) -> dict[str, object]:
    rows = world.report(*connections, **trigger).document()["connections"]
    assert isinstance(rows, list)
    return next(dict(one) for one in rows if one["name"] == "bad")


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("secret_id", ["bad-access-token", "bad-refresh-token"])
def test_a_missing_permission_is_misconfigured_and_names_it(world: RunWorld, secret_id: str, *, dry_run: bool) -> None:
    world.store.faults.fail("access", DENIED, secret_id=secret_id, times=99)
    found = row(world, dry_run=dry_run)
    assert (found["outcome"], found["reason"]) == ("misconfigured", "misconfigured")
    assert "secretmanager.versions.access" in str(found["message"])
    assert world.events() == ([] if dry_run else ["client_rejected bad"])


def test_a_missing_permission_is_told_once_and_recovers(world: RunWorld) -> None:
    world.store.faults.fail("access", DENIED, secret_id="bad-access-token", times=3)
    assert [world.run()["bad"] for _ in range(4)] == [*["misconfigured: misconfigured"] * 3, "refreshed: refreshed"]
    assert world.events() == ["client_rejected bad", "recovered bad"]


def test_a_dry_run_goes_on_without_what_cannot_be_read(world: RunWorld) -> None:
    world.store.create("my-client", '{"client_id": "c", "client_secret": "s"}')
    world.add("ugly", annotations={"token-refresh.client": "my-client"})
    world.store.faults.fail("access", secret_id="my-client", times=99)
    assert world.run(dry_run=True) == {
        "bad": "planned: no_access_token",
        "good": "planned: no_access_token",
        "ugly": "unavailable: secret_manager",
    }


@pytest.mark.parametrize(
    ("fault", "told"),
    [(StoreUnavailable("cannot read"), "unavailable: secret_manager"), (DENIED, "misconfigured: misconfigured")],
)
def test_a_named_connection_that_cannot_be_read_harms_no_other(world: RunWorld, fault: Exception, told: str) -> None:
    world.store.faults.fail("get", fault, secret_id="bad-refresh-token")
    assert world.run("bad", "good") == {"bad": told, "good": "refreshed: refreshed"}
    world.store.faults.fail("get", fault, secret_id="bad-refresh-token")
    assert world.run("bad") == {"bad": told}


def test_all_named_connections_that_cannot_be_read_are_an_outage(world: RunWorld) -> None:
    world.store.faults.fail("get", times=2)
    with pytest.raises(StoreUnavailable):
        world.run("bad", "good")


def test_a_second_secret_of_the_same_name_leaves_the_back_off_of_the_first_alone(world: RunWorld) -> None:
    world.run()
    world.store.create("bad", "other", labels={"token-refresh": "enabled", "token-refresh-provider": "rotating"})
    world.answers["bad-token"] = Unavailable("rate_limited", retry_after=600)
    world.clock.advance(LIFE - 899)
    for _ in range(3):
        world.run()
        world.clock.advance(60)
    assert world.exchange.sent.count("bad-token") == 2
