"""The states of a connection in which an instance is killed, and what must be true in the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.worlds.crashes import OWNER, CrashWorld, wait_until

LEASE_NOTE = '{"holder": "", "until": 0, "version": %d}'


@dataclass(eq=False, slots=True)
class Cell:
    """One connection in its scene."""

    world: CrashWorld
    name: str
    provider: str
    seed: str = field(repr=False, default="")  # a refresh token of the living grant

    @property
    def grants(self) -> dict[int, bytes]:
        return self.world.payloads(f"{self.name}-refresh-token")

    @property
    def access_tokens(self) -> dict[int, bytes]:
        return self.world.payloads(f"{self.name}-access-token")

    def new_grant(self) -> str:
        token = self.world.server.create_grant(self.provider, OWNER)
        self.world.canary.learn(token)
        return token


@dataclass(frozen=True, slots=True)
class Scene:
    """How a connection looks before the run that is killed, and how it must look when all is over."""

    name: str
    prepare: Callable[[Cell], None]
    check: Callable[[Cell], None]
    lives: bool = True  # the grant
    providers: tuple[str, ...] = ("strict",)


def _create(cell: Cell, versions: list[str], *, notes: dict[str, str], access_token: str | None) -> None:
    labels = {"token-refresh": "enabled", "token-refresh-provider": cell.provider}
    annotations = {f"token-refresh.{k}": v for k, v in notes.items()}
    cell.world.create(f"{cell.name}-refresh-token", labels=labels, annotations=annotations)
    for payload in versions:
        cell.world.add(f"{cell.name}-refresh-token", payload)
    cell.world.create(f"{cell.name}-access-token", access_token)


def _old_document(version: int, **changes: object) -> str:
    now = int(time.time())
    facts = {"expires_at": now - 10, "refreshed_at": now - 3610, "connection_version": str(version)}
    return json.dumps({"access_token": "some-old-access-token", **facts, **changes})


def _steady(cell: Cell) -> None:
    cell.seed = cell.new_grant()
    grant = {"refresh_token": cell.seed, "note": "kept"}
    _create(
        cell,
        ["some-spent-refresh-token", json.dumps(grant)],
        notes={"lease": LEASE_NOTE % 2},
        access_token=_old_document(2),
    )


def _text(cell: Cell) -> None:
    cell.seed = cell.new_grant()
    facts = json.loads(_old_document(2))
    del facts["access_token"]
    notes = {"lease": LEASE_NOTE % 2, "format": "text", "access-token": json.dumps(facts)}
    _create(cell, ["some-spent-refresh-token", cell.seed], notes=notes, access_token="some-old-access-token")


def _first(cell: Cell) -> None:
    cell.seed = cell.new_grant()
    _create(cell, [cell.seed], notes={}, access_token=None)


def _dying(cell: Cell) -> None:
    cell.seed = cell.new_grant()
    cell.world.server.revoke(cell.seed)
    _create(cell, [cell.seed], notes={"lease": LEASE_NOTE % 1}, access_token=_old_document(1))


def _never_consented(cell: Cell) -> None:
    _create(cell, [], notes={}, access_token=None)


def _coming_back(cell: Cell) -> None:
    _dying(cell)
    assert cell.world.run(cell.name) == {cell.name: "suspect"}
    assert cell.world.run(cell.name, later=61) == {cell.name: "needs_consent"}
    cell.seed = cell.new_grant()
    cell.world.add(f"{cell.name}-refresh-token", cell.seed)


def _is_healthy(cell: Cell) -> None:
    """The grant lives, the access token works, and nothing is left lying about. Clean-up has been done."""
    world, server = cell.world, cell.world.server
    assert world.status(cell.name) is None
    lease = world.lease(cell.name)
    assert (lease["holder"], lease["until"]) == ("", 0)
    newest, payload = list(cell.grants.items())[-1]
    assert lease["version"] == newest
    token = json.loads(payload)["refresh_token"] if payload.startswith(b"{") else payload.decode()
    assert server.is_alive(token), "the stored refresh token is not the one that works"
    assert not payload.startswith(b"{") or json.loads(payload)["note"] == "kept"
    access_token = list(cell.access_tokens.values())[-1].decode()
    if access_token.startswith("{"):
        document = json.loads(access_token)
        assert document["connection_version"] == str(newest)
        assert document["expires_at"] > time.time() + 3000
        access_token = document["access_token"]
    headers = {"Authorization": f"Bearer {access_token}"}
    assert requests.get(server.userinfo_url, headers=headers, timeout=30).status_code == 200
    assert len(cell.grants) <= 2
    assert len(cell.access_tokens) <= 2
    assert len(world.heard(cell.name, "invalid_grant")) == 0


def _is_reported(*reasons: str) -> Callable[[Cell], None]:
    def check(cell: Cell) -> None:
        status = cell.world.status(cell.name)
        assert status
        assert status["state"] == "needs_consent"
        assert status["reason"] in reasons
        assert "owed" not in status

        def told() -> list[dict[str, Any]]:
            events = cell.world.heard(cell.name, "invalid_grant")
            return [e for e in events if e["data"]["version"] == status["version"]]

        wait_until(lambda: bool(told()), "the event")
        assert {e["ce-id"] for e in told()} == {status["event_id"]}, "one incident, one id"
        assert told()[0]["data"]["reason"] == status["reason"]

    return check


def _has_recovered(cell: Cell) -> None:
    wait_until(lambda: bool(cell.world.heard(cell.name, "recovered")), "the event")
    assert len({e["ce-id"] for e in cell.world.heard(cell.name, "recovered")}) == 1
    assert len(cell.world.heard(cell.name, "invalid_grant")) == 1
    cell.world.events[:] = [e for e in cell.world.events if e["ce-subject"] != cell.name]
    _is_healthy(cell)


# Who takes over from a dead process cannot know whether it had sent the token: hence the second reason.
SCENES = (
    Scene("steady", _steady, _is_healthy, providers=("strict", "lenient")),
    Scene("text", _text, _is_healthy),
    Scene("first", _first, _is_healthy),
    Scene("dying", _dying, _is_reported("revoked_or_expired", "lost_rotation"), lives=False),
    Scene("never-consented", _never_consented, _is_reported("never_consented"), lives=False),
    Scene("coming-back", _coming_back, _has_recovered),
)
is_lost = _is_reported("lost_rotation")
