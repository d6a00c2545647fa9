"""Where the secrets are, and the commands and links that people need there. No command carries a secret."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from token_refresh.core.connection import LABEL, LABEL_PROVIDER, PREFIX, SUFFIX, Connection, access_token_secret
from token_refresh.core.overview.row import Standing

_CONSOLE: Final = "https://console.cloud.google.com"
_LOG_HOURS: Final = 6
_EXAMPLE: Final = "gmail-alice"


@dataclass(frozen=True, slots=True)
class Place:
    """The project of the secrets, and the location of regional ones (empty = global)."""

    project: str
    location: str = ""

    @property
    def region(self) -> str:
        """Return what people call the location."""
        return self.location or "global"


@dataclass(frozen=True, slots=True)
class Command:
    """A line for a shell, and what it does in a few words."""

    does: str
    line: str


def build_secret_url(place: Place, secret_id: str) -> str:
    """Build the link to a secret in Google's console; regional secrets are found by way of the list."""
    query = urlencode({"project": place.project})
    if place.location:
        return f"{_CONSOLE}/security/secret-manager?{query}"
    return f"{_CONSOLE}/security/secret-manager/secret/{quote(secret_id, safe='')}/versions?{query}"


def build_logs_url(place: Place, connection: str = "") -> str:
    """Build the link to the log lines about one connection, or about the runs.

    https://cloud.google.com/logging/docs/view/building-queries#share: the query is a part of the path.
    """
    lines = [f"jsonPayload.connection={json.dumps(connection)}"] if connection else ['jsonPayload.event="run"']
    query = quote("\n".join(lines), safe="")
    return f"{_CONSOLE}/logs/query;query={query};duration=PT{_LOG_HOURS}H?{urlencode({'project': place.project})}"


def build_commands(connection: Connection, standing: Standing, place: Place) -> tuple[Command, ...]:
    """Build the commands for one connection, what its standing asks for first."""
    secret, token = connection.secret_id, connection.access_token_secret_id
    add = Command("Add a grant by hand", _gcloud(place, "secrets versions add", secret, "--data-file=grant.json"))
    read = Command("Read the access token", _gcloud(place, "secrets versions access latest", f"--secret={token}"))
    if standing == Standing.PAUSED:
        return (Command("Resume it", _update(place, secret, f"labels={LABEL}=enabled")), add, read)
    lacks_owner = standing == Standing.NEEDS_CONSENT and not connection.owner and not connection.subject
    first = []
    if standing == Standing.REJECTED:
        mend = _gcloud(place, "secrets versions add", connection.client_secret_id, "--data-file=client_secret.json")
        first = [Command("Mend the client registration", mend)]
    elif standing == Standing.MISCONFIGURED or lacks_owner:
        annotate = _update(place, secret, f"annotations={PREFIX}owner=alice@example.com")
        first = [Command("Set or correct an annotation", annotate)]
    elif standing == Standing.UNREADABLE:
        first = [Command("See who may read the access token", _gcloud(place, "secrets get-iam-policy", token))]
    return (*first, add, read, Command("Pause it", _update(place, secret, f"labels={LABEL}=paused")))


def build_first_steps(place: Place) -> tuple[Command, ...]:
    """Build the three commands that an empty project begins with."""
    labels = f"--labels={LABEL}=enabled,{LABEL_PROVIDER}=google"
    annotations = (
        f"--set-annotations={PREFIX}owner=alice@example.com,"
        f"{PREFIX}scopes=openid email https://www.googleapis.com/auth/gmail.readonly"
    )
    return (
        Command(
            "Keep the OAuth client that the provider gave you",
            _gcloud(place, "secrets create oauth-client-google --data-file=client_secret.json"),
        ),
        Command(
            "Make room for the access token that your jobs will read",
            _gcloud(place, "secrets create", access_token_secret(_EXAMPLE)),
        ),
        Command(
            "Declare the connection: owner, scopes, and the label that makes it one",
            _gcloud(place, "secrets create", _EXAMPLE + SUFFIX, labels, annotations),
        ),
    )


def build_scheduler_commands(place: Place) -> tuple[Command, ...]:
    """Build the commands that tell why there is no run; the region is the functions', which only people know."""
    project, job = Place(place.project), ("token-refresh", f"--location={place.location or 'REGION'}")
    return (
        Command("See whether the Scheduler job is on", _gcloud(project, "scheduler jobs describe", *job)),
        Command("Switch it on", _gcloud(project, "scheduler jobs resume", *job)),
    )


def build_grant_command(place: Place) -> Command:
    """Build the command that lets the status page list the secrets."""
    member = f"serviceAccount:token-refresh-status@{place.project}.iam.gserviceaccount.com"
    role = f"--role=projects/{place.project}/roles/token_refresh_lister"
    words = ["gcloud", "projects", "add-iam-policy-binding", place.project, f"--member={member}", role]
    line = shlex.join([*words, "--condition=None"])
    return Command("Let this page's service account list the secrets", line)


def _update(place: Place, secret_id: str, change: str) -> str:
    return f"{_gcloud(place, 'secrets update', secret_id)} --update-{change}"


def _gcloud(place: Place, command: str, *more: str) -> str:
    location = [f"--location={place.location}"] if place.location else []
    return shlex.join(["gcloud", *command.split(), *more, f"--project={place.project}", *location])
