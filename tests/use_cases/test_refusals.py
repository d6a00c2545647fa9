"""Every refusal: a status that means something, words without jargon, and a way forward."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from token_refresh.core.consent.account import AccountFault
from token_refresh.words import Button, load_refusals

REFUSALS = load_refusals()
PACKAGE = Path(__file__).parents[2] / "token_refresh"
JARGON = ("grant", "refresh token", "access token", "client id", "scope", "consent screen", "session control", "state")
PLACEHOLDERS = {"asker", "provider", "owner", "wait"}


def test_every_reason_has_its_words_and_all_words_have_a_reason() -> None:
    """Reasons are text: one that is misspelt would end a consent without a page."""
    files = [*PACKAGE.glob("consent/*.py"), *PACKAGE.glob("core/consent/*.py"), PACKAGE / "web" / "consent.py"]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    calls = [n for n in nodes if isinstance(n, ast.Call) and getattr(n.func, "id", "") in ("Refused", "_refuse")]
    given = {n.value for call in calls for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant)}
    assert len(given) > 20
    assert {*given, *AccountFault} <= set(REFUSALS)
    assert set(REFUSALS) <= {n.value for n in nodes if isinstance(n, ast.Constant)}


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
