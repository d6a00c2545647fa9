"""The house as DESIGN has it: who may import whom, what is built when, and what never prints."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "token_refresh"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "main.py", *PACKAGE.rglob("*.py"))
}
# Libraries that only adapters may import; main is an adapter of the functions framework.
OUTSIDE = {
    "google",
    "google_crc32c",
    "grpc",
    "requests",
    "apprise",
    "jinja2",
    "itsdangerous",
    "cryptography",
    "flask",
    "jwt",
}


def imports_of(path: Path, *, at_import_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if at_import_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield from (f"{module}.{a.name}" if f"{module}.{a.name}" in FILES else module for a in node.names)


def room_of(module: str) -> str:
    """Return which room of the house a module is in; a use case is all that is not named here.

    A command puts parts together, as the wiring does for functions.
    """
    if module.endswith(".__main__") or module.startswith("token_refresh.cli"):
        return "token_refresh.wiring"
    if module in ("main", "token_refresh.wiring"):
        return module
    for room in ("core", "adapters", "web"):
        if module == f"token_refresh.{room}" or module.startswith(f"token_refresh.{room}."):
            return room
    if module in ("token_refresh.ports", "token_refresh.errors"):
        return module
    return "use case"


MAY_IMPORT = {
    "main": {
        "web",
        "token_refresh.wiring",
        "use case",
        "token_refresh.ports",
        "token_refresh.errors",
        "core",
    },
    # Pages and their answers: the part of main that a browser sees.
    "web": {"web", "adapters", "use case", "token_refresh.ports", "token_refresh.errors", "core"},
    "token_refresh.wiring": {
        "token_refresh.wiring",
        "adapters",
        "web",
        "use case",
        "token_refresh.ports",
        "token_refresh.errors",
        "core",
    },
    # Settings, and the documents that a page or an answer shows, are use cases' own.
    "adapters": {"adapters", "use case", "token_refresh.ports", "token_refresh.errors", "core"},
    "use case": {"use case", "token_refresh.ports", "token_refresh.errors", "core"},
    "token_refresh.ports": {"token_refresh.errors", "core"},
    "token_refresh.errors": set[str](),
    # A malformed request is told by the exception that main turns into a status.
    "core": {"core", "token_refresh.errors"},
}


@pytest.mark.parametrize("module", FILES)
def test_imports_point_inwards_only(module: str) -> None:
    inner = [m for m in imports_of(FILES[module]) if m.split(".")[0] == "token_refresh"]
    wrong = [m for m in inner if room_of(m) not in MAY_IMPORT[room_of(module)] and m != "token_refresh"]
    assert not wrong, f"{module} imports {wrong}"


@pytest.mark.parametrize("module", [m for m in FILES if room_of(m) not in ("adapters", "main")])
def test_only_adapters_import_the_libraries_of_the_outside(module: str) -> None:
    allowed = {"token_refresh.wiring": {"google"}, "web": {"flask", "jinja2"}}.get(room_of(module), set())
    wrong = {m for m in imports_of(FILES[module]) if m.split(".")[0] in OUTSIDE - allowed}
    assert not wrong, f"{module} imports {wrong}"


@pytest.mark.parametrize("module", [m for m in FILES if room_of(m) in ("core", "token_refresh.errors")])
def test_the_core_is_pure(module: str) -> None:
    roots = {m.split(".")[0] for m in imports_of(FILES[module])} - {"token_refresh"}
    assert roots <= sys.stdlib_module_names
    impure = {
        "time",
        "os",
        "random",
        "secrets",
        "uuid",
        "logging",
        "socket",
        "threading",
        "subprocess",
        "urllib.request",
    }
    assert not impure & set(imports_of(FILES[module])), "no I/O, clock, environment, randomness or logging"


@pytest.mark.parametrize("module", [m for m in FILES if m not in ("main", "token_refresh.wiring")])
def test_the_environment_is_read_in_one_place(module: str) -> None:
    source = FILES[module].read_text()
    assert "environ[" not in source
    assert "getenv" not in source


_NOTHING_BUILT = """
import os, socket, threading

class Unread(dict):
    def __getitem__(self, key): seen.append(key); return super().__getitem__(key)
    def get(self, key, default=None): seen.append(key); return super().get(key, default)

seen = []
def refuse(*args, **kwargs): raise AssertionError("a connection at import")
socket.socket.connect = refuse
before = threading.active_count()
import main
import token_refresh.wiring as wiring
assert wiring._parts is None, "parts were built"
assert threading.active_count() == before, "a thread was started"
import sys
for heavy in ("google.cloud.pubsub_v1", "apprise", "aiohttp", "jwt"):
    assert heavy not in sys.modules, heavy + " was imported"
"""


def test_nothing_is_built_when_main_is_imported() -> None:
    environ = {"PATH": os.environ["PATH"], "HTTP_TIMEOUT": "nonsense", "PROVIDERS_FILE": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", _NOTHING_BUILT],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_entry_points_are_plain_functions_and_there_is_no_other() -> None:
    tree = ast.parse((ROOT / "main.py").read_text())
    functions = {
        n.name: [ast.unparse(d) for d in n.decorator_list] for n in tree.body if isinstance(n, ast.FunctionDef)
    }
    entry_points = {name: d for name, d in functions.items() if any("functions_framework" in x for x in d)}
    assert entry_points == {
        "refresh": ["functions_framework.cloud_event"],
        "refresh_http": ["functions_framework.http"],
        "consent": ["functions_framework.http"],
        "notify": ["functions_framework.cloud_event"],
        "risc": ["functions_framework.http"],
        "status": ["functions_framework.http"],
        "token": ["functions_framework.http"],
    }


def test_secrets_are_revealed_only_where_they_leave() -> None:
    """`.reveal()` is greppable: the wire, the store, and the masking of other people's text."""
    revealing = {module for module, path in FILES.items() if ".reveal()" in path.read_text()}
    never = {"overview", "settings", "refresh.lease", "refresh.newest"}
    assert not revealing & {f"token_refresh.{name}" for name in never}
    assert not [module for module in revealing if module.startswith("token_refresh.run")]
    assert not revealing & {
        f"token_refresh.core.{n}" for n in ("policy", "verdict", "breaker", "incident", "events", "status")
    }
