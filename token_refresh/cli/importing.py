"""`import`: a token file becomes a connection, proven by one exchange.

A refresh token that is good for one use is spent by that exchange. So the connection is declared paused, with the token
as it is; then it is exchanged, and what came back is stored before anything else; then it is enabled. At no moment is
the only copy of a grant in this process alone, and no run of the service can spend it meanwhile.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import click

from token_refresh.cli.session import UNREACHABLE, WRONG_USE, Session, Stop, command, write_moment
from token_refresh.connections.memory import find_provider, read_client
from token_refresh.core.access_token import build_document
from token_refresh.core.adoption import build_terraform
from token_refresh.core.connection import (
    LABEL,
    LABEL_PROVIDER,
    PREFIX,
    SUFFIX,
    Connection,
    SecretRecord,
    access_token_secret,
    is_secret_id,
    parse_connection,
)
from token_refresh.core.grant import Client, RefreshTokenGrant, parse_grant, render_rotated
from token_refresh.core.provider.definition import Provider
from token_refresh.core.token_endpoint.outcome import ClientRejected, GrantDead, Refreshed, TokenOutcome, UnknownOutcome
from token_refresh.core.token_file import TokenFile, parse_token_file
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured, SecretExists, StoreDenied, StoreError, StoreUnavailable

_TRIES: Final = 5
_LARGEST_FILE: Final = 64 * 1024


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--name", required=True, help="Of the connection, such as gmail-alice.")
@click.option("--provider", help="Key of the provider; by the file's token_uri where it has one, else google.")
@click.option("--client", metavar="SECRET", help="Secret id of the client registration [oauth-client-PROVIDER].")
@click.option("--owner", help="Who consented: an e-mail address or a login; for a service account, whom it stands for.")
@click.option("--scopes", help="Separated by spaces; those of the file otherwise.")
@click.option("--variable", "variables", multiple=True, metavar="NAME=VALUE", help="In the provider's URLs.")
@click.option("--no-check", is_flag=True, help="Do not prove it by an exchange.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@command
def import_connection(  # noqa: PLR0913 - one for each option
    session: Session,
    *,
    file: IO[bytes],
    name: str,
    provider: str | None,
    client: str | None,
    owner: str | None,
    scopes: str | None,
    variables: Sequence[str],
    no_check: bool,
    dry_run: bool,
) -> None:
    """Declare a connection from a token file (- for standard input) of google-auth, gcloud, Authlib, Node, Go, ...

    Prints the Terraform that adopts it.
    """
    found = parse_token_file(file.read(_LARGEST_FILE), owner)
    definition = _find_provider(session.known_providers, provider, found)
    connection = _declare(name, definition, client, owner or found.owner, scopes, variables, found)
    request = _build_request(session, connection, definition, found)
    session.parts.endpoint.check(request)
    secret_ids = (connection.access_token_secret_id, connection.secret_id)
    s = session.settings
    terraform = build_terraform(connection, project=s.project, location=s.location, has_own_client=found.has_own_client)
    document: dict[str, object] = {
        "connection": name,
        "provider": definition.name,
        "kind": found.kind,
        "secrets": list(secret_ids),
        "terraform": terraform,
    }
    if dry_run:
        said = [
            f"would create {' and '.join(secret_ids)} for {found.kind} of {definition.shown_name}",
            "",
            terraform,
        ]
        session.show({**document, "planned": True}, said)
        return
    outcome = _carry_out(session, found, request, check=not no_check)
    document["checked"] = outcome is not None
    document["access_token_expires_at"] = outcome.expires_at if outcome else None
    until = f"; its access token is good until {write_moment(outcome.expires_at)}" if outcome else ", not checked"
    session.show(document, [f"{name} is declared{until}", f"Look: token-refresh explain {name}", "", terraform])


def _find_provider(known: Mapping[str, Provider], wanted: str | None, found: TokenFile) -> Provider:
    if wanted is None and found.token_uri:
        fitting = [p.name for p in known.values() if found.token_uri in (p.token_url, p.refresh_url)]
        # Google has had several token URLs; its own files name one of them.
        is_google = "googleapis.com/" in found.token_uri or found.token_uri.startswith("https://accounts.google.com/")
        wanted = "google" if is_google else next(iter(fitting), None)
        if wanted is None:
            raise Stop("which provider? Say --provider (token-refresh providers list)", WRONG_USE)
    try:
        return find_provider(known, wanted or "google")
    except Misconfigured as fault:
        raise Stop(str(fault), WRONG_USE) from None


def _declare(  # noqa: PLR0913, PLR0917 - what a declaration has
    name: str,
    provider: Provider,
    client: str | None,
    owner: str | None,
    scopes: str | None,
    variables: Sequence[str],
    found: TokenFile,
) -> Connection:
    annotations = {
        "client": client if client != f"oauth-client-{provider.name}" else None,
        "owner": owner,
        "scopes": " ".join(scopes.split() if scopes is not None else found.scopes),
        "variables": json.dumps(_parse_variables(variables)) if variables else None,
    }
    ids = (name, access_token_secret(name), f"{name}{SUFFIX}")
    if not all(map(is_secret_id, ids)) or name.endswith(SUFFIX):
        raise Stop(f"{name!r} cannot be the name of a connection: letters, digits, - and _, at most 241", WRONG_USE)
    record = SecretRecord(
        f"{name}{SUFFIX}",
        {LABEL: "enabled", LABEL_PROVIDER: provider.name},
        {PREFIX + key: value for key, value in annotations.items() if value},
        "",
    )
    connection = parse_connection(record)
    if connection is None or connection.problem:
        raise Stop(connection.problem if connection and connection.problem else f"{name} declares nothing", WRONG_USE)
    return connection


def _parse_variables(variables: Sequence[str]) -> dict[str, str]:
    pairs = [variable.partition("=") for variable in variables]
    if not all(name and equals for name, equals, _ in pairs):
        raise Stop("--variable takes NAME=VALUE", WRONG_USE)
    return {name: value for name, _, value in pairs}


def _build_request(session: Session, connection: Connection, provider: Provider, found: TokenFile) -> TokenRequest:
    grant = parse_grant(found.payload)
    registration: Client | None = None
    if isinstance(grant, RefreshTokenGrant) and grant.client is None:
        try:
            registration, _ = read_client(session.parts.store, connection.client_secret_id)
        except Misconfigured as fault:
            raise Stop(f"the file lacks the client that its refresh token was issued to, and {fault}") from None
    return TokenRequest(connection, provider, grant, registration)


def _carry_out(session: Session, found: TokenFile, request: TokenRequest, *, check: bool) -> Refreshed | None:
    connection = request.connection
    paused = {**connection.record.labels, LABEL: "paused"}
    made: list[str] = []
    try:
        for secret_id, labels, annotations in (
            (connection.access_token_secret_id, {}, {}),
            (connection.secret_id, paused, connection.record.annotations),
        ):
            session.admin.create(secret_id, labels, annotations)
            made.append(secret_id)
            session.progress(f"created {secret_id}")
        version = session.parts.store.add(connection.secret_id, found.payload)
        outcome = _prove(session, request) if check else None
    except (StoreError, Stop) as fault:
        for secret_id in made:
            session.admin.delete(secret_id)
        if not isinstance(fault, SecretExists):
            raise
        raise Stop(
            f"{fault}: take another name, or store a new grant with `gcloud secrets versions add "
            f"{connection.secret_id} --data-file=FILE`"
        ) from None
    if outcome is not None:
        _keep(session, found, connection, outcome, version)
    session.admin.label(connection.secret_id, connection.record.labels)
    return outcome


def _prove(session: Session, request: TokenRequest) -> Refreshed:
    """Exchange the grant once; once more where it may have happened and no reply came. Raises `Stop`."""
    session.progress(f"asking {request.provider.shown_name} for an access token")
    outcome: TokenOutcome = session.parts.endpoint.refresh(request)
    if isinstance(outcome, UnknownOutcome):
        outcome = session.parts.endpoint.refresh(request)
    match outcome:
        case Refreshed():
            return outcome
        case GrantDead(reason, detail):
            says = detail.error_description or detail.error or reason
            raise Stop(f"the grant is dead ({says}): nothing was imported. Its owner must consent again")
        case ClientRejected(reason, detail):
            says = detail.error_description or ""
            raise Stop(
                f"the client or the request is refused ({reason}{': ' if says else ''}{says}): nothing was imported. "
                "Is it the client that the refresh token was issued to?"
            )
        case _:
            raise Stop(f"no token came ({outcome.reason}): nothing was imported. Try again later", UNREACHABLE)


def _keep(session: Session, found: TokenFile, connection: Connection, outcome: Refreshed, version: int) -> None:
    """Store a refresh token that was replaced before anything else, then the access token."""
    now = int(time.time())
    if outcome.refresh_token is not None:
        facts = {"issued_at": now, "expires_at": outcome.ends_at, "scope": outcome.scope}
        payload = render_rotated(found.payload, outcome.refresh_token, facts)
        version = _add_or_save(session, connection, payload)
    document = build_document(outcome, connection=connection.name, connection_version=version, now=now)
    session.parts.store.add(connection.access_token_secret_id, document)


def _add_or_save(session: Session, connection: Connection, payload: bytes) -> int:
    for attempt in range(_TRIES):
        try:
            return session.parts.store.add(connection.secret_id, payload)
        except (StoreUnavailable, StoreDenied):
            time.sleep(2**attempt)
    path = Path(f"{connection.secret_id}.unsaved")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(payload)
    raise Stop(
        f"the provider has replaced the refresh token, and Secret Manager does not take the new one. It is in {path}: "
        f"gcloud secrets versions add {connection.secret_id} --data-file={path}, then delete the file and enable it: "
        f"gcloud secrets update {connection.secret_id} --update-labels={LABEL}=enabled",
        UNREACHABLE,
    )
