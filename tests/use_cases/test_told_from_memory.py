"""What was told of a state that could not be written has its end as well, whichever of two instances finds it out."""

from __future__ import annotations

import pytest

from tests.worlds.incidents import open_incidents
from tests.worlds.runs import DAY, DEAD, REFUSED, SILENT, RunWorld
from token_refresh.core.incident.events import Event
from token_refresh.errors import PublishError, StoreDenied


class Two(RunWorld):
    """Two instances on the same secrets; `a` is the one that is refused its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = (self.runner, self.store), (self.new_instance(), self.store)
        self.use(self.a)

    def use(self, instance: tuple[object, object]) -> None:
        """Let this instance run from here on."""
        self.runner, self.store = instance  # type: ignore[assignment]

    def refuse(self, *names: str) -> None:
        """Let the instance in use write no annotation of these connections."""
        for name in names:
            self.store.faults.fail("annotate", StoreDenied("no"), secret_id=f"{name}-refresh-token", times=10**9)

    def allow(self) -> None:
        self.store.faults.active.clear()

    def told(self) -> list[Event]:
        """Return what was told, repeats left out."""
        return list({e.id: e for e in self.publisher.events}.values())

    def is_all_over(self, *subjects: str) -> bool:
        """Tell whether each incident has had its one end."""
        is_each_told_once = len(self.told()) == len(self.publisher.events)
        return is_each_told_once and all(open_incidents(self.told(), s) == (set(), []) for s in subjects)


@pytest.fixture
def world() -> Two:
    """One connection, of which both instances know the access token."""
    world = Two()
    world.add("alice")
    world.run()
    world.use(world.b)
    world.run()
    world.use(world.a)
    return world


def silent(world: Two) -> None:
    """A tells of a provider's silence, and can write nothing; B tells of it, too, and writes it."""
    world.refuse("alice")
    world.answers["alice-token"] = SILENT
    world.later(3300)
    assert (world.events(), world.status("alice")) == (["refresh_failing alice"], None)
    world.use(world.b)
    world.later(60)
    assert world.events() == ["refresh_failing alice"] * 2
    assert not world.is_all_over("alice")


def test_where_another_instance_writes_a_status_over_it(world: Two) -> None:
    silent(world)
    world.use(world.a)
    world.allow()
    world.later(600)
    world.use(world.b)
    world.healed("alice")
    world.later(900)
    assert world.status("alice") is None
    assert world.is_all_over("alice"), "B knows by what A has written to its status"


def test_where_another_instance_wrote_a_status_and_this_one_refreshes(world: Two) -> None:
    silent(world)
    world.use(world.a)
    world.allow()
    world.healed("alice")
    assert world.later(900)["alice"] == "refreshed: refreshed"
    assert world.is_all_over("alice")


def test_where_another_instance_wrote_a_status_and_its_end(world: Two) -> None:
    silent(world)
    world.healed("alice")
    world.later(900)
    world.use(world.a)
    world.run()
    world.run()
    assert world.is_all_over("alice")


@pytest.mark.parametrize("is_down", [False, True])
def test_where_another_instance_ends_what_stood_there(world: Two, *, is_down: bool) -> None:
    world.answers["alice-token"] = SILENT
    world.later(3300)
    world.answers["alice-token"] = DEAD
    world.refuse("alice")
    for _ in range(8):
        world.later(300)
    assert world.events() == ["refresh_failing alice", "invalid_grant alice"]
    assert (world.status("alice") or {})["state"] == "unavailable"
    world.use(world.b)
    world.store.put("alice-refresh-token", "second")
    assert world.later(4000)["alice"] == "refreshed: refreshed"
    assert world.events()[2:] == ["recovered alice"]
    world.use(world.a)
    world.publisher.down = is_down
    assert world.run() == {"alice": "fresh: not_due"}
    world.publisher.down = False
    world.run()
    assert world.is_all_over("alice")
    assert world.last().data["incident"] == world.publisher.events[1].id
    assert world.last().data["reason"] == "revoked_or_expired"


@pytest.mark.parametrize("fault", [PublishError("no answer"), RuntimeError("a defect")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_where_nobody_knows_whether_the_topic_took_it(world: Two, when: str, fault: Exception) -> None:
    world.publisher.faults.fail("publish", fault, when=when)
    world.refuse("alice")
    world.answers["alice-token"] = SILENT
    world.later(3300)
    world.use(world.b)
    world.later(60)
    world.use(world.a)
    world.allow()
    world.healed("alice")
    world.later(900)
    world.run()
    assert len(world.told()) == 4
    assert open_incidents(world.told(), "alice") == (set(), [])


def test_a_dry_run_ends_nothing(world: Two) -> None:
    world.refuse("alice")
    world.answers["alice-token"] = SILENT
    world.later(3300)
    world.use(world.b)
    world.healed("alice")
    world.later(60)
    world.use(world.a)
    world.run(dry_run=True)
    assert world.events() == ["refresh_failing alice"]
    world.run()
    assert world.is_all_over("alice")


def test_one_that_finds_it_out_on_the_next_day_tells_the_same_incident() -> None:
    world = Two()
    world.add("alice")
    world.clock.advance(DAY - world.clock() % DAY - 3300)
    world.run()
    world.answers["alice-token"] = SILENT
    world.refuse("alice")
    world.later(3240)
    world.new_instance()
    world.refuse("alice")
    world.later(120)
    opened, again = world.publisher.events
    assert opened.id == again.id
    world.healed("alice")
    world.later(900)
    assert world.last().data["incident"] == opened.id
    assert open_incidents(world.told(), "alice") == (set(), [])


@pytest.mark.parametrize("has_written", [False, True])
def test_an_incident_of_a_client(*, has_written: bool) -> None:
    world = Two()
    names = world.add_many(2)
    world.answers |= {f"{n}-token": REFUSED for n in names}
    world.refuse(*names)
    world.run()
    assert world.events() == ["client_rejected oauth-client-google"]
    world.use(world.b)
    if has_written:
        world.later(60)
        assert world.events() == ["client_rejected oauth-client-google"] * 2
    world.healed(*names)
    world.later(900)
    world.use(world.a)
    world.run()
    world.run()
    assert open_incidents(world.told(), "oauth-client-google") == (set(), [])


def test_the_end_of_a_client_s_incident_says_of_which_one() -> None:
    world = Two()
    names = world.add_many(2)
    world.answers |= {f"{n}-token": REFUSED for n in names}
    world.run()
    world.refuse(*names)
    world.add("another")
    world.later(10, "another")
    assert world.events() == ["client_rejected oauth-client-google", "recovered oauth-client-google"]
    assert world.is_all_over("oauth-client-google")


def test_what_is_owed_by_a_status_that_was_written_keeps_its_name(world: Two) -> None:
    world.answers["alice-token"] = SILENT
    world.publisher.down = True
    world.later(3300)
    assert (world.status("alice") or {})["owed"]
    world.refuse("alice")
    world.publisher.down = False
    world.later(600)
    world.use(world.b)
    world.run()
    assert len(world.told()) == 1


def test_what_could_not_be_written_is_written_by_the_first_run_that_may(world: Two) -> None:
    """Nothing is due for hours, but this instance alone knows of an open incident: it would take it with it."""
    world.answers["alice-token"] = DEAD
    world.refuse("alice")
    world.later(3000)
    for _ in range(20):
        world.later(900)
    assert (world.events(), world.status("alice")) == (["invalid_grant alice"], None)
    world.allow()
    asked = len(world.exchange.sent)
    assert world.later(60) == {"alice": "needs_consent: revoked_or_expired"}
    assert (world.status("alice") or {})["state"] == "needs_consent"
    assert len(world.exchange.sent) == asked, "nothing was sent for it"
    world.use((world.new_instance(), world.store))
    world.healed("alice")
    world.later(DAY)
    assert world.is_all_over("alice")


def test_one_refusal_a_run_is_enough_to_leave_the_others_to_the_next_one(world: Two) -> None:
    names = ["bert", "carl", "dora"]
    for name in names:
        world.add(name)
    world.run()
    world.refuse(*names)
    for name in names:
        world.answers[f"{name}-token"] = SILENT
    for _ in range(5):
        world.later(900)
    assert sorted(e.subject for e in world.told()) == names
    world.calls()
    assert world.later(1)["bert"].startswith("unavailable")
    assert world.calls().count("annotate") == 1
    world.allow()
    world.refuse("carl")
    for _ in range(2):
        world.later(1)
    assert [name for name in names if world.status(name)] == ["bert", "dora"], "whoever is refused holds up no other"
