"""Statuses of connections with which something is wrong."""

from __future__ import annotations

from token_refresh.core.status import State, Status

NOW = 1_000_000.0
DEAD = Status(
    State.NEEDS_CONSENT, "revoked_or_expired", NOW, version=5, first_failed_at=NOW - 60, error="invalid_grant"
)
REFUSED = Status(State.REJECTED, "invalid_client", NOW, version=5, client="oauth-client-google", client_version=2)
