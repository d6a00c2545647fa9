"""Runs that cannot be carried out, as a whole or in part: who should ask again, and who is not held up (contract 4)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import RunWorld
from token_refresh.errors import StoreDenied, StoreError, StoreUnavailable


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("alice")
    return world


def test_when_the_secrets_cannot_be_listed_the_caller_should_try_again(world: RunWorld) -> None:
    world.store.faults.fail("list_connections")
    with pytest.raises(StoreUnavailable):
        world.run()


def test_one_connection_that_fails_at_secret_manager_is_unavailable(world: RunWorld) -> None:
    world.add("bob")
    world.store.faults.fail("access", secret_id="alice-refresh-token")
    assert world.run() == {"alice": "unavailable: secret_manager", "bob": "refreshed: refreshed"}
    assert world.events() == ["refresh_failing alice"], "there is no token yet"
    assert world.run()["alice"] == "unavailable: secret_manager", "it backs off"
    assert world.later(60)["alice"] == "refreshed: refreshed"
    assert world.events() == ["refresh_failing alice", "recovered alice"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        pytest.param(StoreUnavailable("cannot read"), "unavailable: secret_manager", id="outage"),
        pytest.param(StoreDenied("grant secretmanager.secrets.get"), "misconfigured: misconfigured", id="denied"),
    ],
)
def test_a_named_secret_that_cannot_be_read_stops_no_other(world: RunWorld, fault: StoreError, outcome: str) -> None:
    world.add("bob")
    world.store.faults.fail("get", fault, secret_id="alice-refresh-token")
    assert world.run("alice", "bob") == {"alice": outcome, "bob": "refreshed: refreshed"}
    assert world.run("alice") == {"alice": "refreshed: refreshed"}


def test_a_bare_name_is_found_where_a_missing_secret_reads_as_denied(world: RunWorld) -> None:
    world.store.create("carol", "carol-token", labels={"token-refresh": "enabled"})
    world.store.create("carol-access-token")
    world.store.faults.fail("get", StoreDenied("grant secretmanager.secrets.get"), secret_id="carol-refresh-token")
    assert world.run("carol") == {"carol": "refreshed: refreshed"}


def test_named_secrets_none_of_which_can_be_read_are_an_outage(world: RunWorld) -> None:
    world.add("bob")
    world.store.faults.fail("get", times=99)
    with pytest.raises(StoreUnavailable, match="every connection failed"):
        world.run("alice", "bob")


def test_a_missing_permission_is_named_whatever_it_is_for(world: RunWorld) -> None:
    world.add("bob")
    denied = StoreDenied("grant secretmanager.versions.access")
    world.store.faults.fail("access", denied, secret_id="alice-access-token")
    assert world.run() == {"alice": "misconfigured: misconfigured", "bob": "refreshed: refreshed"}
    assert "versions.access" in (world.status("alice") or {})["message"]


def test_when_every_connection_fails_at_secret_manager_the_caller_should_try_again(world: RunWorld) -> None:
    world.add("paused", state="paused")
    world.add("bob")
    world.store.faults.fail("access", times=99)
    with pytest.raises(StoreUnavailable, match="every connection failed"):
        world.run()


def test_a_defect_met_by_one_connection_harms_no_other(world: RunWorld, caplog: pytest.LogCaptureFixture) -> None:
    world.add("bob")
    world.store.faults.fail("access", RuntimeError("CANARY"), secret_id="bob-refresh-token")
    assert world.run() == {"alice": "refreshed: refreshed", "bob": "unavailable: internal_error"}
    assert "CANARY" not in caplog.text
    assert "RuntimeError" in caplog.text
