"""The status page as a browser and a program ask for it, and connections that it shows."""

from __future__ import annotations

import re
from typing import Any

from tests.worlds.consent_store import NAME
from tests.worlds.consents import ACCESS_TOKEN, NOW, ConsentWorld
from token_refresh.core.access_token import build_document
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import Refreshed

FIELDS = {
    "name",
    "provider",
    "owner",
    "state",
    "reason",
    "since",
    "version",
    "access_token_expires_at",
    "next_attempt_at",
    "overdue",
    "cannot_keep_fresh",
    "consent_url",
}


def listed(world: ConsentWorld) -> list[dict[str, Any]]:
    response = world.browser.get("/status", headers={"Accept": "application/json"})
    assert response.status_code == 200
    rows: list[dict[str, Any]] = response.get_json()["connections"]
    return rows


def page(world: ConsentWorld, query: str = "") -> str:
    response = world.browser.get("/status" + query, headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 200
    return response.get_data(as_text=True)


def words(html: str) -> str:
    """Return what a reader sees."""
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", "", html.partition('<div class="content">')[2].partition("<script>")[0])
    )


def give_token(world: ConsentWorld, secret_id: str = f"{NAME}-access-token", version: int = 1) -> None:
    refreshed = Refreshed(Secret(ACCESS_TOKEN), int(NOW) + 1800)
    if secret_id not in world.store.cloud.secrets:
        world.store.create(secret_id)
    document = build_document(refreshed, connection=NAME, connection_version=version, now=int(NOW) - 1800)
    world.store.add(secret_id, document)


def make_healthy(world: ConsentWorld) -> None:
    world.store.note("status", None)
    give_token(world)


JSON = {"Accept": "application/json"}
HOUR = 3600


def asked(world: ConsentWorld, query: str) -> dict[str, Any]:
    response = world.browser.get(f"/status?{query}", headers=JSON)
    assert response.status_code == 200
    answer: dict[str, Any] = response.get_json()
    return answer


def refreshed(world: ConsentWorld, ago: float, life: int = HOUR, name: str = NAME) -> None:
    """Let the access token be one that was refreshed so many seconds ago."""
    now = int(world.clock.now - ago)
    secret_id = f"{name}-access-token"
    if secret_id not in world.store.cloud.secrets:
        world.store.create(secret_id)
    reply = Refreshed(Secret("canary-access-token"), now + life)
    world.store.add(secret_id, build_document(reply, connection=name, connection_version=1, now=now))
