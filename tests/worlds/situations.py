"""A connection in any state, and the answers that it may get."""

from __future__ import annotations

from dataclasses import replace

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import Verdict
from token_refresh.core.status import State, Status
from token_refresh.core.token_endpoint.outcome import ClientRejected, ErrorDetail, GrantDead, Unavailable

NOW = 1_000_000.0
DEAD = GrantDead("revoked_or_expired", ErrorDetail("invalid_grant"))
REFUSED = ClientRejected("invalid_client", ErrorDetail("invalid_client"))
SILENT = Unavailable("http_503")


def token_with(seconds_left: float) -> AccessTokenFacts:
    return AccessTokenFacts(expires_at=NOW + seconds_left, refreshed_at=NOW + seconds_left - 3600, connection_version=5)


def case(state: State | None = None, *, seconds_left: float | None = 800, **fields: object) -> Situation:
    """The fifth version's turn; in a state if one is named, entered ten minutes ago."""
    client = "oauth-client-google"
    previous = (
        Status(
            state,
            "why",
            NOW - 600,
            version=5,
            attempts=1,
            tried_at=NOW - 600,
            first_failed_at=NOW - 900,
            refused_at=NOW - 900 if state == State.SUSPECT else 0,
            client=client,
            event_id="event",
            owed=("owed",),
        )
        if state
        else None
    )
    facts = None if seconds_left is None else token_with(seconds_left)
    return replace(
        Situation("alice", NOW, status=previous, facts=facts, margin=900, version=5, client=client, client_version=2),
        **fields,  # type: ignore[arg-type]
    )


def was(a_case: Situation, **fields: object) -> Situation:
    assert a_case.status
    return replace(a_case, status=replace(a_case.status, **fields))  # type: ignore[arg-type]


def status_after(verdict: Verdict | None) -> Status:
    assert verdict is not None
    assert verdict.status is not None
    return verdict.status
