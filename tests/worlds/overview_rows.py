"""Rows of the overview, built from what a connection says and what was read of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import SecretRecord, parse_connection
from token_refresh.core.overview.row import Reading, Row, Rules, build_row
from token_refresh.core.provider.definition import Provider
from token_refresh.core.status import State, Status

NOW = 1_795_000_000.0
RULES = Rules(refresh_before_expiry=900, run_every=300)
PROVIDERS = {
    "google": Provider(name="google", token_url="https://p.example/t", refresh_url="https://p.example/t"),
    "weekly": Provider(
        name="weekly",
        token_url="https://p.example/t",
        refresh_url="https://p.example/t",
        rotates_refresh_tokens="always",
        refresh_token_lifetime=604_800,
    ),
    "from-consent": Provider(
        name="from-consent",
        token_url="https://p.example/t",
        refresh_url="https://p.example/t",
        rotates_refresh_tokens="always",
        refresh_token_lifetime=604_800,
        refresh_token_lifetime_from="consent",
    ),
}


def status(**changes: Any) -> Status:
    plain = Status(state=State.NEEDS_CONSENT, reason="revoked_or_expired", since=NOW - 60, version=1, tried_at=NOW - 60)
    return replace(plain, **changes)


def build(
    reading: Reading | None = None,
    *,
    state: str = "enabled",
    provider: str = "google",
    created_at: float = NOW - 60,
    rules: Rules = RULES,
    **notes: str,
) -> Row:
    labels = {"token-refresh": state, "token-refresh-provider": provider}
    annotations = {f"token-refresh.{name.replace('_', '-')}": value for name, value in notes.items()}
    connection = parse_connection(SecretRecord("gmail-alice-refresh-token", labels, annotations, "e", created_at))
    assert connection is not None
    reading = reading or Reading()
    return build_row(connection, reading, providers=PROVIDERS, rules=rules, now=NOW)


def fresh(refreshed: float = 60, life: float = 3600) -> Reading:
    """A token that was refreshed so many seconds ago."""
    return Reading(AccessTokenFacts(NOW - refreshed + life, NOW - refreshed, 1))
