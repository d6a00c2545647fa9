"""What owners read about a reason: no jargon, and exactly what the remedy asks of them.

An owner knows their account and their job, and nothing of OAuth. So a sentence says what happened to *their*
permission, whose doing it is, and what to do now; what operators must do stands in `operator_words`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ALLOW: Final = "Please allow it once more."
_NOTHING: Final = "There is nothing for you to do: the people who run this service have been told."
_OUR_FAULT: Final = f"A technical fault on our side has lost the permission, and we are sorry. {_ALLOW}"
_REFUSED: Final = (
    f"{{provider}} does not accept this service at the moment. That is not about you or your account. {_NOTHING}"
)
_SETUP: Final = f"A part of the setup on our side is wrong. {_NOTHING}"

# Reason -> sentences; `{provider}` is the provider's title.
OWNER_WORDS: Final[Mapping[str, str]] = {
    "revoked_or_expired": (
        "{provider} no longer accepts the permission that you gave. The usual causes are a new password, or that "
        "access was removed in your account. If you removed it on purpose, leave it at that; otherwise please allow "
        "it once more."
    ),
    "never_consented": "This has been set up for you and needs your permission before it can start. Please allow it.",
    "testing_mode_expiry": (
        f"This permission holds for seven days only, for a reason on our side that we know of. {_ALLOW}"
    ),
    "idle_expiry": f"The permission was not used for a long time, so {{provider}} has ended it. {_ALLOW}",
    "lost_rotation": _OUR_FAULT,
    "refresh_token_reused": _OUR_FAULT,
    "consent_expiring": (
        "The permission that you gave is about to end. Please allow it again before then, and nothing will be "
        "interrupted."
    ),
    "revoked_by_operator": (
        "We have given this permission back. If we have asked you to allow it again, please do; otherwise there is "
        "nothing for you to do."
    ),
    "reauth_required": (
        "Your organisation asks you to sign in again from time to time. Please sign in again now. You will be asked "
        "again when that time is over."
    ),
    "admin_policy_enforced": f"Your organisation does not allow this service at the moment. {_NOTHING}",
    "org_internal": (
        f"{{provider}} lets only accounts of one organisation use this service, and yours is not among them. {_NOTHING}"
    ),
    "access_denied": _REFUSED,
    "invalid_client": _REFUSED,
    "unauthorized_client": _REFUSED,
    "deleted_client": _REFUSED,
    "disabled_client": _REFUSED,
    "mass_invalid_grant": _REFUSED,
    "invalid_scope": _SETUP,
    "invalid_request": _SETUP,
    "unsupported_grant_type": _SETUP,
    "clock_skew": _SETUP,
    "unknown_account": _SETUP,
    "disabled_key": _SETUP,
    "unknown_subject": _SETUP,
    "invalid_grant": _SETUP,
    "misconfigured": _SETUP,
    "secret_manager": _SETUP,
    "lease_held": _SETUP,
    "rotated_token_not_saved": _SETUP,
    "internal_error": _SETUP,
    "refresh_failing": (
        "{provider} does not answer at the moment. There is nothing for you to do: it will be retried automatically."
    ),
}


def owner_words(reason: str, provider: str = "") -> str:
    """Say what a reason means for the owner and what to do now; `provider` is the provider's title ("Google").

    An unknown reason is a provider's own error code, and so never the owner's.
    """
    words = OWNER_WORDS.get(reason, _REFUSED).replace("{provider}", provider or "the provider")
    return words[:1].upper() + words[1:]
