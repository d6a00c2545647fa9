"""Runs that a CloudEvent asks for, from the entry point, with the real clients on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import main
from tests.worlds.entry_points import PROJECT, EntryPointWorld, deployed, event, token_server
from token_refresh.errors import BadRequest

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EntryPointWorld]:
    with token_server() as tokens, deployed(tokens, tmp_path, monkeypatch) as world:
        yield world


def test_a_message_refreshes_what_it_names(world: EntryPointWorld) -> None:
    world.add("alice", "CANARY-refresh-1")
    world.add("bob", "CANARY-refresh-2")
    main.refresh(event({"connections": ["alice", "nobody"]}))
    assert world.tokens.tokens == ["CANARY-refresh-1"]


def test_a_malformed_message_raises(world: EntryPointWorld) -> None:  # noqa: ARG001 - the environment
    with pytest.raises(BadRequest):
        main.refresh(event({"all": True}))


def test_a_version_added_by_somebody_is_refreshed_and_our_own_is_ignored(world: EntryPointWorld) -> None:
    """With the attributes that Secret Manager really sends: full names with the project's number."""
    topics = [{"name": f"projects/{PROJECT}/topics/token-refresh"}]
    world.add("rotating", "CANARY-rot-0", "rotating", topics=topics)
    world.outcomes()
    ours = world.notice_of_version("2")
    for notice in list(world.notices):
        main.refresh(event({}, **notice))
    assert len(world.tokens.tokens) == 1, "no loop"
    assert ours["secretId"].startswith("projects/")
    assert f"projects/{PROJECT}/" not in ours["secretId"]

    world.put("rotating-refresh-token", "CANARY-rot-new")
    added = ours | {"versionId": f"{ours['secretId']}/versions/3"}
    push = {"message": {"attributes": added, "messageId": "9"}, "subscription": "projects/p/subscriptions/s"}
    status, document = world.post(push)
    assert (status, document["counts"]) == (200, {"refreshed": 1})
    assert world.tokens.tokens[-1] == "CANARY-rot-new"

    main.refresh(event({}, eventType="SECRET_ROTATE", secretId=ours["secretId"]))
    assert len(world.tokens.tokens) == 3


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"eventType": "TOPIC_CONFIGURED", "secretId": "projects/1/secrets/alice"}, id="other-event"),
        pytest.param({"eventType": "SECRET_ROTATE", "secretId": "projects/1/secrets/mine"}, id="no-connection"),
    ],
)
def test_what_is_none_of_our_business_is_acknowledged(world: EntryPointWorld, attributes: dict[str, str]) -> None:
    world.add("alice", "CANARY-refresh-1")
    main.refresh(event({}, **attributes))
    push = {"message": {"attributes": attributes, "messageId": "9"}, "subscription": "s"}
    assert world.post(push)[0] == 200
    assert world.tokens.tokens == []
