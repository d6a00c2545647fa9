"""docs/invalid-grant.md says what the product does: its tables are held against recorded replies and the judgement."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from token_refresh.core.http import HttpReply
from token_refresh.core.incident.events import REMEDIES
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import Asked, GrantKind, classify_reply
from token_refresh.core.token_endpoint.outcome import ClientRejected
from token_refresh.providers import load_providers

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "invalid-grant.md").read_text()
REPLIES = ROOT / "tests" / "replies"
KEYS = {"Microsoft Entra": "microsoft"}


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n{heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def recorded(provider: str) -> list[tuple[str, str]]:
    """List what a provider's recorded replies say, and what is made of it."""
    found = []
    for path in REPLIES.glob(f"{provider}.*.json"):
        data = json.loads(path.read_text())
        expected = data["expect"]
        body = data["reply"].get("body")
        says = "\n".join(str(value) for value in body.values()) if isinstance(body, dict) else ""
        found.append((says, "later" if expected["outcome"] == "Unavailable" else expected.get("reason", "")))
    return found


@pytest.mark.parametrize(
    ("provider", "says", "here"),
    [(row[0], row[1].strip("`"), row[4].strip("`")) for row in rows("## The ten next")],
)
def test_what_a_provider_says_is_recorded_and_judged_so(provider: str, says: str, here: str) -> None:
    replies = recorded(KEYS.get(provider, provider.lower()))
    judged = [made for said, made in replies if says in said.splitlines() or says in said]
    assert judged, f"no recorded reply of {provider} says {says!r}"
    assert here in judged


def test_ten_providers_are_told_apart() -> None:
    assert len({row[0] for row in rows("## The ten next")}) == 10


@pytest.mark.parametrize(
    ("says", "here"), [(row[0].strip("`"), row[3].strip("`")) for row in rows("### Service accounts")]
)
def test_an_assertions_fault_is_named(says: str, here: str) -> None:
    body = json.dumps({"error": "invalid_grant", "error_description": says}).encode()
    asked = Asked(1_800_000_000, (Secret("x"),), kind=GrantKind.SERVICE_ACCOUNT)
    outcome = classify_reply(HttpReply(400, {}, body), load_providers(None)["google"], asked)
    assert isinstance(outcome, ClientRejected)
    assert outcome.reason == here


def test_every_reason_of_the_google_table_is_one_that_events_know() -> None:
    unknown = {row[3].strip("`") for row in rows("## Google")} - set(REMEDIES)
    assert not unknown


@pytest.mark.parametrize(("cause", "how"), [(row[0], row[1]) for row in rows("## Google")])
def test_googles_own_words_are_recorded(cause: str, how: str) -> None:
    said = "\n".join(says for says, _ in recorded("google"))
    for word in re.findall(r"`([a-z_]+)`", how):
        if word not in ("error_subtype", "refresh_token_expires_in", "rapt_required"):
            assert word in said or word in ("access_type", "prompt"), f"{cause}: {word}"


def test_links_lead_somewhere() -> None:
    for page in ("invalid-grant", "consumers", "which-one"):
        text = (ROOT / "docs" / f"{page}.md").read_text()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (ROOT / "docs" / target).resolve().exists(), f"{page}: {target}"
