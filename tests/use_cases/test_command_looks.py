"""`token-refresh list`, `explain` and `providers list`: what they say of the schedule, and of what it cannot keep."""

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
