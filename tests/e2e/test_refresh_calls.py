"""What one refresh costs at Secret Manager, counted at the server (contract 7)."""

from __future__ import annotations

from collections import Counter

from infra.local.secret_manager.server import Call
from tests.worlds.stack import StackWorld, eventually, rpcs

WRITES = {"UpdateSecret", "AddSecretVersion", "DestroySecretVersion"}


def steady_refresh(world: StackWorld, name: str) -> list[Call]:
    """Run until the fourth version is written, when all memory is warm; returns that run's calls."""
    kept: list[Call] = []

    def refreshed_for_the_fourth_time() -> bool:
        with world.calls(name, "oauth-client-brief", "oauth-client-brief-crm") as calls:
            outcome = world.run(name)[name]
        if outcome["outcome"] == "fresh":
            assert rpcs(calls) == ["GetSecret"], "an idle run that is told a name reads that secret only"
        kept[:] = calls
        return bool(outcome["version"] == 4)

    assert eventually(refreshed_for_the_fourth_time)
    return kept


def test_a_refresh_without_rotation_is_one_access_one_add_one_destroy(world: StackWorld) -> None:
    world.declare("brief-one", "brief")
    calls = steady_refresh(world, "brief-one")
    assert rpcs(calls) == ["GetSecret", "AccessSecretVersion", "AddSecretVersion", "DestroySecretVersion"]
    assert [call.secret for call in calls] == [
        "brief-one-refresh-token",
        "brief-one-refresh-token",
        "brief-one-access-token",
        "brief-one-access-token",
    ]
    assert world.versions("brief-one-access-token") == ["DESTROYED", "DESTROYED", "ENABLED", "ENABLED"]


def test_a_refresh_with_rotation_is_six_writes_in_this_order(world: StackWorld) -> None:
    world.declare("brief-two", "brief-crm")
    calls = steady_refresh(world, "brief-two")
    done = [(call.rpc, call.secret.removeprefix("brief-two-")) for call in calls if call.rpc in WRITES]
    assert done[:4] == [
        ("UpdateSecret", "refresh-token"),  # the lease
        ("AddSecretVersion", "refresh-token"),  # durable before anything else
        ("AddSecretVersion", "access-token"),
        ("UpdateSecret", "refresh-token"),  # released
    ]
    assert sorted(done[4:]) == [("DestroySecretVersion", "access-token"), ("DestroySecretVersion", "refresh-token")]
    # What it reads is the connection secret; the one look under the lease, by number, is at a version not there yet.
    assert {call.secret for call in calls if call.rpc == "AccessSecretVersion"} == {"brief-two-refresh-token"}
    assert world.versions("brief-two-refresh-token")[-2:] == ["ENABLED", "ENABLED"]


def test_an_idle_run_lists_and_nothing_else(world: StackWorld) -> None:
    world.declare("gmail-idle")
    world.run("gmail-idle")
    with world.calls("gmail-idle") as calls:
        (idle,) = [one for one in world.post().json()["connections"] if one["name"] == "gmail-idle"]
    assert idle["outcome"] == "fresh"
    assert Counter(call.rpc for call in calls) == {"ListSecrets": 2}
    with world.calls() as calls:
        assert world.run("gmail-idle")["gmail-idle"]["outcome"] == "fresh"
    assert [(call.rpc, call.secret) for call in calls] == [("GetSecret", "gmail-idle-refresh-token")]


def test_a_cold_instance_adds_one_access_per_access_token_secret_and_client(world: StackWorld) -> None:
    world.declare("gmail-cold")
    world.run("gmail-cold")
    world.stack.functions["refresh_http"].restart()
    with world.calls("gmail-cold", "oauth-client-mailbox") as calls:
        assert world.run("gmail-cold", force=True)["gmail-cold"]["outcome"] == "refreshed"
    assert Counter((call.rpc, call.secret) for call in calls) == {
        ("GetSecret", "gmail-cold-refresh-token"): 1,
        ("AccessSecretVersion", "gmail-cold-access-token"): 1,
        ("AccessSecretVersion", "gmail-cold-refresh-token"): 1,
        ("AccessSecretVersion", "oauth-client-mailbox"): 1,
        ("AddSecretVersion", "gmail-cold-access-token"): 1,
    }
