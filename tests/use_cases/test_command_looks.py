"""`token-refresh list`, `explain` and `providers list`: the schedule, what it cannot keep, several projects."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.fakes.instance import FakeLinks, FakePublisher, FakeStore, build_provider
from token_refresh.cli.app import app
from token_refresh.cli.session import Session
from token_refresh.errors import StoreDenied
from token_refresh.overview import Overview

KNOWN = {"google": build_provider("google", rotates="never")}


def run(*arguments: str, **environ: str) -> Result:
    environment = {"GOOGLE_CLOUD_PROJECT": "one", "RUN_EVERY": "", **environ}
    return CliRunner().invoke(app, arguments, env=environment, prog_name="token-refresh")


def read(*arguments: str, **environ: str) -> dict[str, Any]:
    result = run(*arguments, "--json", **environ)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


class Projects(dict[str, FakeStore]):
    """The secrets of each project that there is; the command sees them with the rights of whoever types it."""

    def add(self, project: str, name: str, life: float = 3600, ago: float = 10) -> None:
        """Declare a connection whose token was refreshed so many seconds ago."""
        store = self.setdefault(project, FakeStore(time.time))
        store.create_connection(name, "some-token", provider="google")
        refreshed_at = time.time() - ago
        document = {"expires_at": refreshed_at + life, "refreshed_at": refreshed_at, "connection_version": "1"}
        store.put(f"{name}-access-token", json.dumps(document))

    def parts_of(self, session: Session) -> Any:
        store = self[session.settings.project]
        overview = Overview(store, FakePublisher(), KNOWN, FakeLinks(), session.settings, time.time)
        return SimpleNamespace(overview=overview)


@pytest.fixture
def projects(monkeypatch: pytest.MonkeyPatch) -> Projects:
    projects = Projects()
    monkeypatch.setattr(Session, "parts", property(projects.parts_of))
    return projects


# -- what the schedule cannot keep fresh -------------------------------------------------------------------------------


def test_list_does_not_call_healthy_what_cannot_be_kept_fresh(projects: Projects) -> None:
    projects.add("one", "mail")
    projects.add("one", "short", life=300)
    done = run("list")
    assert done.exit_code == 0
    assert done.stdout.startswith("NAME ")
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["short", "mail"], "what needs a hand is first"
    assert "cannot_keep_fresh" in done.stdout.splitlines()[1]
    assert "healthy" in done.stdout.splitlines()[2]
    assert done.stderr == "Runs are taken to come every 300 s: --run-every, or RUN_EVERY\n"
    document = read("list")
    assert document["run_every"] == 300
    assert [(c["name"], c["state"], c["cannot_keep_fresh"]) for c in document["connections"]] == [
        ("short", "healthy", True),
        ("mail", "healthy", False),
    ]


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        pytest.param(("--run-every", "60"), {}, id="the option"),
        pytest.param((), {"RUN_EVERY": "60"}, id="the environment"),
        pytest.param(("--run-every", "60"), {"RUN_EVERY": "300"}, id="the option outranks the environment"),
    ],
)
def test_a_deployment_that_runs_each_minute_is_not_called_unfit(
    projects: Projects, arguments: tuple[str, ...], environ: dict[str, str]
) -> None:
    projects.add("one", "short", life=300)
    done = run("list", *arguments, **environ)
    assert done.stdout.splitlines()[1].split()[:3] == ["short", "google", "healthy"]
    assert done.stderr == "", "nothing depends on it"
    said = read("explain", "short", *arguments, **environ)
    assert (said["standing"], said["cannot_keep_fresh"], said["run_every"]) == ("healthy", False, 60)
    assert read("list", *arguments, **environ)["run_every"] == 60


def test_explain_says_which_schedule_it_has_assumed(projects: Projects) -> None:
    projects.add("one", "short", life=300)
    done = run("explain", "short")
    assert done.stdout.startswith("short: cannot_keep_fresh\n  why    Runs come every 5 min (RUN_EVERY), and it is")
    assert "  fix    Let runs come more often than every 2.5 min: " in done.stdout
    assert "every 300 s: --run-every" in done.stderr
    assert read("explain", "short")["run_every"] == 300


@pytest.mark.parametrize("arguments", [("list",), ("explain", "x"), ("providers", "list")], ids=" ".join)
def test_help_says_how_to_tell_the_schedule(arguments: tuple[str, ...]) -> None:
    said = run(*arguments, "--help").stdout
    assert "--run-every SECONDS" in said
    assert "(RUN_EVERY, else 300)" in " ".join(said.split())


@pytest.mark.parametrize("nonsense", ["0", "-60", "often", "nan"])
def test_a_schedule_that_cannot_be_is_wrong_use(nonsense: str) -> None:
    assert run("list", "--run-every", nonsense).exit_code == 2


# -- several projects --------------------------------------------------------------------------------------------------

TWO = ("--project", "shard-1", "--project", "shard-2")


@pytest.fixture
def shards(projects: Projects) -> Projects:
    projects.add("shard-1", "mail")
    projects.add("shard-1", "late", ago=7 * 3600)
    projects.add("shard-2", "mail")
    projects.add("shard-2", "short", life=300)
    return projects


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("list", *TWO), id="after the subcommand"),
        pytest.param((*TWO, "list"), id="before it"),
        pytest.param((*TWO, "list", *TWO, "--project", "shard-1"), id="both, and one of them again"),
    ],
)
@pytest.mark.usefixtures("shards")
def test_list_shows_several_projects_as_one_list_with_what_needs_attention_first(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    cells = [line.split() for line in done.stdout.splitlines()]
    assert cells[0][:3] == ["PROJECT", "NAME", "PROVIDER"]
    assert [(c[0], c[1], c[3]) for c in cells[1:]] == [
        ("shard-1", "late", "overdue"),
        ("shard-2", "short", "cannot_keep_fresh"),
        ("shard-1", "mail", "healthy"),
        ("shard-2", "mail", "healthy"),
    ]
    document = read(*arguments)
    assert [(c["project"], c["name"]) for c in document["connections"]] == [(c[0], c[1]) for c in cells[1:]]
    assert (document["run_every"], document["unreachable"]) == (300, [])


@pytest.mark.parametrize("arguments", [("--project", "shard-1"), ("--project", "shard-1") * 2, ("--project", "")])
@pytest.mark.usefixtures("shards")
def test_one_project_is_listed_as_ever(arguments: tuple[str, ...]) -> None:
    done = run("list", *arguments, GOOGLE_CLOUD_PROJECT="shard-1")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["NAME", "late", "mail"]
    document = read("list", *arguments, GOOGLE_CLOUD_PROJECT="shard-1")
    assert document.keys() == {"run_every", "connections"}
    assert all("project" not in row for row in document["connections"])


def test_a_project_that_cannot_be_reached_says_so_and_the_others_are_listed(shards: Projects) -> None:
    shards["shard-1"].faults.fail("list_connections", StoreDenied("cannot list secrets: permission denied"), times=9)
    done = run("list", *TWO)
    assert done.exit_code == 3
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [["shard-2", "short"], ["shard-2", "mail"]]
    assert "Error: shard-1: cannot list secrets: permission denied" in done.stderr
    result = run("list", *TWO, "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["unreachable"] == [{"project": "shard-1", "error": "cannot list secrets: permission denied"}]
    assert {row["project"] for row in document["connections"]} == {"shard-2"}


def test_where_no_project_can_be_reached_nothing_is_listed_and_each_says_so(shards: Projects) -> None:
    for store in shards.values():
        store.faults.fail("list_connections", times=9)
    done = run("list", *TWO)
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.count("cannot list_connections: injected") == 2


def test_projects_without_a_connection_say_how_to_begin(projects: Projects) -> None:
    projects["shard-1"], projects["shard-2"] = FakeStore(time.time), FakeStore(time.time)
    done = run("list", *TWO)
    assert (done.exit_code, done.stdout) == (0, "There is no connection yet: token-refresh import FILE --name NAME\n")


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "mail"),
        ("check", "mail"),
        ("refresh", "mail"),
        ("revoke", "mail", "--url", "http://127.0.0.1:9"),
        ("link", "mail", "--url", "http://127.0.0.1:9"),
        ("import", "-", "--name", "mail"),
        ("providers", "list"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("is_before", [True, False], ids=["before it", "after it"])
@pytest.mark.usefixtures("shards")
def test_any_other_command_takes_one_project(command: tuple[str, ...], *, is_before: bool) -> None:
    done = run(*(TWO if is_before else ()), *command, *(() if is_before else TWO))
    assert done.exit_code == 2
    assert "takes one --project: only `list` takes several" in done.stderr


# -- what the schedule can keep of each provider -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        pytest.param((), ["exact-online", "keycloak", "sage", "snowflake"], id="five minutes"),
        pytest.param(("--run-every", "60"), ["exact-online"], id="a minute"),
    ],
)
def test_providers_list_names_those_whose_tokens_the_schedule_cannot_keep_fresh(
    arguments: tuple[str, ...], names: list[str]
) -> None:
    providers = read("providers", "list", *arguments)["providers"]
    assert [one["name"] for one in providers if one["cannot_keep_fresh"]] == names


def test_providers_list_shows_the_life_and_what_it_takes_without_a_project() -> None:
    lines = run("providers", "list", GOOGLE_CLOUD_PROJECT="").stdout.splitlines()
    assert lines[0].endswith("TOKEN LIFE  FRESH BY RUNS EVERY 300 S")
    said = {line.split()[0]: line for line in lines}
    assert said["google"].endswith("3600 s      yes")
    assert said["sage"].endswith("300 s       no: runs more often than every 150 s")
    assert said["exact-online"].endswith("600 s       no: no schedule is often enough")
    assert read("providers", "list", GOOGLE_CLOUD_PROJECT="")["run_every"] == 300
