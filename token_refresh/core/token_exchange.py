"""Token exchange (RFC 8693) as Google's auth libraries speak it: the form they send, the answer they read, their file.

A caller names a connection (`audience`) and shows its own Google access token (`subject_token`); what it gets is the
connection's stored access token. Who may have it is decided elsewhere, by Secret Manager's IAM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from token_refresh.core.access_token import parse_facts
from token_refresh.core.connection import access_token_secret, is_secret_id
from token_refresh.core.json_object import read_object
from token_refresh.core.secrecy import Secret

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
AUDIENCE: Final = "//token-refresh/connections/"
# Google's longest is a federated token of 12 288 bytes (cloud.google.com/docs/authentication/token-types).
MAX_FORM_BYTES: Final = 64 * 1024
_MAX_TOKEN: Final = 16 * 1024
_MAX_FIELDS: Final = 50
METADATA_HOST: Final = "metadata.google.internal"
_COMMAND_MILLIS: Final = 30_000

# What can stand in an Authorization header.
_BEARER_TOKEN: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller wants: the access token of `connection`, on the strength of its own token."""

    connection: str
    caller: Secret


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of RFC 6749, section 5.2, or RFC 8693, section 2.2.2. `retry_after` in seconds: 503, else 400."""

    error: str
    description: str
    retry_after: int = 0

    def as_json(self) -> dict[str, str]:
        """Return the body."""
        return {"error": self.error, "error_description": self.description}


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A stored access token on its way to a caller; `expires_in` in whole seconds."""

    access_token: Secret
    token_type: str
    expires_in: int
    scope: str

    def as_json(self) -> dict[str, object]:
        """Return the body (RFC 8693, section 2.2.1): the secret leaves here."""
        return {
            "access_token": self.access_token.reveal(),
            "issued_token_type": ACCESS_TOKEN,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
            "scope": self.scope,
        }


# The same answer for all of them: a caller learns nothing about connections that it may not read.
NO_SUCH_TARGET: Final = Refusal(
    "invalid_target",
    "there is no such connection, the caller may not read its access token (roles/secretmanager.secretAccessor on the "
    "secret CONNECTION-access-token), or it is not kept in the format json",
)
NOT_ACCEPTED: Final = Refusal(
    "invalid_grant", "the subject_token is not accepted: it must be a valid Google access token of the caller"
)
STORE_TROUBLE: Final = Refusal("temporarily_unavailable", "Secret Manager did not answer: try again", retry_after=10)
RUN_OUT: Final = Refusal(
    "temporarily_unavailable",
    "the stored access token has run out: the connection's state says why, or a newer one is about to show",
    retry_after=30,
)


def parse_form(body: bytes) -> Ask | Refusal:
    """Read a token-exchange request (RFC 8693, section 2.1); `scope` and unknown parameters are ignored."""
    if len(body) > MAX_FORM_BYTES:
        return _invalid("the request is too long")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:  # also UnicodeDecodeError
        return _invalid("the body is not an application/x-www-form-urlencoded form")
    # RFC 6749, section 3.2: a parameter without a value counts as omitted, and none may be repeated.
    given = [(name, value) for name, value in pairs if value and name in _READ]
    form = dict(given)
    if len(form) < len(given):
        return _invalid("a parameter is given more than once")
    return _check(form)


def _check(form: Mapping[str, str]) -> Ask | Refusal:
    if "grant_type" not in form:
        return _invalid("grant_type is missing")
    if form["grant_type"] != GRANT_TYPE:
        return Refusal("unsupported_grant_type", f"grant_type must be {GRANT_TYPE}")
    missing = [name for name in _REQUIRED if name not in form]
    if missing:
        return _invalid(f"{missing[0]} is missing")
    for name in ("subject_token_type", "requested_token_type"):
        if form.get(name, ACCESS_TOKEN) != ACCESS_TOKEN:
            return _invalid(f"{name} must be {ACCESS_TOKEN}")
    return _parse_target(form["audience"], form["subject_token"])


def build_answer(payload: bytes, connection: str, now: float) -> HandedOut | Refusal:
    """Read what the access-token secret holds; only the document of `connection` in format json is handed out."""
    facts = parse_facts(payload)
    document = read_object(payload) or {}
    token, kind, scope = (document.get(name) for name in ("access_token", "token_type", "scope"))
    if facts is None or document.get("connection") != connection or not isinstance(token, str) or not token:
        return NO_SUCH_TARGET
    expires_in = int(facts.expires_at - now)
    if expires_in < 1:
        return RUN_OUT
    is_bearer = not isinstance(kind, str) or kind.lower() == "bearer"
    return HandedOut(
        Secret(token), "Bearer" if is_bearer else str(kind), expires_in, scope if isinstance(scope, str) else ""
    )


_REQUIRED: Final = ("audience", "subject_token", "subject_token_type")
_READ: Final = ("grant_type", *_REQUIRED, "requested_token_type")


def _parse_target(audience: str, token: str) -> Ask | Refusal:
    connection = audience.removeprefix(AUDIENCE)
    if connection == audience or not is_secret_id(access_token_secret(connection)) or not connection:
        return NO_SUCH_TARGET
    if len(token) > _MAX_TOKEN or not _BEARER_TOKEN.fullmatch(token):
        return NOT_ACCEPTED
    return Ask(connection, Secret(token))


def _invalid(description: str) -> Refusal:
    return Refusal("invalid_request", description)


# -- the file with which Google's libraries ask by themselves (AIP-4117) -----------------------------------------------


def build_credential_file(
    connection: str, token_url: str, *, command: str | None = None, metadata_host: str = METADATA_HOST
) -> dict[str, object]:
    """Build the credential file (`external_account`) for a connection; it holds no secret.

    https://google.aip.dev/auth/4117. The caller's own token comes from the metadata server, or on a laptop from
    `command`, which prints what `build_executable_answer` builds. The libraries split it at white space and disagree
    about quotes: it has neither.
    """
    source: dict[str, object] = {
        "url": f"http://{metadata_host}/computeMetadata/v1/instance/service-accounts/default/token",
        "headers": {"Metadata-Flavor": "Google"},
        "format": {"type": "json", "subject_token_field_name": "access_token"},
    }
    if command:
        source = {"executable": {"command": command, "timeout_millis": _COMMAND_MILLIS}}
    return {
        "type": "external_account",
        "audience": f"{AUDIENCE}{connection}",
        "subject_token_type": ACCESS_TOKEN,
        "token_url": token_url,
        "credential_source": source,
    }


def build_executable_answer(caller: str) -> dict[str, object]:
    """Build what an executable prints.

    The protocol has no name for an access token; the libraries pass on what it calls an ID token as it is.
    https://google.aip.dev/auth/4117#determining-the-subject-token-in-executable-sourced-credentials
    """
    kind = "urn:ietf:params:oauth:token-type:id_token"
    return {"version": 1, "success": True, "token_type": kind, "id_token": caller}
