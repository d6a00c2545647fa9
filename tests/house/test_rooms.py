"""The examples in the rooms' README files run, and print what their comments say."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from tests.house.pages import ROOT

ROOMS = ("core", "connections", "run")


@pytest.mark.parametrize("room", ROOMS)
def test_the_example_of_a_room_prints_what_it_says(room: str) -> None:
    text = (ROOT / "token_refresh" / room / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    said = re.findall(r"^print\(.*\)  # (.*)$", example, re.MULTILINE)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, f"token_refresh/{room}/README.md", "exec"), {})
    assert printed.getvalue().splitlines() == said
    assert said
