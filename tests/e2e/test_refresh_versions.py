"""Which version of a grant is used, and what `clean` leaves standing."""

from __future__ import annotations

from tests.worlds.stack import OWNER, StackWorld


def test_a_named_version_makes_due_only_when_it_is_newer(world: StackWorld) -> None:
    world.declare("versioned")
    assert world.run("versioned")["versioned"]["outcome"] == "refreshed"
    assert world.run("versioned", versions={"versioned": 1})["versioned"]["outcome"] == "fresh"
    world.add("versioned-refresh-token", world.stack.authorization_server.create_grant("mailbox", OWNER))
    # A key in `versions` implies the connection.
    (outcome,) = world.post({"versions": {"versioned": 2}}).json()["connections"]
    assert (outcome["name"], outcome["outcome"]) == ("versioned", "refreshed")
    assert world.assert_token_works("versioned")["connection_version"] == "2"
    assert world.run("versioned", versions={"versioned": 1})["versioned"]["outcome"] == "fresh"


def test_a_version_that_latest_has_not_heard_of_is_found_by_its_number(world: StackWorld) -> None:
    token = world.declare("unheard")
    world.run("unheard")
    world.stack.authorization_server.revoke(token)
    world.stack.secret_manager.faults.set_stale(latest=600.0, lists=600.0, metadata=600.0)
    world.add("unheard-refresh-token", world.stack.authorization_server.create_grant("mailbox", OWNER))
    assert world.run("unheard", versions={"unheard": 2})["unheard"]["outcome"] == "refreshed"
    world.stack.secret_manager.faults.clear()
    assert world.assert_token_works("unheard")["connection_version"] == "2"


def test_clean_destroys_strays_and_never_the_newest(world: StackWorld) -> None:
    world.declare("cluttered", "crm")
    world.run("cluttered")
    rotated = world.read("cluttered-refresh-token")
    for _ in range(3):
        world.add("cluttered-access-token", world.read("cluttered-access-token"))
        world.add("cluttered-refresh-token", rotated)
    assert world.run("cluttered", clean=True, force=True)["cluttered"]["outcome"] == "refreshed"
    assert world.versions("cluttered-access-token")[-2:] == ["ENABLED", "ENABLED"]
    assert set(world.versions("cluttered-access-token")[:-2]) == {"DESTROYED"}
    assert world.versions("cluttered-refresh-token")[-1] == "ENABLED"
    assert "ENABLED" not in world.versions("cluttered-refresh-token")[:-2]
    assert world.run("cluttered", force=True)["cluttered"]["outcome"] == "refreshed"
    world.assert_token_works("cluttered")
