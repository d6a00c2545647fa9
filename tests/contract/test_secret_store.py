"""The store's promises, kept by the fake in memory and by the real client over the local Secret Manager."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from infra.local.secret_manager import SecretManagerServer
from tests.contract.backstage import ENABLED, PROJECT, Backstage, InMemory, Local
from token_refresh.errors import (
    EtagConflict,
    SecretMissing,
    StoreDenied,
    StoreUnavailable,
    VersionMissing,
    VersionUnusable,
)


@pytest.fixture(scope="module")
def server() -> Iterator[SecretManagerServer]:
    with SecretManagerServer(project=PROJECT) as server:
        yield server


@pytest.fixture(params=["in-memory", "local-stack"])
def backstage(request: pytest.FixtureRequest) -> Iterator[Backstage]:
    if request.param == "in-memory":
        yield InMemory()
        return
    server: SecretManagerServer = request.getfixturevalue("server")
    yield Local(server)
    server.faults.clear()


numbers = itertools.count(1)


class TestSecretStore:
    """What the use cases rely on."""

    @pytest.fixture(autouse=True)
    def _set_up(self, backstage: Backstage) -> None:
        self.backstage = backstage
        self.id = f"alice-{next(numbers)}-refresh-token"
        backstage.create(self.id, ENABLED, {"token-refresh.owner": "alice@example.com", "mine": "x"})
        self.store = backstage.store()

    def test_a_labelled_secret_is_listed_with_its_spec(self) -> None:
        self.backstage.create(f"paused-{self.id}", {"token-refresh": "paused"}, {})
        self.backstage.create(f"other-{self.id}", {"env": "prod"}, {})
        listed = {r.secret_id: r for r in self.store.list_connections()}
        assert {self.id, f"paused-{self.id}"} <= set(listed)
        assert f"other-{self.id}" not in listed
        assert listed[self.id].labels == ENABLED
        assert listed[self.id].annotations == {"token-refresh.owner": "alice@example.com", "mine": "x"}
        assert listed[self.id] == self.store.get(self.id)

    def test_versions_count_up_and_are_read_by_number_or_as_the_latest(self) -> None:
        assert [self.store.add(self.id, payload) for payload in (b"one", b"two")] == [1, 2]
        latest, first = self.store.access(self.id), self.store.access(self.id, 1)
        assert (latest.number, latest.payload) == (2, b"two")
        assert (first.number, first.payload) == (1, b"one")
        assert b"two" not in repr(latest).encode()

    def test_the_latest_is_read_by_one_call_that_asks_nothing_else(self) -> None:
        assert self.store.read_latest(self.id) is None
        assert self.store.read_latest("nowhere") is None
        self.backstage.put(self.id, b"one")
        self.backstage.put(self.id, b"two")
        assert self.store.read_latest(self.id) == b"two"
        self.backstage.set_state(self.id, 2, "DISABLED")
        with pytest.raises(VersionUnusable):
            self.store.read_latest(self.id)

    def test_secrets_and_versions_know_when_they_were_created(self) -> None:
        now = time.time()
        self.backstage.put(self.id, b"one")
        (listed,) = [r for r in self.store.list_connections() if r.secret_id == self.id]
        (version,) = self.store.list_versions(self.id)
        assert now - 10 < listed.created_at <= now + 1
        assert now - 1 < version.created_at <= now + 10

    def test_binary_payloads_arrive_as_they_were(self) -> None:
        self.store.add(self.id, bytes(range(256)))
        assert self.store.access(self.id).payload == bytes(range(256))

    def test_a_secret_without_versions_is_told_from_no_secret(self) -> None:
        with pytest.raises(VersionMissing):
            self.store.access(self.id)
        with pytest.raises(VersionMissing):
            self.store.access(self.id, 5)
        for call in (self.store.get, self.store.access, self.store.list_versions):
            with pytest.raises(SecretMissing):
                call("nowhere")
        with pytest.raises(SecretMissing):
            self.store.add("nowhere", b"x")

    @pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
    def test_a_newest_version_that_is_gone_is_not_replaced_by_an_older_one(self, state: str) -> None:
        self.backstage.put(self.id, b"one")
        self.backstage.put(self.id, b"two")
        self.backstage.set_state(self.id, 2, state)
        for version in (None, 2):
            with pytest.raises(VersionUnusable):
                self.store.access(self.id, version)
        assert self.store.access(self.id, 1).payload == b"one"

    def test_destroying_twice_or_what_never_was_is_fine(self) -> None:
        self.backstage.put(self.id, b"one")
        for version in (1, 1, 9):
            self.store.destroy(self.id, version)
        with pytest.raises(VersionUnusable):
            self.store.access(self.id, 1)

    def test_versions_are_listed_newest_first_with_their_states(self) -> None:
        for payload in (b"one", b"two", b"three"):
            self.backstage.put(self.id, payload)
        self.backstage.set_state(self.id, 1, "DESTROYED")
        self.backstage.set_state(self.id, 2, "DISABLED")
        states = [(v.number, v.state) for v in self.store.list_versions(self.id)]
        assert states == [(3, "ENABLED"), (2, "DISABLED"), (1, "DESTROYED")]

    def test_a_version_knows_when_it_was_created(self) -> None:
        before = time.time() - 1
        self.backstage.put(self.id, b"one")
        assert before <= self.store.created_at(self.id, 1) <= time.time() + 1
        with pytest.raises(VersionMissing):
            self.store.created_at(self.id, 2)

    def test_annotations_change_and_everybody_else_s_stay(self) -> None:
        written = self.store.annotate(self.store.get(self.id), {"token-refresh.status": "s"})
        assert written.annotations["token-refresh.status"] == "s"
        assert written == self.store.get(self.id)
        left = self.store.annotate(written, {"token-refresh.status": None, "token-refresh.lease": "l"})
        assert left.annotations == {
            "token-refresh.owner": "alice@example.com",
            "mine": "x",
            "token-refresh.lease": "l",
        }
        assert left.labels == ENABLED

    def test_of_two_that_write_at_once_one_learns_that_it_was_late(self) -> None:
        other = self.backstage.store()
        seen = self.store.get(self.id)
        self.store.annotate(seen, {"token-refresh.lease": "mine"})
        with pytest.raises(EtagConflict):
            other.annotate(seen, {"token-refresh.lease": "theirs"})
        assert self.store.get(self.id).annotations["token-refresh.lease"] == "mine"

    def test_a_write_that_had_taken_effect_before_is_no_conflict(self) -> None:
        seen = self.store.get(self.id)
        self.store.annotate(seen, {"token-refresh.lease": "mine"})
        again = self.store.annotate(seen, {"token-refresh.lease": "mine"})
        assert again.annotations["token-refresh.lease"] == "mine"

    def test_a_secret_that_is_gone_cannot_be_annotated(self) -> None:
        with pytest.raises(SecretMissing):
            self.store.annotate(replace(self.store.get(self.id), secret_id="nowhere"), {"a": "b"})

    def test_whatever_fails_at_secret_manager_is_an_error_of_the_store(self) -> None:
        self.backstage.put(self.id, b"one")
        record = self.store.get(self.id)
        self.backstage.fail()
        calls = (
            self.store.list_connections,
            lambda: self.store.get(self.id),
            lambda: self.store.access(self.id),
            lambda: self.store.read_latest(self.id),
            lambda: self.store.add(self.id, b"CANARY"),
            lambda: self.store.destroy(self.id, 1),
            lambda: self.store.annotate(record, {"a": "CANARY"}),
            lambda: self.store.list_versions(self.id),
            lambda: self.store.created_at(self.id, 1),
        )
        for call in calls:
            with pytest.raises((StoreUnavailable, StoreDenied)) as caught:
                call()
            assert "CANARY" not in str(caught.value)
