"""Every exception has its place: in the tree that the head of errors.py draws, or outside it with a reason."""

from __future__ import annotations

import ast
import re

from tests.house.modules import FILES

HEAD = ast.get_docstring(ast.parse(FILES["token_refresh.errors"].read_text())) or ""
ROOT = "TokenRefreshError"


def find_exceptions() -> dict[str, str]:
    """Return every exception class of the package, and what it is a kind of."""
    nodes = [node for path in FILES.values() for node in ast.walk(ast.parse(path.read_text()))]
    bases = {
        node.name: [ast.unparse(base).rpartition(".")[2] for base in node.bases]
        for node in nodes
        if isinstance(node, ast.ClassDef)
    }
    found: dict[str, str] = {}
    while more := {
        name: base
        for name in bases.keys() - found
        for base in bases[name]
        if base in found or base.endswith(("Error", "Exception"))
    }:
        found |= more
    return found


EXCEPTIONS = find_exceptions()


def is_in_the_tree(name: str) -> bool:
    return name == ROOT or name in EXCEPTIONS and is_in_the_tree(EXCEPTIONS[name])


def test_the_tree_is_drawn_as_it_grows() -> None:
    way, drawn = [ROOT], {}
    for branch, name in re.findall(r"^([│ ]*)[├└]── (\w+)", HEAD, re.MULTILINE):
        way[len(branch) // 4 + 1 :] = [name]
        drawn[name] = way[-2]
    assert drawn == {name: base for name, base in EXCEPTIONS.items() if is_in_the_tree(name) and name != ROOT}


def test_what_stands_outside_the_tree_has_its_reason() -> None:
    reasons = HEAD.partition("\n\nOutside the tree")[2]
    named = set(re.findall(r"`(\w+)`", reasons)) - {"ValueError"}
    assert named == {name for name in EXCEPTIONS if not is_in_the_tree(name)}
