"""Every refusal: a status that means something, words without jargon, and a way forward."""

from __future__ import annotations

import re

import pytest

from token_refresh.words import Button, load_refusals

REFUSALS = load_refusals()
JARGON = ("grant", "refresh token", "access token", "client id", "scope", "consent screen", "session control", "state")
PLACEHOLDERS = {"asker", "provider", "owner", "wait"}


@pytest.mark.parametrize("reason", REFUSALS)
def test_every_refusal_names_the_way_forward(reason: str) -> None:
    refusal = REFUSALS[reason]
    assert refusal.status in (200, 403, 404, 405, 414, 429, 500, 502, 503)
    assert refusal.title
    assert refusal.happened.endswith(".")
    assert refusal.way_forward.endswith(".")
    assert isinstance(refusal.button, Button)
    assert refusal.tone in ("warn", "calm", "good")


@pytest.mark.parametrize("reason", REFUSALS)
def test_no_refusal_speaks_of_what_owners_do_not_know(reason: str) -> None:
    refusal = REFUSALS[reason]
    text = f"{refusal.title} {refusal.happened} {refusal.way_forward}".lower()
    assert not [word for word in JARGON if re.search(rf"\b{word}\b", text)]
    assert set(re.findall(r"{(\w+)}", text)) <= PLACEHOLDERS


@pytest.mark.parametrize("reason", REFUSALS)
def test_no_refusal_promises_what_may_not_come(reason: str) -> None:
    refusal = REFUSALS[reason]
    assert "wait for the next message" not in f"{refusal.happened} {refusal.way_forward}".lower()
