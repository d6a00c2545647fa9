"""A connection: one resource owner x one OAuth client x one provider, declared by one labelled secret.

Labels and annotations are the spec, written by people; four annotations are the status, written by the functions.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from token_refresh.core.json_object import read_object
from token_refresh.core.provider.url import is_variable_value
from token_refresh.core.units import parse_durations

PREFIX: Final = "token-refresh."
LABEL: Final = "token-refresh"
LABEL_PROVIDER: Final = "token-refresh-provider"
SUFFIX: Final = "-refresh-token"
STATUS: Final = PREFIX + "status"
LEASE: Final = PREFIX + "lease"
ACCESS_TOKEN: Final = PREFIX + "access-token"
SUBJECT: Final = PREFIX + "subject"
CONSENTS: Final = PREFIX + "consents"
# As `token-refresh.owner`: the first to consent owns the connection.
ANYBODY: Final = "*"

# https://cloud.google.com/secret-manager/quotas: all annotations together under 16 KiB.
MAX_ANNOTATION_BYTES: Final = 16 * 1024
# What lease, status and access-token annotation may take at their longest.
ANNOTATION_HEADROOM: Final = 2 * 1024

_SECRET_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """A secret's metadata as the store returned it; `etag` guards every write that is based on it."""

    secret_id: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    etag: str
    created_at: float = 0  # epoch seconds; 0 = not known


@dataclass(frozen=True, slots=True)
class Connection:
    """The spec of a connection. `problem` says why it cannot be used; the other fields then hold what could be read."""

    name: str
    record: SecretRecord = field(repr=False)
    provider: str = "google"
    client_secret_id: str = ""
    access_token_secret_id: str = ""
    is_text: bool = False  # readers get the bare access token instead of the document
    scopes: tuple[str, ...] = ()
    owner: str | None = None
    subject: str | None = None
    refresh_before_expiry: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    title: str | None = None
    purpose: str | None = None
    # Seconds before a grant's end, longest first; None = as the settings say.
    consent_warnings: tuple[float, ...] | None = None
    # How many consents have ended so far: a ticket names the number it was made for.
    consents: int = 0
    paused: bool = False
    problem: str | None = None

    @property
    def secret_id(self) -> str:
        """Return the id of the connection secret."""
        return self.record.secret_id


def is_paused(record: SecretRecord) -> bool:
    """Tell whether the label says that nothing is to be exchanged."""
    return record.labels.get(LABEL) == "paused"


def connection_name(secret_id: str) -> str:
    """Return the connection's name: the secret id without a trailing ``-refresh-token``."""
    name = secret_id.removesuffix(SUFFIX)
    return name or secret_id


def access_token_secret(name: str) -> str:
    """Return the id of the secret that a connection's access token goes to, and nowhere else (contract 2)."""
    return f"{name}-access-token"


def is_secret_id(text: str) -> bool:
    """Tell whether a secret could have this id."""
    return _SECRET_ID.fullmatch(text) is not None


def parse_connection(record: SecretRecord) -> Connection | None:
    """Read the spec from labels and annotations; None for a secret that declares no connection.

    Nonsense never raises: it becomes `problem`, one sentence that names fault and fix.
    """
    state = record.labels.get(LABEL)
    if state is None:
        return None
    name = connection_name(record.secret_id)
    problems: list[str] = []
    if state not in ("enabled", "paused"):
        problems.append(
            f'label "{LABEL}" is "{state}", which is neither "enabled" nor "paused", so no scheduled run finds it: '
            f"gcloud secrets update {record.secret_id} --update-labels={LABEL}=enabled"
        )
    provider = record.labels.get(LABEL_PROVIDER) or "google"
    note = {k.removeprefix(PREFIX): v.strip() for k, v in record.annotations.items() if k.startswith(PREFIX)}

    client = note.get("client") or f"oauth-client-{provider}"
    if not is_secret_id(client):
        problems.append(f'annotation "{PREFIX}client" is not a secret id (letters, digits, "-", "_")')
    place = access_token_secret(name)
    if not is_secret_id(place):
        problems.append(f"its access-token secret would be {place}, which is too long for a secret id")
    if note.get("access-token-secret") not in (None, "", place):
        # Who may annotate must not choose who reads the token.
        problems.append(
            f'annotation "{PREFIX}access-token-secret" is no longer read: the access token goes to '
            f"{place} and nowhere else. Let its readers read that one, then: "
            f"gcloud secrets update {record.secret_id} --remove-annotations={PREFIX}access-token-secret"
        )
    if note.get("format") not in (None, "", "json", "text"):
        problems.append(f'annotation "{PREFIX}format" is neither "json" nor "text"')
    if _size(record.annotations) > MAX_ANNOTATION_BYTES - ANNOTATION_HEADROOM:
        problems.append(
            "its annotations leave no room for the functions' own: keep them 2 KiB below the limit of 16 KiB"
        )
    return Connection(
        name=name,
        record=record,
        provider=provider,
        client_secret_id=client,
        access_token_secret_id=place,
        is_text=note.get("format") == "text",
        scopes=tuple(note.get("scopes", "").split()),
        owner=note.get("owner") or None,
        subject=note.get("subject") or None,
        refresh_before_expiry=_seconds(note.get("refresh-before-expiry"), problems),
        variables=_variables(record.secret_id, note.get("variables"), problems),
        title=note.get("title") or None,
        purpose=note.get("purpose") or None,
        consent_warnings=_durations(note.get("consent-warnings"), problems),
        paused=is_paused(record),
        consents=_count(note.get("consents")),
        problem="; ".join(problems) or None,
    )


def _size(annotations: Mapping[str, str]) -> int:
    # The functions' own count as headroom, not as the user's.
    own = (STATUS, LEASE, ACCESS_TOKEN, CONSENTS)
    return sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items() if k not in own)


def _count(value: str | None) -> int:
    """Read a number that the functions count up; nonsense reads as absent."""
    return int(value) if value and value.isascii() and value.isdecimal() and len(value) < 10 else 0  # noqa: PLR2004


def _seconds(value: str | None, problems: list[str]) -> float | None:
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        problems.append(f'annotation "{PREFIX}refresh-before-expiry" is not a positive number of seconds')
        return None
    return seconds


def _variables(secret_id: str, value: str | None, problems: list[str]) -> Mapping[str, str]:
    if not value:
        return {}
    data = read_object(value)
    if data is None or not all(isinstance(v, str) for v in data.values()):
        mend = choose_variables(secret_id, ["NAME"])
        problems.append(f'annotation "{PREFIX}variables" is not a JSON object of strings: {mend}')
        return {}
    for name in (name for name, text in data.items() if text and not is_variable_value(text)):
        mend = choose_variables(secret_id, [name if name.isprintable() else "NAME"])
        problems.append(
            f'annotation "{PREFIX}variables": {name[:63]} is not of the form [A-Za-z0-9.-]{{1,253}}: {mend}'
        )
    return data


def choose_variables(secret_id: str, names: Iterable[str]) -> str:
    """Write the command that gives the provider's variables other values."""
    values = json.dumps({name[:63]: "VALUE" for name in names})
    if values == "{}":
        return f"gcloud secrets update {secret_id} --remove-annotations={PREFIX}variables"
    # A JSON object has commas: with another separator they are part of the value (`gcloud topic escaping`).
    annotation = shlex.quote(f"^;^{PREFIX}variables={values}")
    return f"gcloud secrets update {secret_id} --update-annotations={annotation}"


def _durations(value: str | None, problems: list[str]) -> tuple[float, ...] | None:
    if not value:
        return None
    try:
        return parse_durations(value)
    except ValueError as fault:
        problems.append(f'annotation "{PREFIX}consent-warnings" {fault}')
        return None
