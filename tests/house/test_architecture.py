"""The house as DESIGN has it: who may import whom, and what is built when."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.house.modules import FILES, ROOT, imports_of

# The floors, the highest first: a room imports from floors below its own, and from no other room on it.
FLOORS = (
    {"main", "cli"},
    {"wiring"},
    {"web"},
    {"run", "consent", "notify", "overview", "risc"},
    {"refresh"},
    {"connections", "token_endpoint", "providers"},
    {"instance"},
    {"ports", "settings", "words"},
    {"core"},
    {"errors"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Adapters stand beside the house: they see what they fulfil, and are seen by those who put parts together.
SEEN_BY_ADAPTERS = {"ports", "settings", "core", "errors"}
PUT_TOGETHER = {"main", "cli", "wiring"}
# Adapters, and main, the adapter of the functions framework, import libraries. Of the other rooms only these do.
LIBRARIES = {"wiring": {"google"}, "cli": {"click", "google"}, "web": {"flask", "jinja2", "markupsafe", "werkzeug"}}
# What the core may not import: I/O, clock, environment, randomness, logging.
IMPURE = {
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
READ_THE_ENVIRONMENT = ("main", "token_refresh.wiring")
# A cold start waits for every import: what is not there when main is imported, and what a refresher never needs.
NOT_FOR_MAIN = ("google.cloud.secretmanager_v1", "google.cloud.logging_v2", "google.auth", "grpc", "requests")
NOT_FOR_THE_FIRST_RUN = ("google.cloud.pubsub_v1", "apprise", "jwt")
NOT_FOR_A_REFRESHER = (
    "consent.reconsent",
    "web.consent",
    "web.status",
    "web.token",
    "web.risc",
    "overview",
    "notify",
    "cli",
)


def room_of(module: str) -> str:
    """Return which room of the house a module is in. What is run by itself is part of the command."""
    if module == "main" or module.endswith(".__main__"):
        return module if module == "main" else "cli"
    return module.split(".")[1] if "." in module else "token_refresh"


def core_room_of(module: str) -> str:
    return module.split(".")[2] if module.count(".") > 1 else "core"


def may_import(room: str, other: str) -> bool:
    if room == other:
        return True
    if room == "adapters":
        return other in SEEN_BY_ADAPTERS
    if other == "adapters":
        return room in PUT_TOGETHER
    return FLOOR[room] < FLOOR[other]


def inner_imports(module: str) -> list[str]:
    inner = [m for m in imports_of(FILES[module]) if m.split(".")[0] == "token_refresh"]
    return [m for m in inner if m != "token_refresh"]


def libraries_of(module: str) -> set[str]:
    """Return what a module imports that is neither ours nor Python's own."""
    roots = {m.split(".")[0] for m in imports_of(FILES[module])}
    return roots - {"token_refresh", *sys.stdlib_module_names}


def find_circle(arrows: dict[str, set[str]]) -> list[str]:
    """Return a way that leads back to where it began; empty when there is none."""
    done: set[str] = set()

    def walk(room: str, way: list[str]) -> list[str]:
        if room in way:
            return [*way[way.index(room) :], room]
        if room in done:
            return []
        for other in sorted(arrows.get(room, ())):
            circle = walk(other, [*way, room])
            if circle:
                return circle
        done.add(room)
        return []

    return next((circle for room in sorted(arrows) if (circle := walk(room, []))), [])


@pytest.mark.parametrize("module", FILES)
def test_every_module_has_a_floor(module: str) -> None:
    assert room_of(module) in {*FLOOR, "adapters", "token_refresh"}


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down_only(module: str) -> None:
    wrong = [m for m in inner_imports(module) if not may_import(room_of(module), room_of(m))]
    assert not wrong, f"{module} imports {wrong}"


def test_no_circle_leads_through_files() -> None:
    assert find_circle({module: set(inner_imports(module)) & set(FILES) - {module} for module in FILES}) == []


def test_no_circle_leads_through_the_rooms_of_the_core() -> None:
    arrows: dict[str, set[str]] = {}
    for module in (m for m in FILES if room_of(m) == "core"):
        others = {core_room_of(m) for m in inner_imports(module) if room_of(m) == "core"}
        arrows.setdefault(core_room_of(module), set()).update(others - {core_room_of(module)})
    assert find_circle(arrows) == []


def test_a_circle_is_found() -> None:
    assert find_circle({"a": {"b"}, "b": {"c", "d"}, "d": {"b"}}) == ["b", "d", "b"]


@pytest.mark.parametrize("module", [m for m in FILES if room_of(m) not in ("adapters", "main")])
def test_only_adapters_import_the_libraries_of_the_outside(module: str) -> None:
    wrong = libraries_of(module) - LIBRARIES.get(room_of(module), set())
    assert not wrong, f"{module} imports {wrong}"


def test_a_room_that_may_import_a_library_does() -> None:
    used = {room: [libraries_of(m) for m in FILES if room_of(m) == room] for room in LIBRARIES}
    assert {room: set().union(*libraries) for room, libraries in used.items()} == LIBRARIES


@pytest.mark.parametrize("module", [m for m in FILES if room_of(m) in ("core", "errors")])
def test_the_core_is_pure(module: str) -> None:
    roots = {m.split(".")[0] for m in imports_of(FILES[module])} - {"token_refresh"}
    assert roots <= sys.stdlib_module_names
    assert not IMPURE & set(imports_of(FILES[module])), "no I/O, clock, environment, randomness or logging"


@pytest.mark.parametrize("module", [m for m in FILES if m not in READ_THE_ENVIRONMENT])
def test_the_environment_is_read_in_one_place(module: str) -> None:
    source = FILES[module].read_text()
    assert "environ[" not in source
    assert "getenv" not in source


_NOTHING_BUILT = f"""
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
for name in {NOT_FOR_MAIN}:
    assert name not in sys.modules, name + " was imported"

import google.auth
from google.auth.credentials import AnonymousCredentials
google.auth.default = lambda *_, **__: (AnonymousCredentials(), "some-project")
socket.socket.connect = refuse
built = wiring.parts({{"GOOGLE_CLOUD_PROJECT": "some-project"}})
built.runner
for other in {NOT_FOR_A_REFRESHER}:
    assert "token_refresh." + other not in sys.modules, other + " was imported by a refresher"
for heavy in {NOT_FOR_THE_FIRST_RUN}:
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


def test_what_these_rules_name_exists() -> None:
    """A rule about a room that has moved holds nothing: it must name the room where it is now."""
    rooms = {room_of(module) for module in FILES} - {"token_refresh"}
    assert rooms == {*FLOOR, "adapters"}
    assert {*SEEN_BY_ADAPTERS, *PUT_TOGETHER} <= rooms
    assert {f"token_refresh.{name}" for name in NOT_FOR_A_REFRESHER} <= FILES.keys()
    assert set(READ_THE_ENVIRONMENT) <= FILES.keys()
    assert {*sys.stdlib_module_names, "urllib.request"} >= IMPURE
    assert [name for name in (*NOT_FOR_MAIN, *NOT_FOR_THE_FIRST_RUN) if find_spec(name) is None] == []
