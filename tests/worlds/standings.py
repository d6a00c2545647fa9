"""A project with a connection of every sort, as runs leave them behind; written with the real client."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from token_refresh.core.connection import LABEL, LABEL_PROVIDER, PREFIX, STATUS, SUFFIX
from token_refresh.core.status import State, Status, render_status

if TYPE_CHECKING:
    from infra.local.demo.samples import Secrets

HOUR: Final = 3600.0
LIFE: Final = 3600.0


def document(name: str, refreshed_at: float, life: float = LIFE) -> str:
    """Build an access-token document."""
    return json.dumps(
        {
            "access_token": f"CANARY-{name}",
            "token_type": "Bearer",
            "expires_at": int(refreshed_at + life),
            "connection": name,
            "refreshed_at": int(refreshed_at),
            "connection_version": "1",
        }
    )


def declare(  # noqa: PLR0913 - what a connection may have
    secrets: Secrets,
    name: str,
    *,
    provider: str = "google",
    owner: str = "",
    status: Status | None = None,
    refreshed_at: float | None = None,
    life: float = LIFE,
    label: str = "enabled",
    **notes: str,
) -> None:
    """Declare one connection with its status and, if it was refreshed, its access token."""
    annotations = {PREFIX + key.replace("_", "-"): value for key, value in notes.items()}
    if owner:
        annotations[PREFIX + "owner"] = owner
    if status:
        annotations[STATUS] = render_status(status)
    secrets.create(name + SUFFIX, {LABEL: label, LABEL_PROVIDER: provider}, annotations)
    secrets.create(f"{name}-access-token")
    if refreshed_at is not None:
        secrets.add(f"{name}-access-token", document(name, refreshed_at, life))


def declare_one_of_each(secrets: Secrets, now: float) -> None:
    """Declare the connections; `now` in epoch seconds."""
    dead = Status(
        state=State.NEEDS_CONSENT,
        reason="revoked_or_expired",
        since=now - 26 * HOUR,
        version=3,
        attempts=6,
        next_attempt_at=now + 3 * HOUR,
        event_id="invalid_grant.0815",
        tried_at=now - 21 * HOUR,
        first_failed_at=now - 26.3 * HOUR,
        error="invalid_grant",
        error_subtype="",
        reminded=24,
    )
    refused = Status(
        state=State.REJECTED,
        reason="invalid_client",
        since=now - 2 * HOUR,
        version=1,
        attempts=5,
        next_attempt_at=now + 900,
        event_id="client_rejected.4711.client",
        client_event_id="client_rejected.4711.client",
        client="oauth-client-crm",
        tried_at=now - 1200,
        first_failed_at=now - 2 * HOUR,
        error="invalid_client",
    )
    silent = Status(
        state=State.UNAVAILABLE,
        reason="http_503",
        since=now - 1500,
        version=1,
        attempts=4,
        next_attempt_at=now + 400,
        event_id="refresh_failing.1",
        tried_at=now - 100,
        first_failed_at=now - 2400,
    )
    declare(secrets, "gmail-alice", owner="alice@example.com", status=dead, refreshed_at=now - 27 * HOUR)
    never = replace(dead, reason="never_consented", version=0, error="", reminded=0, since=now - 1800, owed=())
    declare(secrets, "calendar-new-colleague", owner="a.very.long.name@subsidiary.example.com", status=never)
    for number in range(1, 8):
        declare(
            secrets,
            f"crm-{number:02}",
            provider="local",
            owner=f"user{number}@example.com",
            client="oauth-client-crm",
            status=refused,
            refreshed_at=now - 2.4 * HOUR,
        )
    declare(
        secrets,
        "drive-odd",
        owner="bob@example.com",
        status=replace(
            refused,
            state=State.MISCONFIGURED,
            reason="misconfigured",
            event_id="client_rejected.1",
            client_event_id="",
            error="",
            message="payload of drive-odd-refresh-token version 4 is neither a token nor a JSON object with one",
        ),
        refreshed_at=now - 600,
    )
    declare(secrets, "mail-silent", owner="carol@example.com", status=silent, refreshed_at=now - 3000)
    declare(
        secrets,
        "mail-suspected",
        owner="dan@example.com",
        status=replace(silent, state=State.SUSPECT, reason="revoked_or_expired", event_id="", error="invalid_grant"),
        refreshed_at=now - 1000,
    )
    declare(secrets, "sheets-late", owner="erin@example.com", refreshed_at=now - 1.5 * HOUR)
    declare(secrets, "sheets-unreadable", owner="frank@example.com")
    secrets.add("sheets-unreadable-access-token", "not a document")
    declare(secrets, "new-one", owner="grace@example.com")
    declare(secrets, "short-lived", provider="local", refreshed_at=now - 60, life=400)
    declare(secrets, "on-holiday", owner="heidi@example.com", label="paused", refreshed_at=now - 30 * HOUR)
    for number in range(1, 41):
        name = f"mailbox-{number:03}"
        declare(secrets, name, owner=f"person{number}@example.com", refreshed_at=now - 40 * number)
