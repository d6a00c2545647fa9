"""Resource names: `projects/P[/locations/L]/secrets/S[/versions/V]`, P an id or a number."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace

from google.api_core.exceptions import InvalidArgument

from infra.local.secret_manager.errors import api_error

_NAME = re.compile(
    r"projects/(?P<project>[^/]+)(?:/locations/(?P<location>[^/]+))?"
    r"(?:/secrets/(?P<secret>[^/]+)(?:/versions/(?P<version>[^/]+))?)?"
)
_SECRET_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True)
class Name:
    """Name a resource; the project is always held by number, so both spellings are one resource."""

    project: str
    location: str | None = None
    secret: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        parts = {"projects": self.project, "locations": self.location, "secrets": self.secret, "versions": self.version}
        return "/".join(f"{collection}/{value}" for collection, value in parts.items() if value is not None)

    @property
    def parent(self) -> str:
        """Name the project or location that holds the secret."""
        return str(Name(self.project, self.location))

    def of_secret(self, secret: str) -> Name:
        """Name the secret of this id under the same parent."""
        return replace(self, secret=secret, version=None)

    def of_version(self, version: int | str) -> Name:
        """Name a version of the same secret."""
        return replace(self, version=str(version))

    @property
    def of_its_secret(self) -> Name:
        """Name the secret that holds this version."""
        return replace(self, version=None)


def parse_name(text: str, kind: str) -> Name:
    """Read a resource name; `kind` is `parent`, `secret` or `version`. Raises InvalidArgument."""
    match = _NAME.fullmatch(text)
    found = "version" if match and match["version"] else "secret" if match and match["secret"] else "parent"
    if not match or found != kind:
        message = f"The provided resource name [{text}] does not match the expected format of a {kind}."
        raise api_error(InvalidArgument, message)
    if match["secret"] and kind != "version":
        check_secret_id(match["secret"])
    return Name(project_number(match["project"]), match["location"], match["secret"], match["version"])


def check_secret_id(secret_id: str) -> None:
    """Refuse a secret id that is not 1 to 255 of `[A-Za-z0-9_-]`. Raises InvalidArgument."""
    if not _SECRET_ID.fullmatch(secret_id):
        message = f"The provided Secret ID [{secret_id}] does not match the expected format [[a-zA-Z_0-9-]{{1,255}}]."
        raise api_error(InvalidArgument, message)


def project_number(project: str) -> str:
    """Give a project's number: itself for a number, else twelve digits that depend on the id alone."""
    return project if project.isdigit() else str(100_000_000_000 + zlib.crc32(project.encode()) * 97)
