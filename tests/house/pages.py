"""Tables that pages of the documentation and the code share."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from token_refresh.core.secrecy import Secret
from token_refresh.settings import Settings

ROOT = Path(__file__).parents[2]


def marked(page: str, name: str) -> str:
    """Return what a page has between the markers of that name."""
    found = re.search(
        rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    )
    assert found, f"{page} has no section {name}"
    return found[1]


def settings_defaults() -> Iterator[tuple[str, str]]:
    """Yield each environment variable and how its default is written."""
    for field in fields(Settings):
        yield field.metadata["env"], _written(field.name, field.default)


def settings_table() -> str:
    """Render the table of all settings."""
    help_of = {field.metadata["env"]: field.metadata["help"] for field in fields(Settings)}
    lines = ["| variable | default | |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {default} | {help_of[name]} |" for name, default in settings_defaults()]
    return "\n".join(lines) + "\n"


def _written(name: str, default: object) -> str:
    if name == "run_seconds":
        return "0.95 x `RUN_EVERY`"
    if name == "consent_warnings":
        return "`7d,1d`"
    if isinstance(default, float):
        return f"`{int(default)}`"
    return "unset" if isinstance(default, Secret) or not default else f"`{default}`"


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of that language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [textwrap.dedent(b) for b in re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]
