"""refresh_http as an operator, Cloud Scheduler and a careless caller meet it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.worlds.stack import StackWorld, rpcs

OUTCOME_KEYS = {"name", "outcome", "reason", "access_token_expires_at", "version"}


def test_an_empty_request_refreshes_what_is_due_and_leaves_the_rest(world: StackWorld) -> None:
    world.declare("gmail-due")
    world.declare("crm-due", "crm")
    first = world.post()
    assert first.status_code == 200
    assert first.headers["Content-Type"] == "application/json"
    report = first.json()
    outcomes = {one["name"]: one for one in report["connections"]}
    assert report["run_id"]
    assert report["counts"]["refreshed"] >= 2
    for name in ("gmail-due", "crm-due"):
        one = outcomes[name]
        assert one.keys() >= OUTCOME_KEYS
        assert (one["outcome"], one["version"]) == ("refreshed", 1)
        assert one["access_token_expires_at"] == pytest.approx(time.time() + 3600, abs=60)
        world.assert_token_works(name)
    again = {one["name"]: one for one in world.post(b"").json()["connections"]}
    assert again["gmail-due"]["outcome"] == again["crm-due"]["outcome"] == "fresh"


def test_only_the_named_connections_are_refreshed(world: StackWorld) -> None:
    world.declare("gmail-named")
    world.declare("gmail-unnamed")
    assert world.run("gmail-named").keys() == {"gmail-named"}
    assert world.versions("gmail-unnamed-access-token") == []


def test_force_refreshes_what_is_fresh(world: StackWorld) -> None:
    world.declare("gmail-forced")
    assert world.run("gmail-forced")["gmail-forced"]["outcome"] == "refreshed"
    before = world.document("gmail-forced")["access_token"]
    assert world.run("gmail-forced")["gmail-forced"]["outcome"] == "fresh"
    assert world.run("gmail-forced", force=True)["gmail-forced"]["version"] == 2
    after = world.assert_token_works("gmail-forced")["access_token"]
    assert after != before


def test_a_dry_run_tells_the_reason_and_touches_nothing(world: StackWorld) -> None:
    world.declare("gmail-planned")
    asked = len(world.sent("mailbox"))
    with world.calls("gmail-planned") as calls:
        outcome = world.run("gmail-planned", dry_run=True)["gmail-planned"]
    assert outcome["outcome"] == "planned"
    assert outcome["reason"]
    assert {call.rpc for call in calls} <= {"ListSecrets", "AccessSecretVersion", "GetSecret"}
    assert len(world.sent("mailbox")) == asked
    assert world.versions("gmail-planned-access-token") == []


def test_a_body_is_json_whatever_its_content_type(world: StackWorld) -> None:
    world.declare("gmail-typed")
    for kind in ("text/plain", "application/octet-stream", "application/x-www-form-urlencoded", "nonsense"):
        answer = world.post(b'{"connections": ["gmail-typed"]}', headers={"Content-Type": kind})
        assert answer.status_code == 200, kind
        assert len(answer.json()["connections"]) == 1


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        pytest.param(b"{", "not JSON", id="truncated"),
        pytest.param(b"\xff\xfe\x00", "not JSON", id="binary"),
        pytest.param(b"[]", "not a JSON object", id="list"),
        pytest.param(b'"all"', "not a JSON object", id="text"),
        pytest.param(b"[" * 100_000, "not JSON", id="nested"),
        pytest.param(b'{"conections": []}', "conections", id="misspelt key"),
        pytest.param(b'{"connections": "gmail-alice"}', "connections", id="connections no list"),
        pytest.param(b'{"connections": [1]}', "connections", id="name no text"),
        pytest.param(b'{"force": "yes"}', "force", id="force no boolean"),
        pytest.param(b'{"dry_run": 1}', "dry_run", id="dry_run no boolean"),
        pytest.param(b'{"clean": null}', "clean", id="clean null"),
        pytest.param(b'{"versions": [7]}', "versions", id="versions no object"),
        pytest.param(b'{"versions": {"a": "7"}}', "versions", id="version no number"),
        pytest.param(b'{"versions": {"a": 0}}', "versions", id="version zero"),
        pytest.param(b'{"versions": {"a": true}}', "versions", id="version boolean"),
    ],
)
def test_a_malformed_body_is_refused_by_name_of_its_fault(world: StackWorld, body: bytes, fault: str) -> None:
    with world.calls() as calls:
        answer = world.post(body)
    assert answer.status_code == 400
    assert fault in answer.json()["message"]
    assert calls == []


def test_an_unknown_connection_is_404_and_nothing_is_run(world: StackWorld) -> None:
    world.declare("gmail-known")
    asked = len(world.sent("mailbox"))
    answer = world.post({"connections": ["gmail-known", "gmail-stranger"]})
    assert answer.status_code == 404
    assert "gmail-stranger" in answer.json()["message"]
    assert len(world.sent("mailbox")) == asked
    assert world.versions("gmail-known-access-token") == []


def test_a_secret_without_the_label_is_an_unknown_connection(world: StackWorld) -> None:
    world.create("plain-refresh-token")
    world.add("plain-refresh-token", "some other program's secret")
    assert world.post({"connections": ["plain"]}).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_method_but_post_is_405(world: StackWorld, method: str) -> None:
    with world.calls() as calls:
        answer = world.send(method, world.stack.functions["refresh_http"].url)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert calls == []


def test_a_run_that_cannot_list_is_503_and_the_next_one_works(world: StackWorld) -> None:
    world.declare("gmail-unlisted")
    fault = world.stack.secret_manager.faults.add(rpc="ListSecrets", code="PERMISSION_DENIED")
    answer = world.post()
    assert answer.status_code == 503
    assert "permission" in answer.json()["message"]
    assert fault.hits
    world.stack.secret_manager.faults.clear()
    assert world.run("gmail-unlisted")["gmail-unlisted"]["outcome"] == "refreshed"


def test_a_blip_of_secret_manager_goes_unnoticed(world: StackWorld) -> None:
    world.declare("gmail-blip")
    for rpc in ("ListSecrets", "AccessSecretVersion", "AddSecretVersion"):
        world.stack.secret_manager.faults.add(rpc=rpc, calls=(1,), code="UNAVAILABLE")
    assert world.run("gmail-blip")["gmail-blip"]["outcome"] == "refreshed"
    world.assert_token_works("gmail-blip")


def test_secret_manager_failing_for_one_connection_is_that_ones_matter(world: StackWorld) -> None:
    world.declare("gmail-denied")
    world.declare("gmail-allowed")
    world.stack.secret_manager.faults.add(secret="gmail-denied-refresh-token", code="PERMISSION_DENIED")
    outcomes = world.run("gmail-denied", "gmail-allowed")
    assert outcomes["gmail-denied"]["outcome"] == "misconfigured"
    assert "grant secretmanager.secrets.get" in outcomes["gmail-denied"]["message"]
    assert outcomes["gmail-allowed"]["outcome"] == "refreshed"
    world.stack.secret_manager.faults.clear()
    world.stack.secret_manager.faults.add(
        rpc="AccessSecretVersion", secret="gmail-denied-refresh-token", code="RESOURCE_EXHAUSTED"
    )
    one = world.run("gmail-denied", force=True)["gmail-denied"]
    assert (one["outcome"], one["reason"]) == ("unavailable", "secret_manager")


UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "blank": ({"payload": b" \n"}, "empty"),
    "binary": ({"payload": b"\x00\xff\xfe"}, "text"),
    "truncated": ({"payload": b'{"refresh_token": "1//0'}, "JSON"),
    "odd-type": ({"payload": b'{"type": "external_account"}'}, "brings its own token endpoint"),
    "no-client": ({"annotations": {"token-refresh.client": "oauth-client-nobody"}}, "oauth-client-nobody"),
    "no-place": ({"access_token_secret": False}, "no-place-access-token"),
    "odd-format": ({"annotations": {"token-refresh.format": "yaml"}}, "token-refresh.format"),
    "odd-margin": (
        {"annotations": {"token-refresh.refresh-before-expiry": "soon"}},
        "token-refresh.refresh-before-expiry",
    ),
    "odd-variables": ({"annotations": {"token-refresh.variables": "{"}}, "token-refresh.variables"),
}


def test_an_unusable_connection_says_why_and_the_others_are_refreshed(world: StackWorld) -> None:
    world.declare("gmail-usable")
    for name, (settings, _) in UNUSABLE.items():
        world.declare(name, **settings)
    asked = len(world.sent("mailbox"))
    outcomes = world.run("gmail-usable", *UNUSABLE)
    assert outcomes["gmail-usable"]["outcome"] == "refreshed"
    assert len(world.sent("mailbox")) == asked + 1
    for name, (_, words) in UNUSABLE.items():
        assert outcomes[name]["outcome"] == "misconfigured", outcomes[name]
        assert words in outcomes[name]["message"], outcomes[name]


def test_only_the_newest_version_counts_and_a_disabled_one_is_misconfigured(world: StackWorld) -> None:
    token = world.declare("gmail-disabled")
    version = world.add("gmail-disabled-refresh-token", token)
    name = f"{world.project}/secrets/gmail-disabled-refresh-token/versions/{version}"
    world.client.disable_secret_version(request={"name": name})
    with world.calls("gmail-disabled") as calls:
        outcome = world.run("gmail-disabled")["gmail-disabled"]
    assert outcome["outcome"] == "misconfigured"
    assert "AddSecretVersion" not in rpcs(calls)
