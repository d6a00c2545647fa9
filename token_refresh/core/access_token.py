"""The access-token document: what downstream jobs read, and what a run reads back from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from token_refresh.core.json_object import read_object
from token_refresh.core.token_endpoint.outcome import Refreshed


@dataclass(frozen=True, slots=True)
class AccessTokenFacts:
    """What a run must know of the stored access token; never the token. Times in epoch seconds."""

    expires_at: float
    refreshed_at: float
    connection_version: int

    @property
    def life(self) -> float:
        """Return the token's whole life in seconds."""
        return max(self.expires_at - self.refreshed_at, 0.0)

    def is_valid(self, now: float) -> bool:
        """Tell whether the token has not run out."""
        return self.expires_at > now

    def is_newer_than(self, known: AccessTokenFacts | None) -> bool:
        """Tell whether the token was refreshed after the one that is known; any is newer than none."""
        return known is None or self.refreshed_at > known.refreshed_at


def build_document(refreshed: Refreshed, *, connection: str, connection_version: int, now: int) -> bytes:
    """Build the JSON form; loads unchanged into Authlib, Go's x/oauth2 and Node's google-auth-library (contract 3)."""
    expiry = datetime.fromtimestamp(refreshed.expires_at, UTC)
    document: dict[str, object] = {
        "access_token": refreshed.access_token.reveal(),
        "token_type": refreshed.token_type,
        "expires_at": refreshed.expires_at,
        "expiry": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expiry_date": refreshed.expires_at * 1000,
        "scope": refreshed.scope or "",
        "connection": connection,
        "refreshed_at": now,
        "connection_version": str(connection_version),
    }
    if refreshed.extra:
        document["extra"] = dict(refreshed.extra)
    return json.dumps(document, ensure_ascii=False).encode()


def build_annotation(facts: AccessTokenFacts) -> str:
    """Build the annotation ``token-refresh.access-token`` that accompanies the bare-text form."""
    return json.dumps(asdict(facts) | {"connection_version": str(facts.connection_version)})


def parse_facts(text: str | bytes | None) -> AccessTokenFacts | None:
    """Read document or annotation; None for anything else (it is then due)."""
    data = read_object(text)
    if data is None:
        return None
    try:
        facts = AccessTokenFacts(
            expires_at=float(data["expires_at"]),
            refreshed_at=float(data["refreshed_at"]),
            connection_version=int(data["connection_version"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    finite = abs(facts.expires_at) < float("inf") and abs(facts.refreshed_at) < float("inf")
    return facts if finite else None
