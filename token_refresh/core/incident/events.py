"""The events: CloudEvents 1.0 about incidents, each published once and followed by one `recovered` (contract 8)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final


class EventType(StrEnum):
    """What happened, and the subject that its events have."""

    INVALID_GRANT = "invalid_grant"  # a grant is dead: the connection
    REFRESH_FAILING = "refresh_failing"  # a provider does not answer: the connection
    CLIENT_REJECTED = "client_rejected"  # a client is refused: the registration; a fault of ours: the connection
    CONSENT_EXPIRING = "consent_expiring"  # a grant will end: the connection
    CONSENT_OVERDUE = "consent_overdue"  # an owner has not acted: the connection
    RECOVERED = "recovered"  # an incident is over: whatever the incident's was


# What asks an owner for a new grant: it goes to them, too, with a link.
ASKS_OWNER: Final = (EventType.INVALID_GRANT, EventType.CONSENT_EXPIRING, EventType.CONSENT_OVERDUE)
# Reasons that are ours and no provider's.
NEVER_CONSENTED: Final = "never_consented"
REVOKED_BY_OPERATOR: Final = "revoked_by_operator"
MASS: Final = "mass_invalid_grant"
NOT_SAVED: Final = "rotated_token_not_saved"

# Reason -> (remedy, what an event says about it in plain words). docs/events/README.md is generated from this.
REMEDIES: Final[Mapping[str, tuple[str, str]]] = {
    "revoked_or_expired": ("reconsent", "The provider no longer honours the grant: it was revoked or has expired."),
    "never_consented": ("reconsent", "No owner has consented yet."),
    "testing_mode_expiry": (
        "reconsent",
        "The grant died about seven days after it was issued: the consent screen is in Testing. Publish the app.",
    ),
    "idle_expiry": ("reconsent", "The grant was not used for longer than the provider allows."),
    "lost_rotation": (
        "reconsent",
        "The provider replaced the refresh token and its answer did not arrive: the new one is lost.",
    ),
    "refresh_token_reused": (
        "reconsent",
        "The provider saw a refresh token twice and revoked the grant: let nothing else refresh this connection.",
    ),
    "revoked_by_operator": ("reconsent", "An operator has revoked the grant at the provider."),
    "consent_expiring": ("reconsent", "The grant is about to end."),
    "reauth_required": (
        "reauthenticate",
        "The organisation's session control wants the owner to sign in again; a new consent will end the same way.",
    ),
    "admin_policy_enforced": ("ask_admin", "An administrator's policy does not allow this client or these scopes."),
    "org_internal": ("ask_admin", "The client is restricted to accounts of its own organisation."),
    "access_denied": ("ask_admin", "The provider denies access to this client or account."),
    "invalid_client": ("fix_client", "The provider does not accept the client id or its credentials."),
    "unauthorized_client": ("fix_client", "The client is not authorized for this grant type or account."),
    "deleted_client": ("fix_client", "The OAuth client was deleted at the provider."),
    "disabled_client": ("fix_client", "The OAuth client is disabled at the provider."),
    "mass_invalid_grant": (
        "fix_client",
        "Many grants of one client died at once, which points at the client: no owner is asked to consent for now.",
    ),
    "invalid_scope": ("fix_configuration", "The provider refuses the scopes."),
    "invalid_request": ("fix_configuration", "The provider cannot read the request: check the provider definition."),
    "unsupported_grant_type": ("fix_configuration", "The provider does not support this grant type."),
    # Grants without an owner: a service account's assertion, a client that stands for itself.
    "clock_skew": ("fix_configuration", "The assertion is not within its hour: the clock is wrong."),
    "unknown_account": ("fix_configuration", "The service account does not exist any more: store another key."),
    "disabled_key": ("fix_configuration", "The service account's key was disabled or deleted: store another key."),
    "unknown_subject": ("fix_configuration", "The user to stand for does not exist: correct token-refresh.owner."),
    "invalid_grant": ("fix_configuration", "The provider refuses the service account's or the client's own grant."),
    "misconfigured": ("fix_configuration", "The connection cannot be used as it is configured."),
    "rotated_token_not_saved": (
        "fix_configuration",
        "The provider's new refresh token cannot be stored; an instance keeps it in memory and tries again.",
    ),
    "refresh_failing": ("wait", "The provider does not answer; the access token is about to run out."),
}
_UNKNOWN: Final = ("fix_client", "The provider refuses the client or its request.")


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent; `type` is what its id was made for, `time` in epoch seconds."""

    id: str
    type: str
    subject: str
    time: float
    data: Mapping[str, object] = field(default_factory=dict)

    def attributes(self, source: str) -> dict[str, str]:
        """Return the Pub/Sub attributes of the binary mode (CloudEvents Pub/Sub protocol binding, 3.1)."""
        return {
            "ce-id": self.id,
            "ce-source": source,
            "ce-specversion": "1.0",
            "ce-type": f"dev.token-refresh.{self.type}.v1",
            "ce-subject": self.subject,
            "ce-time": rfc3339(self.time),
            "content-type": "application/json",
        } | ({"severity": str(self.data["severity"])} if "severity" in self.data else {})

    def body(self) -> bytes:
        """Return the data as JSON."""
        return json.dumps(dict(self.data), ensure_ascii=False).encode()


def build_event_id(event_type: str, *parts: object) -> str:
    """Derive an id from the incident alone, so that the same incident always has the same id.

    It begins with the type and a dot, so that an id that is owed tells what to publish.
    """
    digest = hashlib.sha256("\x1f".join((event_type, *map(str, parts))).encode()).hexdigest()
    return f"{event_type}.{digest[:32]}"


def remedy_for(reason: str) -> str:
    """Return the remedy of a reason; an unknown error code is the operator's matter."""
    return REMEDIES.get(reason, _UNKNOWN)[0]


def words_for(reason: str) -> str:
    """Return what a reason means, in plain words."""
    return REMEDIES.get(reason, _UNKNOWN)[1]


def present(data: Mapping[str, object | None]) -> dict[str, object]:
    """Drop what does not apply: a field without a value is absent."""
    return {k: v for k, v in data.items() if v not in (None, "")}


def rfc3339(time: float) -> str:
    """Write epoch seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
