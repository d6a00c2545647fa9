"""A secret is not printed, copied or serialised by accident, and is masked in other people's text."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from token_refresh.core.secrecy import Secret, redact, shown


@pytest.mark.parametrize(
    "printed",
    [
        pytest.param(repr(Secret("CANARY")), id="repr"),
        pytest.param(str(Secret("CANARY")), id="str"),
        pytest.param(f"{Secret('CANARY')}", id="format"),
        pytest.param(f"{Secret('CANARY'):>20}", id="format-with-a-width"),
        pytest.param(repr([Secret("CANARY")]), id="inside-a-list"),
    ],
)
def test_a_secret_prints_as_stars(printed: str) -> None:
    assert printed == printed.replace("CANARY", "")
    assert "***" in printed


def test_a_secret_is_neither_serialised_nor_pickled() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret("CANARY"))
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            leak(Secret("CANARY"))


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a")
    assert not Secret("")
    assert Secret("a").reveal() == "a"


@pytest.mark.parametrize(
    ("text", "secrets", "expected"),
    [
        pytest.param("Bad token abcde!", [Secret("abcde")], "Bad token ***!", id="masked"),
        pytest.param("abcdefgh", [Secret("abcde"), Secret("abcdefgh")], "***", id="longest-first"),
        pytest.param("the client", [Secret("the")], "the client", id="words-stay"),
        pytest.param("fine", [None], "fine", id="no-secret"),
    ],
)
def test_secrets_are_masked(text: str, secrets: list[Secret | None], expected: str) -> None:
    assert redact(text, secrets) == expected


def test_shown_text_is_one_short_line() -> None:
    assert shown("  a\r\n\tb\x00c\u2028 ") == "a b c"
    assert len(shown("x" * 2000)) == 500
    assert shown("x" * 2000, limit=3) == "xxx"
    assert shown("ends in CANARY", [Secret("CANARY")], limit=11) == "ends in ***"
