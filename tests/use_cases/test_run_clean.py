"""What `clean` destroys, and what it leaves alone (contract 4)."""

from __future__ import annotations

import pytest

from tests.worlds.runs import DAY, LIFE, RunWorld
from token_refresh.core.status import Lease, render_lease


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("alice")
    return world


def test_clean_keeps_the_two_newest_access_tokens_and_the_second_only_while_it_is_valid(world: RunWorld) -> None:
    world.run()
    for _ in range(3):  # strays, as retried adds leave them behind
        world.store.put("alice-access-token", world.store.payloads("alice-access-token")[1])
    assert set(world.store.payloads("alice-access-token")) == {1, 2, 3, 4}
    world.new_instance()
    assert world.report(clean=True).destroyed == 2
    assert set(world.store.payloads("alice-access-token")) == {3, 4}

    world.later(LIFE + 1, clean=True)
    assert set(world.store.payloads("alice-access-token")) == {5}
    world.later(10 * DAY, "alice", dry_run=True, clean=True)
    assert set(world.store.payloads("alice-access-token")) == {5}, "never the newest"


@pytest.mark.parametrize("state", ["ENABLED", "DISABLED"])
def test_clean_judges_bare_and_disabled_tokens_by_their_age(world: RunWorld, state: str) -> None:
    world.add("text", annotations={"token-refresh.format": "text"})
    world.run("text")
    world.later(LIFE - 500, "text")
    world.store.set_state("text-access-token", 1, state)
    world.run("text", clean=True)
    assert world.store.cloud.secrets["text-access-token"].versions[0].state == state
    world.later(600, "text", clean=True)
    assert world.store.cloud.secrets["text-access-token"].versions[0].state == "DESTROYED"


def test_clean_keeps_a_grant_and_its_predecessor_once_it_has_been_exchanged(world: RunWorld) -> None:
    for n in range(2, 5):
        world.store.put("alice-refresh-token", f"alice-{n}")
    world.run(clean=True)
    assert set(world.store.payloads("alice-refresh-token")) == {3, 4}
    world.store.put("alice-refresh-token", "alice-5")
    world.run(clean=True)
    assert set(world.store.payloads("alice-refresh-token")) == {3, 4, 5}, "the newest has not been exchanged yet"


def test_clean_leaves_alone_what_is_in_doubt(world: RunWorld) -> None:
    for n in range(2, 5):
        world.store.put("alice-refresh-token", f"alice-{n}")
    world.run()
    lease = render_lease(Lease("somebody", world.clock() + 60, 4))
    world.store.set_annotations("alice-refresh-token", {"token-refresh.lease": lease})
    world.run(clean=True)
    assert set(world.store.payloads("alice-refresh-token")) == {1, 2, 3, 4}


def test_clean_goes_on_after_a_failure(world: RunWorld) -> None:
    world.add("bob")
    world.run()
    for name in ("alice", "bob"):
        for _ in range(2):
            world.store.put(f"{name}-access-token", "{}")
    world.store.faults.fail("list_versions", secret_id="alice-access-token")
    world.add("odd", annotations={"token-refresh.format": "yaml"})
    assert world.report(clean=True).destroyed == 1
