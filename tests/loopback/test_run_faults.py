"""Bad input harms one connection and says why; what the functions wrote is mended; no event is lost (contract 2, 8)."""

from __future__ import annotations

import json
import logging

import pytest

from tests.fakes import Crash, build_provider
from tests.world import DAY, DEAD, LIFE, REFUSED, World
from token_refresh.core.connection import LEASE, STATUS
from token_refresh.core.outcome import Refreshed
from token_refresh.core.secrecy import Secret
from token_refresh.errors import Misconfigured


@pytest.fixture(autouse=True)
def _heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let log lines reach the test, whatever an earlier one has configured."""
    monkeypatch.setattr(logging.getLogger("token_refresh"), "propagate", True)


@pytest.fixture
def world() -> World:
    """One healthy connection, which no fault of another one may harm."""
    world = World()
    world.add("good")
    return world


def entry(world: World, name: str, **trigger: bool) -> dict[str, object]:
    entries = world.report(**trigger).document()["connections"]
    assert isinstance(entries, list)
    outcomes = {e["name"]: e for e in entries}
    assert outcomes["good"]["outcome"] in ("refreshed", "fresh")
    found = outcomes[name]
    assert isinstance(found, dict)
    return found


KEY = {"type": "service_account", "client_email": "robot@p.iam"}


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param(" \n", "is empty", id="white-space"),
        pytest.param(b"\xff\xfe\x00", "is binary", id="binary"),
        pytest.param('{"refresh_token": "CANARY', "truncated", id="truncated-json"),
        pytest.param('{"type": "external_account"}', 'unknown "type"', id="unknown-type"),
        pytest.param('{"password": "CANARY"}', 'without "refresh_token"', id="no-refresh-token"),
        pytest.param(json.dumps(KEY), "lacks private_key", id="half-a-key"),
    ],
)
def test_a_payload_that_cannot_be_used(world: World, payload: str | bytes, words: str) -> None:
    world.add("bad", token=None)
    world.store.put("bad-refresh-token", payload)
    found = entry(world, "bad")
    assert found["outcome"] == "misconfigured"
    assert words in str(found["message"])
    assert world.events() == ["client_rejected bad"]
    data = world.last().data
    assert (data["reason"], data["remedy"], data["connection"]) == ("misconfigured", "fix_configuration", "bad")
    assert words in str(data["message"])
    assert "CANARY" not in json.dumps([data, world.status("bad"), found])
    assert world.exchange.sent == ["good-token"]


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        pytest.param({"format": "yaml"}, "token-refresh.format", id="format"),
        pytest.param({"refresh-before-expiry": "soon"}, "refresh-before-expiry", id="margin"),
        pytest.param({"variables": "{"}, "token-refresh.variables", id="variables"),
        pytest.param({"client": "projects/p/secrets/x"}, "token-refresh.client", id="client"),
        pytest.param({"access-token-secret": "../good"}, "access-token-secret", id="access-token-secret"),
        pytest.param({"client": "nowhere"}, "client registration nowhere does not exist", id="missing-client"),
        pytest.param({"access-token-secret": "nowhere"}, "secret nowhere does not exist", id="missing-place"),
        pytest.param({"note": "x" * 15_000}, "16 KiB", id="no-room"),
    ],
)
def test_an_annotation_that_cannot_be_used(world: World, annotations: dict[str, str], words: str) -> None:
    world.add("bad", annotations={f"token-refresh.{k}": v for k, v in annotations.items()})
    found = entry(world, "bad")
    assert found["outcome"] == "misconfigured"
    assert words in str(found["message"])
    assert world.exchange.sent == ["good-token"], "found before anything is sent"
    assert world.events() == ["client_rejected bad"]


def test_an_unknown_provider(world: World) -> None:
    world.add("bad", provider="nowhere")
    assert 'provider "nowhere" is not defined' in str(entry(world, "bad")["message"])


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(None, "has no version", id="no-version"),
        pytest.param("", "is empty", id="empty"),
        pytest.param("{}", 'no "client_id"', id="no-client-id"),
    ],
)
def test_a_client_registration_that_cannot_be_used(world: World, payload: str | None, words: str) -> None:
    world.store.create("my-client", payload)
    world.add("bad", annotations={"token-refresh.client": "my-client"})
    found = entry(world, "bad")
    assert found["outcome"] == "misconfigured"
    assert words in str(found["message"])


def test_a_disabled_client_registration(world: World) -> None:
    world.store.create("my-client", "{}")
    world.store.set_state("my-client", 1, "DISABLED")
    world.add("bad", annotations={"token-refresh.client": "my-client"})
    assert "client registration" in str(entry(world, "bad")["message"])


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_a_newest_version_that_is_gone_is_never_replaced_by_an_older_one(world: World, state: str) -> None:
    world.add("bad")
    world.store.put("bad-refresh-token", "second")
    world.store.set_state("bad-refresh-token", 2, state)
    assert entry(world, "bad")["outcome"] == "misconfigured"
    assert world.exchange.sent == ["good-token"]
    world.store.set_state("bad-refresh-token", 2, "ENABLED")
    assert entry(world, "bad")["outcome"] == "refreshed"
    assert world.exchange.sent == ["good-token", "second"]
    assert world.events() == ["client_rejected bad", "recovered bad"]


def test_a_grant_that_is_disabled_while_it_is_dead_is_the_operator_s_matter(world: World) -> None:
    world.add("bad")
    world.answers["bad-token"] = DEAD
    world.run()
    world.store.set_state("bad-refresh-token", 1, "DISABLED")
    assert entry(world, "bad")["outcome"] == "misconfigured"
    assert world.events() == ["invalid_grant bad", "client_rejected bad"]


def test_a_client_that_is_disabled_while_it_is_refused_is_misconfigured(world: World) -> None:
    world.store.create("my-client", '{"client_id": "c", "client_secret": "s"}')
    world.add("bad", annotations={"token-refresh.client": "my-client"})
    world.answers["bad-token"] = REFUSED
    assert entry(world, "bad")["outcome"] == "rejected"
    world.store.set_state("my-client", 1, "DISABLED")
    assert entry(world, "bad")["outcome"] == "misconfigured"


def test_a_client_that_vanishes_while_an_instance_is_warm_is_refused_first(world: World) -> None:
    world.store.create("my-client", '{"client_id": "c", "client_secret": "s"}')
    world.add("bad", annotations={"token-refresh.client": "my-client"})
    world.run()
    del world.store.cloud.secrets["my-client"]
    world.answers["bad-token"] = REFUSED
    world.clock.advance(LIFE)
    assert entry(world, "bad")["outcome"] == "rejected"
    assert entry(world, "bad")["outcome"] == "misconfigured"


def test_a_url_that_is_not_https_is_the_connection_s_own_trouble(world: World) -> None:
    world.exchange.problem = Misconfigured("token_url is neither https nor loopback")
    assert world.run() == {"good": "misconfigured: misconfigured"}
    assert world.exchange.sent == []


def test_what_was_mended_is_found_by_the_next_run_and_told_once(world: World) -> None:
    world.add("bad")
    place = world.store.cloud.secrets.pop("bad-access-token")
    for _ in range(30):
        assert entry(world, "bad")["outcome"] == "misconfigured"
        world.clock.advance(300)
    assert world.events() == ["client_rejected bad"]
    world.store.cloud.secrets["bad-access-token"] = place
    assert entry(world, "bad")["outcome"] == "refreshed"
    assert world.events() == ["client_rejected bad", "recovered bad"]
    assert world.status("bad") is None


def test_an_access_token_secret_that_vanishes_is_noticed_when_it_is_written(world: World) -> None:
    world.run()
    del world.store.cloud.secrets["good-access-token"]
    assert world.later(LIFE)["good"] == "misconfigured: misconfigured"


# -- what the functions wrote, edited ----------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["google", "rotating"])
@pytest.mark.parametrize("annotation", [STATUS, LEASE])
def test_nonsense_is_treated_as_absent_logged_once_and_repaired(
    world: World, annotation: str, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.add("edited", provider=provider)
    notes = {annotation: '{"state": "sick"', "keep": "me", "token-refresh.owner": "alice@example.com"}
    world.store.set_annotations("edited-refresh-token", notes)
    assert entry(world, "edited")["outcome"] == "refreshed"
    world.run()
    assert caplog.text.count("nonsense") == 1
    left = world.store.annotations("edited-refresh-token")
    assert left.get(annotation) != notes[annotation]
    assert left["keep"] == "me"
    assert left["token-refresh.owner"] == "alice@example.com"


@pytest.mark.parametrize("meanwhile", [{STATUS: None}, {"mine": "x"}])
def test_nonsense_in_metadata_that_changes_at_the_same_moment(
    world: World, meanwhile: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("edited", annotations={STATUS: "nonsense"})
    records = world.store.list_connections()
    world.store.set_annotations("edited-refresh-token", meanwhile)
    with monkeypatch.context() as context:
        context.setattr(world.store, "list_connections", lambda: records)
        assert entry(world, "edited")["outcome"] == "refreshed"
    world.run()
    assert world.status("edited") is None


def test_the_spec_survives_everything(world: World) -> None:
    spec = {"token-refresh.owner": "alice@example.com", "token-refresh.scopes": "a b", "mine": "x"}
    world.add("alice", provider="rotating", annotations=spec)
    world.answers["alice-token"] = DEAD
    world.run()
    world.answers.clear()
    world.later(DAY)
    left = world.store.annotations("alice-refresh-token")
    assert {k: v for k, v in left.items() if k != LEASE} == spec


# -- format text -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["google", "rotating"])
def test_bare_text_keeps_its_facts_in_an_annotation(world: World, provider: str) -> None:
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


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_warm_refresh_costs_one_access_one_add_one_destroy(world: World) -> None:
    world.run()
    world.later(LIFE - 900)
    world.calls()
    world.later(LIFE - 900)
    assert world.calls() == ["list_connections", "access", "add", "destroy"]
    world.later(60)
    assert world.calls() == ["list_connections"]


def test_a_cold_refresh_adds_one_access_per_access_token_and_per_client(world: World) -> None:
    world.run()
    world.new_instance()
    world.later(LIFE - 900)
    assert sorted(world.calls()) == ["access", "access", "access", "add", "list_connections"]


def test_a_rotating_refresh_costs_six_writes(world: World) -> None:
    world.add("r", "rotating-1000", provider="rotating")
    for _ in range(3):
        world.later(LIFE - 900)
    world.calls()
    world.later(LIFE - 900, "r")
    calls = world.calls()
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


def test_a_lease_that_was_released_outranks_a_stale_latest(world: World) -> None:
    world.clock.advance(600)
    world.add("r", "rotating-1000", provider="rotating")
    world.store.cloud.stale["latest"] = 300.0
    world.clock.advance(301)
    for _ in range(3):
        assert world.run("r", force=True) == {"r": "refreshed: refreshed"}
    assert len(set(world.exchange.sent)) == 3, "no token was sent twice"


def test_a_lease_too_short_for_an_exchange_starts_none() -> None:
    world = World(lease_seconds=10.0)
    world.add("r", "rotating-1000", provider="rotating")
    assert world.run() == {"r": "unavailable: lease_too_short"}
    assert world.exchange.sent == []


def test_somebody_else_s_lease_is_respected(world: World) -> None:
    lease = {"holder": "somebody", "until": world.clock() + 60, "version": 1}
    world.add("r", "rotating-1000", provider="rotating", annotations={LEASE: json.dumps(lease)})
    assert world.run("r", force=True) == {"r": "busy: lease_held"}
    assert world.later(61, "r") == {"r": "refreshed: refreshed"}


# -- events: once, and never lost --------------------------------------------------------------------------------------


def test_what_the_topic_did_not_take_is_published_by_a_later_run(world: World) -> None:
    world.add("dead")
    world.add("refused", '{"refresh_token": "refused-token", "client_id": "c", "client_secret": "s"}')
    world.answers |= {"dead-token": DEAD, "refused-token": REFUSED}
    world.publisher.down = True
    world.run()
    assert world.events() == []
    assert len((world.status("dead") or {})["owed"]) == 1
    world.publisher.down = False
    world.new_instance()
    world.later(10)
    assert sorted(world.events()) == ["client_rejected client:c", "invalid_grant dead"]
    world.later(10)
    assert len(world.events()) == 2
    assert "owed" not in (world.status("dead") or {})


def test_an_incident_that_began_and_ended_while_the_topic_was_down_is_told_in_order(world: World) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.publisher.down = True
    world.run()
    world.store.put("dead-refresh-token", "second")
    assert world.run()["dead"] == "refreshed: refreshed"
    status = world.status("dead")
    assert status
    assert status["state"] == "healthy"
    assert world.later(LIFE - 800)["dead"] == "refreshed: refreshed"
    world.publisher.down = False
    assert world.run()["dead"] == "fresh: not_due"
    assert world.events() == ["invalid_grant dead", "recovered dead"]
    assert world.status("dead") is None
    world.later(LIFE)
    assert len(world.events()) == 2


def test_a_connection_that_still_owes_an_event_may_fall_ill_again(world: World) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.run()
    world.publisher.down = True
    world.answers.clear()
    world.later(DAY)
    world.publisher.down = False
    world.answers["dead-token"] = DEAD
    assert world.later(LIFE)["dead"].startswith("needs_consent")
    assert world.events() == ["invalid_grant dead", "recovered dead", "invalid_grant dead"]
    assert len({e.id for e in world.publisher.events}) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_around_a_publication_repeats_it_with_the_same_id_at_worst(world: World, when: str) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.publisher.faults.fail("publish", Crash(), when=when)
    with pytest.raises(Crash):
        world.run()
    world.publisher.faults.dead = False
    world.new_instance()
    world.later(60)
    assert set(world.events()) == {"invalid_grant dead"}
    assert len({e.id for e in world.publisher.events}) == 1


def test_a_defect_met_while_telling_harms_no_other_and_loses_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("dead", "gone"):
        world.add(name)
        world.answers[f"{name}-token"] = DEAD
    world.publisher.faults.fail("publish", RuntimeError("CANARY"), secret_id="dead")
    world.run()
    assert world.events() == ["invalid_grant gone"]
    assert "CANARY" not in caplog.text
    world.run()
    assert world.events() == ["invalid_grant gone", "invalid_grant dead"]


def test_a_status_that_could_not_be_written_is_decided_again(world: World) -> None:
    world.add("dead")
    world.answers["dead-token"] = DEAD
    world.store.faults.fail("annotate", secret_id="dead-refresh-token")
    world.run()
    assert (world.events(), world.status("dead")) == ([], None)
    world.later(60)
    world.later(60)
    assert world.events() == ["invalid_grant dead"]


# -- an end that is known ----------------------------------------------------------------------------------------------


def test_an_owner_is_warned_before_a_grant_ends_by_itself(world: World) -> None:
    ends = int(world.clock()) + 30 * DAY
    payload = json.dumps({"refresh_token": "t", "issued_at": ends - 100 * DAY, "expires_at": ends})
    world.add("limited", payload)
    told = []
    for hour in range(30 * 24):
        before = len(world.publisher.events)
        world.run()
        told += [(ends - world.clock()) / DAY] * (len(world.publisher.events) - before)
        if hour == 10:
            assert world.calls().count("annotate") == 0, "a warning needs no memory"
        world.clock.advance(3600)
    assert [round(t, 1) for t in told] == [7.0, 1.0]
    assert world.events() == ["consent_expiring limited"] * 2
    assert len({e.id for e in world.publisher.events}) == 2
    data = world.last().data
    assert data["consent_url"] == "https://consent.example/consent/limited?ticket=for-version-1"
    assert data["version"] == 1
    assert "ends in about 24 hours" in str(data["message"])


def test_a_warning_that_the_topic_did_not_take_is_published_later(world: World) -> None:
    world.add("limited", json.dumps({"refresh_token": "t", "expires_at": world.clock() + 3 * DAY}))
    world.publisher.down = True
    assert world.run()["limited"] == "refreshed: refreshed"
    world.publisher.down = False
    assert world.run()["limited"] == "fresh: not_due"
    assert world.events() == ["consent_expiring limited"]
    assert "about 3 days" in str(world.last().data["message"])
    assert world.status("limited") is None


def test_a_recovery_and_a_warning_at_once_are_both_told(world: World) -> None:
    world.add("limited")
    world.answers["limited-token"] = DEAD
    world.run()
    world.store.put("limited-refresh-token", json.dumps({"refresh_token": "t", "expires_at": world.clock() + 3 * DAY}))
    world.publisher.down = True
    world.run()
    world.publisher.down = False
    world.run()
    assert world.events() == ["invalid_grant limited", "recovered limited", "consent_expiring limited"]
    assert world.status("limited") is None


def test_the_end_of_a_rotated_grant_is_written_into_its_payload() -> None:
    world = World()
    world.providers = [build_provider(refresh_token_lifetime=90 * DAY)]
    world.new_instance()
    world.add("r", json.dumps({"refresh_token": "first", "note": "kept", "expires_at": 5}), provider="rotating")
    world.answers["first"] = Refreshed(Secret("t"), int(world.clock()) + LIFE, scope="a", refresh_token=Secret("next"))
    world.run()
    now = int(world.clock())
    assert json.loads(world.store.payloads("r-refresh-token")[2]) == {
        "refresh_token": "next",
        "note": "kept",
        "issued_at": now,
        "expires_at": now + 90 * DAY,
        "scope": "a",
    }
