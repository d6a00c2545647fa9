"""The payload of a connection secret after a consent."""

from __future__ import annotations

from collections.abc import Mapping

from token_refresh.core.grant import render_rotated
from token_refresh.core.token_endpoint.outcome import Refreshed


def render_new_grant(  # noqa: PLR0913 - what a payload holds
    old: bytes | None,
    refreshed: Refreshed,
    *,
    asked: str,
    subject: str | None,
    variables: Mapping[str, str],
    now: float,
) -> bytes:
    """Write a consented grant: in the form of the payload that it replaces, else as JSON (contract 2).

    `old` None means that there is nothing to keep; `asked` are the scopes of the request, which an answer without
    `scope` grants (RFC 6749, section 5.1); `variables` what the callback told besides. Raises `ValueError` when there
    is no refresh token.
    """
    if refreshed.refresh_token is None:
        raise ValueError("a grant needs a refresh token")
    facts: dict[str, object | None] = {
        "issued_at": int(now),
        "expires_at": refreshed.ends_at,
        "scope": refreshed.scope or asked,
        "sub": subject,
        # What an earlier callback brought, rightly or wrongly, ends with this consent.
        "variables": dict(variables) or None,
    }
    return render_rotated(b"{}" if old is None else old, refreshed.refresh_token, facts)
