"""A revocation signal gives the connections that it is about a forced refresh, and nothing else (contract 13)."""

from __future__ import annotations

import json

import pytest

from tests.fakes.instance import build_provider
from tests.worlds.runs import RunWorld
from token_refresh.core.secrecy import Secret
from token_refresh.core.signals import Signal, double_hash
from token_refresh.core.trigger import Trigger, parse_trigger

ISSUER = "https://accounts.google.com"


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.providers = [build_provider("google", rotates="never", issuer=ISSUER + "/"), build_provider("other")]
    world.new_instance()
    world.add("alice", annotations={"token-refresh.subject": "17"})
    world.add("bob", json.dumps({"refresh_token": "bob-token-0123456789", "sub": "18"}))
    world.add("other", "17", provider="other", annotations={"token-refresh.subject": "17"})
    world.run()
    world.exchange.sent.clear()
    return world


@pytest.mark.parametrize(
    ("signal", "names"),
    [
        pytest.param(Signal(ISSUER, "sub", "17"), ["alice"], id="by-the-recorded-subject"),
        pytest.param(Signal(ISSUER, "sub", "18"), ["bob"], id="by-the-payload-s-subject"),
        pytest.param(Signal(ISSUER, "prefix", "bob-token-012345"), ["bob"], id="by-the-token-s-beginning"),
        pytest.param(
            Signal(ISSUER, "sha512", double_hash(Secret("bob-token-0123456789"))), ["bob"], id="by-the-token-s-hash"
        ),
        pytest.param(Signal(ISSUER, "sub", "19"), [], id="somebody-else"),
        pytest.param(Signal("https://issuer.example", "sub", "17"), [], id="another-issuer"),
    ],
)
def test_a_signal_refreshes_what_it_is_about(world: RunWorld, signal: Signal, names: list[str]) -> None:
    rows = world.runner.run(trigger(signal)).document()["connections"]
    assert isinstance(rows, list)
    assert [(r["name"], r["outcome"]) for r in rows] == [(n, "refreshed") for n in names]
    assert len(world.exchange.sent) == len(names)


def test_an_account_is_met_wherever_its_id_stands(world: RunWorld) -> None:
    """Two connections of one account: a payload's `sub` counts where the annotation is absent (contract 2)."""
    world.add("alice-too", json.dumps({"refresh_token": "her-other-token", "sub": "17"}))
    rows = world.runner.run(trigger(Signal(ISSUER, "sub", "17"))).document()["connections"]
    assert isinstance(rows, list)
    assert sorted(r["name"] for r in rows) == ["alice", "alice-too"]


def test_no_payload_is_read_of_who_is_known_by_annotation(world: RunWorld) -> None:
    world.store.calls.clear()
    world.runner.run(trigger(Signal(ISSUER, "sub", "19")))
    assert ("access", "alice-refresh-token") not in world.store.calls
    assert ("access", "bob-refresh-token") in world.store.calls


def test_the_ordinary_judgement_confirms_what_a_signal_says(world: RunWorld) -> None:
    world.dying("alice")
    world.runner.run(trigger(Signal(ISSUER, "sub", "17")))
    assert world.status("alice") == {**(world.status("alice") or {}), "state": "suspect"}
    assert world.events() == []
    world.later(900)
    assert world.events() == ["invalid_grant alice"]


def test_a_forged_signal_costs_one_refresh_and_tells_nobody(world: RunWorld) -> None:
    world.runner.run(trigger(Signal(ISSUER, "sub", "17")))
    assert len(world.exchange.sent) == 1
    assert world.events() == []


def trigger(signal: Signal) -> Trigger:
    return parse_trigger({"signals": [signal.as_json()]})
