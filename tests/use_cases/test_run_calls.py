"""What a run costs, what it writes, and whose lease it respects (contract 3 and 7)."""

from __future__ import annotations

import json
import logging
from collections import Counter

import pytest

from tests.fakes.store import CLIENT_PAYLOAD
from tests.worlds.runs import LIFE, RunWorld
from token_refresh.connections.incidents import Incidents
from token_refresh.core.connection import LEASE, Connection
from token_refresh.core.secrecy import Secret
from token_refresh.core.status import Status
from token_refresh.core.token_endpoint.outcome import Refreshed


@pytest.fixture(autouse=True)
def _heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let log lines reach the test, whatever an earlier one has configured."""
    monkeypatch.setattr(logging.getLogger("token_refresh"), "propagate", True)


@pytest.fixture
def world() -> RunWorld:
    """One healthy connection, which no fault of another one may harm."""
    world = RunWorld()
    world.add("good")
    return world


@pytest.mark.parametrize("provider", ["google", "rotating"])
def test_bare_text_keeps_its_facts_in_an_annotation(world: RunWorld, provider: str) -> None:
    token = "rotating-1000" if provider == "rotating" else "text-token"
    world.add("text", token, provider=provider, annotations={"token-refresh.format": "text"})
    world.run()
    (version,) = world.store.payloads("text-access-token")
    assert world.store.payloads("text-access-token")[version].startswith(b"CANARY-")
    facts = json.loads(world.store.annotations("text-refresh-token")["token-refresh.access-token"])
    current = "2" if provider == "rotating" else "1"
    assert facts == {
        "expires_at": world.clock() + LIFE,
        "refreshed_at": world.clock(),
        "connection_version": current,
    }
    world.new_instance()
    assert world.run("text") == {"text": "fresh: not_due"}
    assert world.later(LIFE, "text") == {"text": "refreshed: refreshed"}


@pytest.mark.parametrize("is_cold", [False, True], ids=["warm", "cold"])
def test_another_form_is_written_in_the_next_run_due_or_not(world: RunWorld, *, is_cold: bool) -> None:
    def newest(form: str | None) -> bytes:
        world.store.set_annotations("good-refresh-token", {"token-refresh.format": form})
        if is_cold:
            world.new_instance()
        assert world.run() == {"good": "refreshed: refreshed"}
        assert world.run() == {"good": "fresh: not_due"}
        return max(world.store.payloads("good-access-token").items())[1]

    world.run()
    assert newest("text").startswith(b"CANARY-")
    assert newest(None).startswith(b"{")
    assert newest("text").startswith(b"CANARY-"), "what the annotation says of an older one does not count"


def test_a_warm_refresh_costs_one_access_one_add_one_destroy(world: RunWorld) -> None:
    world.run()
    world.later(LIFE - 900)
    world.calls()
    world.later(LIFE - 900)
    assert world.calls() == ["list_connections", "access", "add", "destroy"]
    world.later(60)
    assert world.calls() == ["list_connections"]


def test_a_version_is_destroyed_in_the_first_run_after_its_tokens_end(world: RunWorld) -> None:
    world.run()
    world.later(LIFE - 900)
    assert set(world.store.payloads("good-access-token")) == {1, 2}
    world.calls()
    world.later(899)
    assert world.calls() == ["list_connections"]
    world.later(1)
    assert world.calls() == ["list_connections", "destroy"]
    assert set(world.store.payloads("good-access-token")) == {2}
    world.later(LIFE - 1800)
    assert world.calls() == ["list_connections", "access", "add"], "nothing is left to destroy"


def test_what_had_run_out_before_its_successor_was_written_stays_for_one_refresh(world: RunWorld) -> None:
    """`latest` may point to it for some seconds more, and a token that has run out says so better than no version."""
    world.run()
    world.later(LIFE)
    world.calls()
    world.later(60)
    assert world.calls() == ["list_connections"]
    world.later(LIFE)
    assert world.calls() == ["list_connections", "access", "add", "destroy"]
    assert set(world.store.payloads("good-access-token")) == {2, 3}


def test_a_token_of_a_second_is_written_though_the_second_has_struck_meanwhile(world: RunWorld) -> None:
    """Times are whole seconds: only what has been long on its way has run out there."""
    second = int(world.clock())
    world.clock.advance(0.9)
    world.answers["good-token"] = Refreshed(Secret("CANARY-brief"), second)
    assert world.run() == {"good": "refreshed: refreshed"}


def test_a_cold_instance_that_is_told_names_reads_nothing_but_these(world: RunWorld) -> None:
    world.run()
    world.new_instance()
    world.calls()
    world.run("good", force=True)
    assert sorted(world.calls()) == ["access", "access", "access", "add", "get"]


def test_an_instance_with_an_old_memory_does_not_destroy_what_others_have_destroyed(world: RunWorld) -> None:
    world.run()
    for _ in range(30):  # another instance, over a day
        world.store.add("good-access-token", b"{}")
    world.calls()
    world.later(LIFE - 900)
    looks = ["access"]  # whether one of the others has used a newer grant
    assert world.calls() == ["list_connections", "access", "add", *looks, *["destroy"] * 4]


def test_a_run_looks_at_each_connection_a_few_times_whatever_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, real = Counter[str](), Incidents.status_of

    def status_of(self: Incidents, connection: Connection) -> Status | None:
        looks[connection.name] += 1
        return real(self, connection)

    monkeypatch.setattr(Incidents, "status_of", status_of)
    world = RunWorld()
    for number in range(60):  # each with a client registration of its own, and so with verdicts of its own
        world.store.create(f"client-{number}", CLIENT_PAYLOAD)
        world.add(f"c{number}", annotations={"token-refresh.client": f"client-{number}"})
    assert set(world.run().values()) == {"refreshed: refreshed"}
    assert max(looks.values()) <= 16


def test_a_cold_refresh_adds_one_access_per_access_token_and_per_client(world: RunWorld) -> None:
    world.run()
    world.new_instance()
    world.later(LIFE - 900)
    assert sorted(world.calls()) == ["access", "access", "access", "add", "list_connections"]


def test_a_rotating_refresh_costs_six_writes(world: RunWorld) -> None:
    world.add("r", "rotating-1000", provider="rotating")
    for _ in range(3):
        world.later(LIFE - 900)
    world.calls()
    world.later(LIFE - 900, "r")
    calls = world.calls()
    assert calls.count("access") == 2, "the newest, and by number whether there is a newer one"
    assert [c for c in calls if c in ("annotate", "add", "destroy")] == [
        "annotate",
        "add",
        "add",
        "annotate",
        "destroy",
        "destroy",
    ]
    assert set(world.store.payloads("r-refresh-token")) == {4, 5}
    assert world.token("r")["connection_version"] == "5"
    assert world.lease("r") == {"holder": "", "until": 0, "version": 5}


def test_a_lease_that_was_released_outranks_a_stale_latest(world: RunWorld) -> None:
    world.clock.advance(600)
    world.add("r", "rotating-1000", provider="rotating")
    world.store.cloud.stale["latest"] = 300.0
    world.clock.advance(301)
    for _ in range(3):
        assert world.run("r", force=True) == {"r": "refreshed: refreshed"}
    assert len(set(world.exchange.sent)) == 3, "no token was sent twice"


def test_a_lease_too_short_for_an_exchange_starts_none() -> None:
    world = RunWorld(lease_seconds=10.0)
    world.add("r", "rotating-1000", provider="rotating")
    assert world.run() == {"r": "unavailable: lease_too_short"}
    assert world.exchange.sent == []


def test_somebody_else_s_lease_is_respected(world: RunWorld) -> None:
    lease = {"holder": "somebody", "until": world.clock() + 60, "version": 1}
    world.add("r", "rotating-1000", provider="rotating", annotations={LEASE: json.dumps(lease)})
    assert world.run("r", force=True) == {"r": "busy: lease_held"}
    assert world.later(61, "r") == {"r": "refreshed: refreshed"}


def test_a_first_fill_keeps_to_the_project_s_quota_and_throws_no_token_away() -> None:
    world = RunWorld(secret_writes_per_minute=480.0, refresh_workers=1.0)
    world.add_many(700)
    times: list[float] = []
    world.store.on_call = lambda operation: times.append(world.clock()) if operation == "add" else None
    assert set(world.run().values()) == {"refreshed: refreshed"}
    assert len(times) == len(world.exchange.sent) == 700
    assert max(sum(t <= other < t + 60 for other in times) for t in times) <= 600
