"""What every subcommand has: project and location, the parts, a way to speak, and the meaning of each fault.

Exit codes (contract 11): 0 done, 1 the answer is no, 2 wrong use, 3 cannot reach or not allowed.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn, TypeVar

import click
from google.auth.exceptions import GoogleAuthError

from token_refresh.adapters.secret_admin import SecretAdmin
from token_refresh.adapters.secret_manager_client import build_client, parent_of
from token_refresh.core.incident.moments import render_moment
from token_refresh.core.provider.definition import Provider
from token_refresh.errors import (
    BadEnvironment,
    PublishError,
    SecretMissing,
    StoreError,
    TokenRefreshError,
    TransportError,
)
from token_refresh.providers import load_providers
from token_refresh.settings import Settings, read_settings
from token_refresh.wiring import Parts, project_of_credentials

NO: Final = 1
WRONG_USE: Final = 2
UNREACHABLE: Final = 3
CANNOT: Final = (StoreError, PublishError, TransportError, GoogleAuthError)
F = TypeVar("F", bound=Callable[..., Any])
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))
_LONGEST: Final = 1e11


class Stop(click.ClickException):
    """End with an exit code and a message that names the next command."""

    def __init__(self, message: str, code: int = NO) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click declares it for the class


def no_connection(name: str) -> Stop:
    """Say that there is no such connection."""
    return Stop(f"there is no connection {name}: token-refresh list")


@dataclass
class Session:
    """One call of the command. `environ` is the environment; options outrank it.

    Of several `projects` each has a session of its own (`each_project`); a command that takes one has one at most.
    """

    projects: tuple[str, ...] = ()
    location: str = ""
    as_json: bool = False
    run_every: float | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    has_shown: bool = False

    @functools.cached_property
    def settings(self) -> Settings:
        """Return the settings; raises `Stop` where no project is known."""
        if self.environment.project:
            return self.environment
        project = project_of_credentials()
        if not project:
            raise Stop("Which project? Say --project, or run `gcloud config set project PROJECT`", WRONG_USE)
        return replace(self.environment, project=project)

    @functools.cached_property
    def environment(self) -> Settings:
        """Return the settings as options and environment say them: perhaps without a project."""
        options = {
            "GOOGLE_CLOUD_PROJECT": next(iter(self.projects), ""),
            "SECRET_MANAGER_LOCATION": self.location,
            "RUN_EVERY": str(self.run_every or ""),
        }
        return read_settings({**self.environ, **{name: value for name, value in options.items() if value}})

    def each_project(self) -> Iterator[tuple[str, Session]]:
        """Yield each project that was named, with the session that is about it alone."""
        for project in self.projects:
            yield project, replace(self, projects=(project,))

    @functools.cached_property
    def known_providers(self) -> dict[str, Provider]:
        """Return the built-in providers and those of PROVIDERS_FILE."""
        return load_providers(self.environ.get("PROVIDERS_FILE") or None)

    @functools.cached_property
    def parts(self) -> Parts:
        """Return the parts that functions have, too: with the rights of the person at the terminal."""
        return Parts(self.settings, self.known_providers)

    @functools.cached_property
    def admin(self) -> SecretAdmin:
        """Return what only the command does to Secret Manager."""
        return SecretAdmin(build_client(self.settings), parent_of(self.settings))

    def show(self, document: object, lines: Sequence[str]) -> None:
        """Print the document with `--json`, else the lines."""
        click.echo(json.dumps(document, indent=2, ensure_ascii=False) if self.as_json else "\n".join(lines))
        self.has_shown = True

    def progress(self, line: str) -> None:
        """Say what is going on; standard output stays clean."""
        if not self.as_json:
            click.echo(line, err=True)


def command(function: F, *, takes_several: bool = False) -> F:
    """Give a subcommand the common options, the session, and exit codes for faults.

    `takes_several` projects: `--project` may be repeated.
    """
    of_project = "Project of the secrets (GOOGLE_CLOUD_PROJECT, else that of your credentials)"
    again = "; several: say it again for each" * takes_several

    @click.option("--project", "projects", multiple=True, help=f"{of_project}{again}.")
    @click.option("--location", help="Location of regional secrets (SECRET_MANAGER_LOCATION).")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.pass_context
    @functools.wraps(function)
    def run(
        ctx: click.Context,
        /,
        projects: tuple[str, ...],
        location: str | None,
        as_json: bool,  # noqa: FBT001
        **options: Any,
    ) -> Any:
        before: Session = ctx.find_object(Session) or Session()
        # The options of a subcommand outrank those before it.
        session = replace(
            before,
            projects=_each_once(projects) or _each_once(before.projects),
            location=location or before.location,
            as_json=as_json or before.as_json,
            run_every=options.pop("run_every", None),
        )
        try:
            if len(session.projects) > 1 and not takes_several:
                raise Stop(f"{ctx.command_path} takes one --project: only `list` takes several", WRONG_USE)  # noqa: TRY301
            return function(session, **options)
        except (TokenRefreshError, GoogleAuthError, Stop) as fault:
            _end(session, fault)

    return run  # type: ignore[return-value]


def with_schedule(function: F) -> F:
    """Give a subcommand an option for the deployment's schedule, which only its functions know."""
    return click.option(
        "--run-every",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="How often runs come: what is overdue, and what can be kept fresh, depends on it (RUN_EVERY, else 300).",
    )(function)


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write columns as wide as their longest cell."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]


def write_moment(moment: float | None, now: float | None = None) -> str:
    """Write epoch seconds in UTC, and how far that is from now; empty for None."""
    if moment is None:
        return ""
    now = time.time() if now is None else now
    at = render_moment(min(max(moment, 0), _LONGEST))
    return f"{at} ({f'in {write_span(moment - now)}' if moment > now else f'{write_span(now - moment)} ago'})"


def write_span(seconds: float) -> str:
    """Write a duration in its largest unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _each_once(projects: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, projects)))


def _end(session: Session, fault: Exception) -> NoReturn:
    stop = fault if isinstance(fault, Stop) else Stop(say_fault(fault), _code(fault))
    if session.as_json and not session.has_shown:  # one document, whatever the exit code
        click.echo(json.dumps({"error": stop.message, "exit_code": stop.exit_code}, ensure_ascii=False))
    raise stop


def _code(fault: Exception) -> int:
    if isinstance(fault, BadEnvironment):
        return WRONG_USE
    return UNREACHABLE if isinstance(fault, CANNOT) and not isinstance(fault, SecretMissing) else NO


def say_fault(fault: Exception) -> str:
    """Say what is wrong, and what to do about it where the fault's own words do not."""
    if isinstance(fault, GoogleAuthError):
        return "Google does not know who you are: run `gcloud auth application-default login`"
    return str(fault)
