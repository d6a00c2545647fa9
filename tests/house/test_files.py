"""What holds of every Python file, tests included: short, named after what it holds, and imported by its full name."""

from __future__ import annotations

import ast
import subprocess
from collections import Counter
from pathlib import Path

from tests.house.modules import ROOT, imports_of

MOST_LINES = 300
# Names that say nothing of what is in there (CONTRIBUTING.md).
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def python_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


FILES = python_files()


def test_no_file_is_too_long() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    parts = {part.removesuffix(".py") for path in FILES for part in path.relative_to(ROOT).parts}
    assert not parts & NO_NAMES


def test_no_import_is_relative() -> None:
    relative = [
        path.relative_to(ROOT).as_posix()
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_what_tests_share_does_not_stand_in_a_test_file() -> None:
    borrowed = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in FILES
        for module in imports_of(path)
        if module.startswith("tests.") and module.rpartition(".")[2].startswith("test_")
    }
    assert borrowed == set()


def test_no_two_worlds_have_one_name() -> None:
    worlds = Counter(
        node.name
        for path in FILES
        if path.is_relative_to(ROOT / "tests/worlds")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in worlds.items() if count > 1] == []
