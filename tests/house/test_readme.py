"""README.md says what the code does: its tables are rendered from the code."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from token_refresh.core.secrecy import Secret
from token_refresh.settings import Settings

README = Path(__file__).parents[2] / "README.md"


def section(name: str) -> str:
    found = re.search(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", README.read_text(), re.DOTALL)
    assert found, f"README.md has no section {name}"
    return found[1]


def _shown(name: str, default: object) -> str:
    if name == "run_seconds":
        return "0.95 x `RUN_EVERY`"
    if name == "consent_warnings":
        return "`7d,1d`"
    if isinstance(default, float):
        return f"`{int(default)}`"
    return "unset" if isinstance(default, Secret) or not default else f"`{default}`"


def settings_table() -> str:
    rows = ["| variable | default | |", "| --- | --- | --- |"]
    rows += [
        f"| `{f.metadata['env']}` | {_shown(f.name, f.default)} | {f.metadata['help']} |" for f in fields(Settings)
    ]
    return "\n".join(rows) + "\n"


def test_readme_shows_every_setting_with_its_default() -> None:
    assert section("settings") == settings_table()


def test_readme_shows_every_built_in_provider() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "token_refresh.providers", "list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert section("providers") == listed.stdout
