"""Bad input harms one connection and says why; what the functions wrote is mended (contract 2)."""

from __future__ import annotations

import json
import logging

import pytest

from tests.worlds.runs import DAY, DEAD, LIFE, REFUSED, RunWorld
from token_refresh.core.connection import LEASE, STATUS
from token_refresh.errors import Misconfigured


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


def entry(world: RunWorld, name: str, **trigger: bool) -> dict[str, object]:
    entries = world.report(**trigger).document()["connections"]
    assert isinstance(entries, list)
    outcomes = {e["name"]: e for e in entries}
    assert outcomes["good"]["outcome"] in ("refreshed", "fresh")
    found = outcomes[name]
    assert isinstance(found, dict)
    return found


KEY = {"type": "service_account", "client_email": "robot@p.iam"}
# What mends a client registration.
ADD = "gcloud secrets versions add {} --data-file=client_secret.json"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param(" \n", "is empty", id="white-space"),
        pytest.param(b"\xff\xfe\x00", "is binary", id="binary"),
        pytest.param('{"refresh_token": "CANARY', "truncated", id="truncated-json"),
        pytest.param('{"type": "external_account"}', "brings its own token endpoint", id="foreign-type"),
        pytest.param('{"password": "CANARY"}', 'without "refresh_token"', id="no-refresh-token"),
        pytest.param(json.dumps(KEY), "lacks private_key", id="half-a-key"),
    ],
)
def test_a_payload_that_cannot_be_used(world: RunWorld, payload: str | bytes, words: str) -> None:
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
        pytest.param(
            {"client": "nowhere"},
            f"or create it: gcloud secrets create nowhere; {ADD.format('nowhere')}",
            id="missing-client",
        ),
        pytest.param({"access-token-secret": "mallory"}, "nowhere else", id="another-place"),
        pytest.param({"note": "x" * 15_000}, "16 KiB", id="no-room"),
    ],
)
def test_an_annotation_that_cannot_be_used(world: RunWorld, annotations: dict[str, str], words: str) -> None:
    world.add("bad", annotations={f"token-refresh.{k}": v for k, v in annotations.items()})
    found = entry(world, "bad")
    assert found["outcome"] == "misconfigured"
    assert words in str(found["message"])
    assert world.exchange.sent == ["good-token"], "found before anything is sent"
    assert world.events() == ["client_rejected bad"]


def test_a_missing_place_for_the_access_token(world: RunWorld) -> None:
    world.add("bad")
    del world.store.cloud.secrets["bad-access-token"]
    message = "access-token secret bad-access-token does not exist: gcloud secrets create bad-access-token"
    assert entry(world, "bad")["message"] == message
    assert world.exchange.sent == ["good-token"], "found before anything is sent"


def test_an_unknown_provider(world: RunWorld) -> None:
    world.add("bad", provider="nowhere")
    message = str(entry(world, "bad")["message"])
    assert message.startswith('provider "nowhere" is not defined')
    assert message.endswith("(token-refresh providers list)")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(None, "has no version", id="no-version"),
        pytest.param("", "is empty", id="empty"),
        pytest.param("{}", 'no "client_id"', id="no-client-id"),
    ],
)
def test_a_client_registration_that_cannot_be_used(world: RunWorld, payload: str | None, words: str) -> None:
    world.store.create("my-client", payload)
    world.add("bad", annotations={"token-refresh.client": "my-client"})
    found = entry(world, "bad")
    assert found["outcome"] == "misconfigured"
    assert words in str(found["message"])
    assert str(found["message"]).endswith(ADD.format("my-client"))


def test_a_disabled_client_registration(world: RunWorld) -> None:
    world.store.create("my-client", "{}")
    world.store.set_state("my-client", 1, "DISABLED")
    world.add("bad", annotations={"token-refresh.client": "my-client"})
    message = str(entry(world, "bad")["message"])
    assert message.startswith("client registration: ")
    assert message.endswith(ADD.format("my-client"))


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_a_newest_version_that_is_gone_is_never_replaced_by_an_older_one(world: RunWorld, state: str) -> None:
    world.add("bad")
    world.store.put("bad-refresh-token", "second")
    world.store.set_state("bad-refresh-token", 2, state)
    assert entry(world, "bad")["outcome"] == "misconfigured"
    assert world.exchange.sent == ["good-token"]
    world.store.set_state("bad-refresh-token", 2, "ENABLED")
    assert entry(world, "bad")["outcome"] == "refreshed"
    assert world.exchange.sent == ["good-token", "second"]
    assert world.events() == ["client_rejected bad", "recovered bad"]


def test_a_grant_that_is_disabled_while_it_is_dead_is_the_operator_s_matter(world: RunWorld) -> None:
    world.add("bad")
    world.answers["bad-token"] = DEAD
    world.confirmed()
    world.store.set_state("bad-refresh-token", 1, "DISABLED")
    assert entry(world, "bad")["outcome"] == "misconfigured"
    assert world.events() == ["invalid_grant bad", "client_rejected bad"]


def test_a_client_that_is_disabled_while_it_is_refused_is_misconfigured(world: RunWorld) -> None:
    world.store.create("my-client", '{"client_id": "c", "client_secret": "s"}')
    world.add("bad", annotations={"token-refresh.client": "my-client"})
    world.answers["bad-token"] = REFUSED
    assert entry(world, "bad")["outcome"] == "rejected"
    world.store.set_state("my-client", 1, "DISABLED")
    assert entry(world, "bad")["outcome"] == "misconfigured"


def test_a_client_that_vanishes_while_an_instance_is_warm_is_refused_first(world: RunWorld) -> None:
    world.store.create("my-client", '{"client_id": "c", "client_secret": "s"}')
    world.add("bad", annotations={"token-refresh.client": "my-client"})
    world.run()
    del world.store.cloud.secrets["my-client"]
    world.answers["bad-token"] = REFUSED
    world.clock.advance(LIFE)
    assert entry(world, "bad")["outcome"] == "rejected"
    assert entry(world, "bad")["outcome"] == "misconfigured"


def test_a_url_that_is_not_https_is_the_connection_s_own_trouble(world: RunWorld) -> None:
    world.exchange.problem = Misconfigured("token_url is neither https nor loopback")
    assert world.run() == {"good": "misconfigured: misconfigured"}
    assert world.exchange.sent == []


def test_what_was_mended_is_found_by_the_next_run_and_told_once(world: RunWorld) -> None:
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


def test_an_access_token_secret_that_vanishes_is_noticed_when_it_is_written(world: RunWorld) -> None:
    world.run()
    del world.store.cloud.secrets["good-access-token"]
    assert world.later(LIFE)["good"] == "misconfigured: misconfigured"
    world.store.create("good-access-token")
    assert world.later(1)["good"] == "refreshed: refreshed", "it is looked for in each run"
    del world.store.cloud.secrets["good-access-token"]
    world.later(LIFE)
    sent = len(world.exchange.sent)
    assert world.later(300)["good"] == "misconfigured: misconfigured"
    assert len(world.exchange.sent) == sent, "without an exchange"


@pytest.mark.parametrize("provider", ["google", "rotating"])
@pytest.mark.parametrize("annotation", [STATUS, LEASE])
def test_nonsense_is_treated_as_absent_logged_once_and_repaired(
    world: RunWorld, annotation: str, provider: str, caplog: pytest.LogCaptureFixture
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
    world: RunWorld, meanwhile: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("edited", annotations={STATUS: "nonsense"})
    records = world.store.list_connections()
    world.store.set_annotations("edited-refresh-token", meanwhile)
    with monkeypatch.context() as context:
        context.setattr(world.store, "list_connections", lambda: records)
        assert entry(world, "edited")["outcome"] == "refreshed"
    world.run()
    assert world.status("edited") is None


def test_the_spec_survives_everything(world: RunWorld) -> None:
    spec = {"token-refresh.owner": "alice@example.com", "token-refresh.scopes": "a b", "mine": "x"}
    world.add("alice", provider="rotating", annotations=spec)
    world.answers["alice-token"] = DEAD
    world.run()
    world.answers.clear()
    world.later(DAY)
    left = world.store.annotations("alice-refresh-token")
    assert {k: v for k, v in left.items() if k != LEASE} == spec
