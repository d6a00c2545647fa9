"""Secret Manager at the pace of its quota: what waits, until when, and what is counted."""

from __future__ import annotations

import pytest

from tests.fakes.instance import FakeStore, FrozenClock
from token_refresh.errors import QuotaExceeded
from token_refresh.instance.ledger import Account
from token_refresh.instance.paced_store import PacedStore
from token_refresh.instance.quota import Priority, Quota

GRACE = 20.0


class World:
    """A store of one secret, behind a quota of the project that others may have used up."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.began = self.clock()
        self.store = FakeStore(self.clock)
        self.store.create("s", b"one")
        self.reads, self.writes = (Quota(60, self.clock, self.clock.sleep) for _ in range(2))
        self.paced = PacedStore(self.store, self.reads, self.writes, self.clock, GRACE)

    @property
    def now(self) -> float:
        return self.clock() - self.began

    def refuse(self, times: int = 10**9, operation: str = "add") -> None:
        self.store.faults.fail(operation, QuotaExceeded("used up"), times=times)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("times", [1, 3])
def test_a_quota_that_is_used_up_slows_a_write_down_and_fails_nothing(world: World, times: int) -> None:
    world.refuse(times)
    assert world.paced.add("s", b"two") == 2
    assert 10 <= world.now <= 65


@pytest.mark.parametrize("operation", ["list_connections", "get", "list_versions", "created_at"])
def test_a_quota_that_is_used_up_slows_a_read_down_and_fails_nothing(world: World, operation: str) -> None:
    world.refuse(2, operation)
    arguments = {"list_connections": (), "created_at": ("s", 1)}.get(operation, ("s",))
    assert getattr(world.paced, operation)(*arguments) is not None
    assert 10 <= world.now <= 65
    world.refuse(2, operation)
    with world.paced.ledger.keep(Account(world.clock() + 5)), pytest.raises(QuotaExceeded):
        getattr(world.paced, operation)(*arguments)


def test_a_minute_s_patience_has_an_end(world: World) -> None:
    world.refuse()
    with pytest.raises(QuotaExceeded):
        world.paced.add("s", b"two")
    assert 50 <= world.now <= 65


def test_a_wait_for_the_quota_does_not_end_after_the_run(world: World) -> None:
    world.refuse()
    for left in (30, 12, 0):
        begin = world.clock()
        with world.paced.ledger.keep(Account(begin + left)), pytest.raises(QuotaExceeded):
            world.paced.add("s", b"two")
        assert world.clock() <= begin + left


def test_what_saves_a_reply_may_wait_a_little_longer(world: World) -> None:
    """The exchange may have begun at the run's last moment: a token that is not stored is thrown away."""
    world.refuse(1)
    with world.paced.ledger.keep(Account(world.clock(), is_task=True)):
        assert world.paced.urgent().add("s", b"two") == 2
    assert 0 < world.now <= GRACE
    world.refuse()
    begin = world.clock()
    with world.paced.ledger.keep(Account(begin, is_task=True)), pytest.raises(QuotaExceeded):
        world.paced.urgent().add("s", b"three")
    assert world.clock() <= begin + GRACE


def test_what_saves_a_refresh_token_waits_for_nothing(world: World) -> None:
    world.refuse(1)
    with world.paced.ledger.keep(Account(world.clock() + 300, is_task=True)), pytest.raises(QuotaExceeded):
        world.paced.at_once().add("s", b"two")
    assert world.now == 0


def test_nor_does_what_makes_do_with_the_rest(world: World) -> None:
    """It may hold a thread whose result others wait for."""
    world.refuse(1, "destroy")
    with world.paced.ledger.keep(Account(world.clock() + 300, is_task=True)), pytest.raises(QuotaExceeded):
        world.paced.sparing().destroy("s", 1)
    assert world.now == 0


def test_nor_does_the_urgent_outside_of_any_run(world: World) -> None:
    """The process ends, or a reply is tried beside all tasks."""
    world.refuse(1)
    with pytest.raises(QuotaExceeded):
        world.paced.urgent().add("s", b"two")
    assert world.now == 0


def test_after_a_refusal_others_write_more_slowly(world: World) -> None:
    world.refuse(1)
    world.paced.add("s", b"two")
    begin = world.clock()
    assert world.writes.take(1, Priority.NAMED)
    assert world.clock() > begin


def test_a_read_whose_turn_would_come_after_the_run_is_not_waited_for(world: World) -> None:
    world.reads.take(10, Priority.NAMED)
    begin = world.clock()
    with world.paced.ledger.keep(Account(begin + 0.5)), pytest.raises(QuotaExceeded, match="no time"):
        world.paced.get("s")
    assert world.clock() == begin
    with world.paced.ledger.keep(Account(begin + 1.5)):
        assert world.paced.get("s").secret_id == "s"


def test_the_urgent_read_waits_for_nothing_and_others_work_it_off(world: World) -> None:
    world.reads.take(10, Priority.NAMED)
    world.paced.urgent().get("s")
    assert world.now == 0
    world.paced.get("s")
    assert world.now == pytest.approx(2)


def test_who_cleans_lets_others_read_first(world: World) -> None:
    world.reads.take(10, Priority.NAMED)
    world.reads.take(1, Priority.CLEAN)  # its own twentieth is spent
    waiting = world.reads.place(Priority.NAMED)
    assert world.reads.try_take(waiting, 3) > 0
    with world.paced.ledger.keep(Account(world.clock() + 2.5)), pytest.raises(QuotaExceeded):
        world.paced.patient().list_versions("s")


def test_a_write_is_counted_once_however_often_it_is_tried(world: World) -> None:
    world.refuse(2)
    with world.paced.ledger.keep(Account(world.clock() + 100, is_task=True, reserved=3)) as account:
        world.paced.add("s", b"two")
        world.paced.destroy("s", 1)
    assert account.writes == 2
    world.paced.add("s", b"three")
    assert account.writes == 2


def test_what_nobody_has_reserved_is_charged_and_the_next_ones_wait_the_longer(world: World) -> None:
    with world.paced.ledger.keep(Account(world.clock(), is_task=True, reserved=5)):
        for _ in range(8):
            world.paced.urgent().add("s", b"two")
    assert world.now == 0
    assert world.writes.take(7, Priority.NAMED, 0)  # 3 are charged: the 5 of this test's task were taken by nobody
    assert not world.writes.take(1, Priority.NAMED, 0.5)


def test_what_nobody_has_reserved_waits_for_its_turn_where_it_can(world: World) -> None:
    with world.paced.ledger.keep(Account(world.clock() + 4)):
        for _ in range(12):
            world.paced.destroy("s", 1)
        assert world.now == pytest.approx(2)  # the burst is 10
        world.paced.urgent().destroy("s", 1)
        assert world.now == pytest.approx(2)
        world.paced.destroy("s", 1)
        assert world.now == pytest.approx(4)
        world.paced.destroy("s", 1)  # no time is left: it is charged
        assert world.now == pytest.approx(4)
    world.paced.destroy("s", 1)
    assert world.now == pytest.approx(6)


def test_what_was_reserved_beside_a_task_is_not_charged_again(world: World) -> None:
    verdicts = world.paced.of_verdicts()
    with world.paced.ledger.keep(Account(world.clock())):
        for _ in range(5):
            assert verdicts.reserve(world.clock())
            world.paced.add("s", b"two")
        assert verdicts.reserve(world.clock())  # and another writer was faster
        assert world.writes.take(4, Priority.NAMED, 0)
        assert not verdicts.reserve(world.clock())


def test_what_is_read_by_payload_waits_for_nothing(world: World) -> None:
    world.reads.take(10, Priority.NAMED)
    for _ in range(100):
        world.paced.access("s")
        world.paced.read_latest("s")
    assert world.now == 0
