"""What a run does when it is asked to: due or forced, all or some, by version, dry (contract 4)."""

from __future__ import annotations

import json
import logging

import pytest

from tests.worlds import runs
from tests.worlds.runs import DAY, DEAD, LIFE, RunWorld
from token_refresh.core.trigger import Trigger
from token_refresh.errors import UnknownConnection


@pytest.fixture(autouse=True)
def _heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let log lines reach the test, whatever an earlier one has configured."""
    monkeypatch.setattr(logging.getLogger("token_refresh"), "propagate", True)


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("alice")
    return world


def test_a_first_run_writes_the_document_of_the_contract(world: RunWorld) -> None:
    report = world.report()
    document = report.document()
    assert document["counts"] == {"refreshed": 1}
    assert document["connections"] == [
        {
            "name": "alice",
            "outcome": "refreshed",
            "reason": "refreshed",
            "access_token_expires_at": int(world.clock()) + LIFE,
            "version": 1,
        }
    ]
    token = world.token("alice")
    assert token["connection_version"] == "1"
    assert token["refreshed_at"] == int(world.clock())
    assert set(token) == {
        "access_token",
        "token_type",
        "expires_at",
        "expiry",
        "expiry_date",
        "scope",
        "connection",
        "refreshed_at",
        "connection_version",
    }


def test_a_reader_always_finds_life_in_the_newest_token(world: RunWorld) -> None:
    world.run()
    tick = 300
    for _ in range(3 * LIFE // tick):
        world.later(tick)
        assert world.token("alice")["expires_at"] - world.clock() >= 900 - tick
    assert len(world.exchange.sent) < 6, "and is not refreshed at every tick"


@pytest.mark.parametrize("life", [660, 900, 1800, 7200])
def test_a_reader_finds_life_in_tokens_of_any_length(life: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LIFE", life)
    world = RunWorld()
    world.add("alice")
    world.run()
    least = []
    for _ in range(3 * life // 300 + 2):
        world.clock.advance(300)
        least.append(world.token("alice")["expires_at"] - world.clock())
        world.run()
    assert min(least) > 0


def test_what_is_not_due_stays_as_it_is(world: RunWorld) -> None:
    world.run()
    world.calls()
    assert world.later(60) == {"alice": "fresh: not_due"}
    assert world.calls() == ["list_connections"]


def test_duplicates_are_harmless(world: RunWorld) -> None:
    world.run()
    assert [world.run("alice") for _ in range(3)] == [{"alice": "fresh: not_due"}] * 3
    assert len(world.exchange.sent) == 1


def test_force_refreshes_now_and_reads_the_client_registration_afresh(world: RunWorld) -> None:
    world.run()
    world.store.put("oauth-client-google", '{"client_id": "other", "client_secret": "s"}')
    world.store.calls.clear()
    assert world.run(force=True) == {"alice": "refreshed: refreshed"}
    assert ("access", "oauth-client-google") in world.store.calls


def test_a_paused_connection_is_listed_and_never_refreshed(world: RunWorld) -> None:
    world.add("bob", state="paused")
    assert world.run(force=True) == {"alice": "refreshed: refreshed", "bob": "paused: paused"}
    assert world.exchange.sent == ["alice-token"]


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        pytest.param(3, "refreshed: refreshed", id="newer"),
        pytest.param(2, "fresh: not_due", id="the-one-in-use"),
        pytest.param(1, "fresh: not_due", id="older"),
    ],
)
def test_versions_name_the_lowest_version_to_use(world: RunWorld, version: int, outcome: str) -> None:
    world.store.put("alice-refresh-token", "alice-second")
    world.run()
    world.store.put("alice-refresh-token", "alice-third")
    world.store.cloud.stale["latest"] = 60.0
    assert world.run("alice", versions={"alice": version}) == {"alice": outcome}
    assert world.exchange.sent[1:] == (["alice-third"] if version == 3 else [])


def test_an_old_message_does_not_bring_back_an_old_grant(world: RunWorld) -> None:
    world.store.put("alice-refresh-token", "alice-second")
    assert world.run("alice", versions={"alice": 1}, force=True) == {"alice": "refreshed: refreshed"}
    assert world.exchange.sent == ["alice-second"]


def test_an_unknown_connection_stops_the_run_before_it_begins(world: RunWorld) -> None:
    with pytest.raises(UnknownConnection, match=r"no such connection: bob, \.\./alice, carol"):
        world.run("alice", "bob", "../alice", "carol")
    assert world.exchange.sent == []


def test_of_many_unknown_names_a_few_are_looked_for_and_named(world: RunWorld) -> None:
    world.calls()
    with pytest.raises(UnknownConnection, match=r"^no such connection: (x\d+, ){19}x\d+$"):
        world.run("alice", *(f"x{n}" for n in range(1000)))
    assert world.calls().count("get") == 2 * 20
    assert world.exchange.sent == []


def test_a_message_of_many_unknown_names_is_carried_out_for_those_that_exist(world: RunWorld) -> None:
    assert world.run(*(f"x{n}" for n in range(100)), "alice", only_known=True) == {"alice": "refreshed: refreshed"}


def test_a_secret_without_the_label_is_an_unknown_connection(world: RunWorld) -> None:
    world.store.create("plain-refresh-token", "token")
    with pytest.raises(UnknownConnection):
        world.run("plain")


def test_a_message_that_names_an_unknown_connection_is_acknowledged(world: RunWorld) -> None:
    assert world.run("bob", "alice", only_known=True) == {"alice": "refreshed: refreshed"}


def test_a_connection_that_is_on_no_list_yet_is_found_by_name(world: RunWorld) -> None:
    world.clock.advance(3600)
    world.store.cloud.stale["lists"] = 60.0
    world.add("new")
    assert world.run() == {"alice": "refreshed: refreshed"}
    assert world.run("new") == {"new": "refreshed: refreshed"}


def test_naming_nobody_runs_nobody(world: RunWorld) -> None:
    report = world.runner.run(Trigger(connections=()))
    assert report.document()["connections"] == []
    assert world.exchange.sent == []


def test_of_two_secrets_that_yield_one_name_the_one_with_the_suffix_is_the_connection(world: RunWorld) -> None:
    world.store.create("alice", "token", labels={"token-refresh": "enabled"})
    world.add("bob")
    entries = world.report().document()["connections"]
    assert isinstance(entries, list)
    assert sorted((e["name"], e["outcome"]) for e in entries) == [
        ("alice", "misconfigured"),
        ("alice", "refreshed"),
        ("bob", "refreshed"),
    ]
    (refused,) = (e for e in entries if e["outcome"] == "misconfigured")
    assert "alice and alice-refresh-token both declare" in refused["message"]
    assert world.events() == ["client_rejected alice"]
    assert world.last().data["connection_secret"] == "alice"
    assert sorted(world.exchange.sent) == ["alice-token", "bob-token"]
    assert world.run("alice", force=True) == {"alice": "refreshed: refreshed"}


# -- Secret Manager's notifications ------------------------------------------------------------------------------------


def test_a_version_that_the_functions_wrote_themselves_is_ignored(world: RunWorld) -> None:
    world.add("rotating", provider="rotating")
    world.run()
    added = {"versions": {"rotating": 2}, "only_known": True, "secret_id": "rotating-refresh-token"}
    assert world.run("rotating", **added) == {"rotating": "fresh: not_due"}
    assert world.exchange.sent.count("rotating-token") == 1


def test_a_version_that_somebody_added_is_used_at_once(world: RunWorld) -> None:
    world.run()
    number = world.store.put("alice-refresh-token", "alice-second")
    assert world.run("alice", versions={"alice": number}, only_known=True, secret_id="alice-refresh-token") == {
        "alice": "refreshed: refreshed"
    }
    assert world.token("alice")["connection_version"] == "2"


def test_a_rotation_notice_forces_a_refresh(world: RunWorld) -> None:
    world.run()
    notice = Trigger(("alice",), force=True, only_known=True, secret_id="alice-refresh-token")
    assert world.runner.run(notice).document()["counts"] == {"refreshed": 1}


def test_a_notice_about_another_secret_of_that_name_is_ignored(world: RunWorld) -> None:
    world.store.create("alice", "no connection: it has no label")
    assert world.run("alice", force=True, only_known=True, secret_id="alice") == {}
    assert world.run("alice-access-token", force=True, only_known=True, secret_id="alice-access-token") == {}
    assert world.exchange.sent == []


# -- dry runs ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_it_would_do_and_does_nothing(world: RunWorld) -> None:
    world.add("dead")
    world.add("fresh")
    world.add("odd", annotations={"token-refresh.format": "yaml"})
    world.add("paused", state="paused")
    world.add("edited", annotations={"token-refresh.status": "nonsense"})
    world.run("fresh")
    world.answers["dead-token"] = DEAD
    world.run("dead")
    before = {s: world.store.annotations(s) for s in world.store.cloud.secrets}
    sent, events = list(world.exchange.sent), list(world.events())
    world.clock.advance(DAY)
    world.calls()
    assert world.run(dry_run=True, clean=True) == {
        "alice": "planned: no_access_token",
        "dead": "planned: confirm",
        "edited": "planned: no_access_token",
        "fresh": "planned: due",
        "odd": "misconfigured: misconfigured",
        "paused": "paused: paused",
    }
    assert set(world.calls()) <= {"list_connections", "access", "get"}
    assert {s: world.store.annotations(s) for s in world.store.cloud.secrets} == before
    assert (world.exchange.sent, world.events()) == (sent, events)


@pytest.mark.parametrize("gone", ["alice-access-token", "oauth-client-google"])
def test_a_dry_run_finds_what_has_gone_since_although_a_warm_instance_has_read_it(world: RunWorld, gone: str) -> None:
    world.run()
    del world.store.cloud.secrets[gone]
    assert world.run(dry_run=True) == {"alice": "misconfigured: misconfigured"}


def test_a_dry_run_reads_nothing_but_what_it_lists_and_the_secrets_versions(world: RunWorld) -> None:
    world.add("text", annotations={"token-refresh.format": "text"})
    world.run()
    world.calls()
    assert world.run(dry_run=True) == {"alice": "fresh: not_due", "text": "fresh: not_due"}
    assert set(world.calls()) == {"list_connections", "access"}


def test_a_run_says_what_it_did_in_its_log(world: RunWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="token_refresh")
    world.run()
    fields = [r.json_fields for r in caplog.records if hasattr(r, "json_fields")]
    assert {f["event"] for f in fields} == {"connection", "run"}
    assert fields[-1]["counts"] == {"refreshed": 1}
    assert {k: v for k, v in fields[-1]["states"].items() if v} == {"healthy": 1}
    assert fields[-1]["least_seconds_left"] == LIFE
    assert "CANARY" not in json.dumps(fields) + caplog.text
