"""Whole runs from the entry points, with the real clients: Secret Manager, Pub/Sub and HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import main
from tests.worlds.entry_points import CLIENT, PROJECT, EntryPointWorld, deployed, event, token_server
from token_refresh.errors import BadEnvironment, StoreDenied, StoreUnavailable

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EntryPointWorld]:
    with token_server() as tokens, deployed(tokens, tmp_path, monkeypatch) as world:
        yield world


def test_a_run_refreshes_what_can_be_refreshed_and_tells_the_rest(
    world: EntryPointWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    world.add("alice", "CANARY-refresh-1")
    world.add("rotating", "CANARY-rot-0", "rotating")
    world.add("dead", "CANARY-dead")
    world.add("never", None)
    world.add("refused", "CANARY-client-1")
    world.add("refused-too", "CANARY-client-2")
    world.add("waiting", "CANARY-down")
    world.add("empty", " ")
    world.add("odd", "x", annotations={"token-refresh.format": "yaml"})
    world.add("variable", "x", "tenants", annotations={"token-refresh.variables": '{"tenant": "evil.example/"}'})
    status, document = world.post()
    assert status == 200
    assert {e["name"]: f"{e['outcome']}: {e['reason']}" for e in document["connections"]} == {
        "alice": "refreshed: refreshed",
        "rotating": "refreshed: refreshed",
        "dead": "suspect: revoked_or_expired",
        "never": "needs_consent: never_consented",
        "refused": "rejected: invalid_client",
        "refused-too": "rejected: invalid_client",
        "waiting": "unavailable: http_503",
        "empty": "misconfigured: misconfigured",
        "odd": "misconfigured: misconfigured",
        "variable": "misconfigured: misconfigured",
    }
    assert sum(document["counts"].values()) == len(document["connections"])
    assert json.loads(world.read("alice-access-token"))["access_token"].startswith("CANARY-access-")
    assert world.read("rotating-refresh-token") != "CANARY-rot-0"
    told = world.events()
    assert sorted(f"{e.type} {e.subject}" for e in told) == [
        "client_rejected empty",
        "client_rejected oauth-client-google",
        "client_rejected odd",
        "client_rejected variable",
        "invalid_grant never",
        "refresh_failing waiting",
    ]
    outcomes = world.outcomes()
    assert (outcomes["alice"], outcomes["dead"]) == ("fresh", "needs_consent")
    (dead,) = world.events()
    assert (dead.type, dead.subject) == ("invalid_grant", "dead")
    assert dead.data["error_description"] == "gone: ***"
    written = capfd.readouterr()
    assert "CANARY" not in written.out + written.err
    for secret in world.client.list_secrets(parent=f"projects/{PROJECT}"):
        assert "CANARY" not in str(dict(secret.annotations))

    assert world.outcomes()["dead"] == "needs_consent"
    assert world.events() == [], "each incident is told once"


def test_the_calls_of_a_warm_instance(world: EntryPointWorld) -> None:
    world.add("alice", "CANARY-refresh-1")
    for _ in range(2):
        world.outcomes({"force": True})
    world.outcomes()
    assert set(world.rpcs()) == {"ListSecrets"}
    world.put("oauth-client-google", CLIENT)
    world.outcomes({"force": True})
    calls = [c for c in world.rpcs() if c != "ListSecrets"]
    # `force` reads the client registration afresh; without it there is one access less.
    assert calls == ["AccessSecretVersion", "AccessSecretVersion", "AddSecretVersion", "DestroySecretVersion"]


def test_the_calls_of_a_rotating_refresh(world: EntryPointWorld) -> None:
    world.add("rotating", "CANARY-rot-0", "rotating")
    for _ in range(3):
        world.outcomes({"force": True})
    writes = [c for c in world.rpcs() if c not in ("ListSecrets", "AccessSecretVersion", "GetSecret")]
    assert writes == [
        *["AddSecretVersion"] * 2,
        *["DestroySecretVersion"] * 2,
        *["UpdateSecret"] * 2,
    ]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        pytest.param(b"{", 400, "not JSON", id="no-json"),
        pytest.param({"conections": []}, 400, "unknown key", id="unknown-key"),
        pytest.param({"connections": ["nobody"]}, 404, "no such connection: nobody", id="unknown-connection"),
        pytest.param({"connections": ["alice", "../alice"]}, 404, "../alice", id="a-path"),
        pytest.param({"message": {"data": "*"}}, 400, "base64", id="odd-push"),
    ],
)
def test_a_request_that_cannot_be_served_names_the_fault_and_runs_nothing(
    world: EntryPointWorld, body: object, status: int, words: str
) -> None:
    world.add("alice", "CANARY-refresh-1")
    found, document = world.post(body)
    assert found == status
    assert words in document["message"]
    assert world.tokens.tokens == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_any_method_but_post_is_refused(world: EntryPointWorld, method: str) -> None:
    assert world.post(b"", method)[0] == 405


def test_when_secret_manager_is_down_the_caller_should_try_again(world: EntryPointWorld) -> None:
    world.add("alice", "CANARY-refresh-1")
    fault = world.server.faults.add(rpc="ListSecrets", code="PERMISSION_DENIED")
    assert world.post()[0] == 503
    with pytest.raises(StoreDenied, match=r"grant secretmanager\.secrets\.list"):
        main.refresh(event({}))
    world.server.faults.active.remove(fault)
    world.server.faults.add(rpc="AccessSecretVersion", code="PERMISSION_DENIED")
    status, document = world.post()
    assert status == 200, "one connection is that one's matter"
    assert "grant secretmanager.versions.access" in document["connections"][0]["message"]
    world.add("bob", "CANARY-refresh-2")
    assert world.post()[0] == 503
    with pytest.raises(StoreUnavailable):
        main.refresh(event({}))
    world.server.faults.clear()
    assert world.outcomes() == {"alice": "refreshed", "bob": "refreshed"}


def test_a_wrong_environment_is_told_with_every_problem(
    world: EntryPointWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_TIMEOUT", "soon")
    monkeypatch.setenv("CONSENT_URL", "https://c.example")
    status, document = world.post()
    assert status == 500
    assert "HTTP_TIMEOUT" in document["message"]
    assert "CONSENT_SIGNING_KEY" in document["message"]
    with pytest.raises(BadEnvironment):
        main.refresh(event({}))
    monkeypatch.delenv("HTTP_TIMEOUT")
    monkeypatch.delenv("CONSENT_URL")
    assert world.post()[0] == 200, "the next call may find it mended"


def test_annotations_near_the_limit_are_refused_before_anything_is_spent(world: EntryPointWorld) -> None:
    world.add("alice", "CANARY-rot-0", "rotating", annotations={"note": "x" * 15_000})
    world.add("bob", "CANARY-refresh-2")
    status, document = world.post()
    assert status == 200
    alice, bob = document["connections"]
    assert (alice["outcome"], bob["outcome"]) == ("misconfigured", "refreshed")
    assert "16 KiB" in alice["message"]
    assert world.tokens.tokens == ["CANARY-refresh-2"]


def test_a_recovered_client_and_a_new_grant_are_told(world: EntryPointWorld) -> None:
    world.add("refused", "CANARY-client-1")
    world.add("dead", "CANARY-dead")
    world.outcomes()
    assert world.outcomes()["dead"] == "needs_consent"
    world.put("refused-refresh-token", "CANARY-refresh-1")
    world.put("dead-refresh-token", "CANARY-refresh-2")
    assert world.outcomes() == {"refused": "refreshed", "dead": "refreshed"}
    told = [f"{e.type} {e.subject}" for e in world.events()]
    assert sorted(told) == [
        "client_rejected oauth-client-google",
        "invalid_grant dead",
        "recovered dead",
        "recovered oauth-client-google",
    ]


@pytest.mark.parametrize(
    ("provider", "annotations", "words"),
    [
        pytest.param("google", {"client": "oauth-client-rotating"}, "does not belong", id="another-provider-s-client"),
        pytest.param("tenants", {"variables": '{"tenant": "evil"}'}, "stands in a host", id="variable-in-a-host"),
        pytest.param("google", {"client": "x-access-token"}, "named as client registration", id="own-client"),
    ],
)
def test_a_dry_run_names_what_would_stop_a_grant_that_is_not_there_yet(
    world: EntryPointWorld, provider: str, annotations: dict[str, str], words: str
) -> None:
    world.add_secret("oauth-client-tenants", CLIENT)
    notes = {f"token-refresh.{key}": value for key, value in annotations.items()}
    world.add("x", None, provider, annotations=notes)
    (row,) = world.post({"dry_run": True, "connections": ["x"]})[1]["connections"]
    assert row["outcome"] == "misconfigured"
    assert words in row["message"]
    world.add("bob", None)
    (row,) = world.post({"dry_run": True, "connections": ["bob"]})[1]["connections"]
    assert row["outcome"] == "planned"


@pytest.mark.parametrize("value", ["enabled", "paused", "off"])
@pytest.mark.parametrize("body", [b"", {"connections": ["alice"]}], ids=["all", "named"])
def test_a_secret_that_carries_the_label_never_receives_an_access_token(
    world: EntryPointWorld, value: str, body: object
) -> None:
    world.add_secret("alice-refresh-token", "CANARY-refresh-1", labels={"token-refresh": "enabled"})
    world.add_secret("alice-access-token", labels={"token-refresh": value})
    status, document = world.post(body)
    assert status == 200
    row = next(row for row in document["connections"] if row["name"] == "alice")
    assert row["outcome"] == "misconfigured"
    assert "is a connection secret itself" in row["message"]
    assert world.tokens.tokens == []
