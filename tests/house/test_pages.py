"""The pages say what the code does, and every link in them leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.house.pages import ROOT, marked, settings_table

SKIPPED = {"node_modules", ".git", ".venv", ".venv-infra", "build", ".pytest_cache", ".hypothesis", ".terraform"}
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts)
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        repeated = next((n for n in range(1, 50) if f"{anchor}-{n}" not in found), 0)
        found.add(f"{anchor}-{repeated}" if anchor in found else anchor)
    return found


# A file of the repository, by its way from the root; and what is named that nobody commits.
NAMED = re.compile(
    r"(?<![\w./-])(?:tests|token_refresh|infra|docs|examples)/[\w./-]+\.(?:py|md|toml|tf|json|yaml|html|css|txt|go|js|sh)\b"
)
NOT_COMMITTED = {
    "infra/.terraform/modules.json": "Terraform writes it",
    "tests/replies/acme.dead.json": "the example of a new provider",
    "tests/replies/acme.success.json": "the example of a new provider",
}


def test_the_page_on_settings_shows_every_one_with_its_default() -> None:
    assert marked("docs/settings.md", "settings") == settings_table()


def test_the_page_on_providers_shows_every_built_in_one() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "token_refresh.providers", "list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert marked("docs/providers.md", "providers") == listed.stdout
    count = len(listed.stdout.splitlines()) - 2
    assert f"{count} providers are built in" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_can_be_read_in_ten_minutes() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 220


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    path = ROOT / page
    text = re.sub(r"`[^`\n]*`", "", CODE.sub("", path.read_text(encoding="utf-8")))
    dead = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert not dead, f"{page}: {dead}"


def test_every_file_that_is_named_exists() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = {
        name: (ROOT / name).read_text(encoding="utf-8", errors="replace")
        for name in listed.split("\0")
        if name.endswith((".py", ".md", ".toml", ".tf", ".yaml")) and (ROOT / name).is_file()
    }
    named = {(path, name) for name, text in texts.items() for path in NAMED.findall(text)}
    # Terraform's modules and examples are named by their way from infra.
    gone = {pair for pair in named if not (ROOT / pair[0]).exists() and not (ROOT / "infra" / pair[0]).exists()}
    here = "tests/house/test_pages.py"
    assert sorted(pair for pair in gone if pair[0] not in NOT_COMMITTED) == []
    assert {path for path, name in gone if name != here} == set(NOT_COMMITTED)


def test_every_file_that_the_page_on_the_architecture_names_exists() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([\w/-]+(?:/|\.(?:py|toml|md)))`", text) if not name.startswith("tests/")}
    assert len(named) > 40
    there = [f"/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "token_refresh").rglob("*")]
    there += [f"{name}/" for name in there] + ["/main.py", "/docs/decisions.md"]
    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in there)] == []
