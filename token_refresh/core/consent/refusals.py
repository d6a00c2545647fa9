"""Why a consent cannot go ahead, in the owner's words. Every refusal names the way forward (contract 6).

Statuses: 2xx the owner can do something about it; 403 a ticket or state that proves nothing (any more); 404 no such
connection; 500 ours to mend; 502 the provider's; 503 try again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal says: what happened, and what to do now."""

    status: int
    title: str
    happened: str
    way_forward: str


_UNTOUCHED = "Nothing was changed."
_NEW_LINK = "Ask whoever runs this service for a new link, or wait for the next message: it brings one."
_AGAIN = "Open the link in your message once more and start again."

REFUSALS: Final[Mapping[str, Refusal]] = {
    "forged_ticket": Refusal(
        403,
        "This link is not complete",
        "The link was not made by this service, or part of it was lost on the way.",
        "Open it straight from the message, or copy the whole of it. If that does not help, ask for a new link.",
    ),
    "expired_ticket": Refusal(403, "This link has expired", "Links are valid for a limited time only.", _NEW_LINK),
    "spent_ticket": Refusal(
        403,
        "This link has been used",
        "The connection has been given a newer permission since this link was made.",
        "If the connection works, there is nothing to do. If another message about it comes, use the link in that one.",
    ),
    "forged_state": Refusal(
        403,
        "We cannot tell that it was you who asked",
        "This answer does not belong to a consent that was begun in this browser, or it has been used already.",
        "Open the link in your message in the browser that you will sign in with, allow cookies, and finish there.",
    ),
    "expired_state": Refusal(
        403, "That took too long", "The sign-in was begun more than an hour ago. " + _UNTOUCHED, _AGAIN
    ),
    "wrong_issuer": Refusal(
        403,
        "The answer came from somewhere else",
        "It does not carry the name of the provider that you were sent to. " + _UNTOUCHED,
        _AGAIN + " If it happens again, tell whoever runs this service.",
    ),
    "wrong_id_token": Refusal(
        403,
        "The provider's answer does not match",
        "The proof of identity that came with it was not made for this request. " + _UNTOUCHED,
        _AGAIN + " If it happens again, tell whoever runs this service.",
    ),
    "code_refused": Refusal(
        403,
        "The provider no longer accepts this sign-in",
        "Its one-time code has been used, has run out, or was made for another request. " + _UNTOUCHED,
        _AGAIN,
    ),
    "declined": Refusal(
        200,
        "You did not allow access",
        "The provider says that access was declined. " + _UNTOUCHED,
        _AGAIN + " To leave it at that, simply close this page.",
    ),
    "wrong_account": Refusal(
        200,
        "That was a different account",
        "You signed in with an account that does not belong to this connection. " + _UNTOUCHED,
        "Open the link once more, choose “use another account” at the provider, and sign in with the right one.",
    ),
    "unknown_account": Refusal(
        200,
        "We cannot tell whose account that was",
        "The provider did not say which account you signed in with. " + _UNTOUCHED,
        "Tell whoever runs this service: the provider's definition needs a way to learn the account.",
    ),
    "missing_scopes": Refusal(
        200,
        "Some permissions are missing",
        "Not everything that this connection needs was allowed. " + _UNTOUCHED,
        "Open the link once more and leave every box ticked.",
    ),
    "no_refresh_token": Refusal(
        200,
        "The permission would not last",
        "The provider did not hand out a lasting permission (a refresh token). " + _UNTOUCHED,
        "Remove this app's access in the security settings of your account there, then open the link once more. "
        "If it happens again, tell whoever runs this service.",
    ),
    "busy": Refusal(
        503,
        "One moment",
        "This connection is being refreshed right now. " + _UNTOUCHED,
        "Wait a minute, then reload this page.",
    ),
    "no_connection": Refusal(
        404,
        "This connection no longer exists",
        "It has been removed since the link was made.",
        "There is nothing to do. If you did not expect that, ask whoever runs this service.",
    ),
    "needs_no_consent": Refusal(
        200,
        "This connection needs no consent",
        "It works with a key of its own and not with the permission of a person.",
        "There is nothing to do.",
    ),
    "misconfigured": Refusal(
        500,
        "This connection is not set up yet",
        "A part of its configuration is missing or wrong.",
        "Tell whoever runs this service. Your link stays valid in the meantime.",
    ),
    "provider_error": Refusal(
        502,
        "The provider reports a problem",
        "It did not carry out the request. " + _UNTOUCHED,
        "Wait a few minutes and open the link once more. If it happens again, tell whoever runs this service.",
    ),
    "client_refused": Refusal(
        502,
        "The provider does not accept this service",
        "That is not about you or your account. " + _UNTOUCHED,
        "Tell whoever runs this service, and show them the line below.",
    ),
    "store_unavailable": Refusal(
        503,
        "We could not reach our own store",
        "The connection is as it was before.",
        "Wait a few minutes and open the link once more.",
    ),
    "not_stored": Refusal(
        503,
        "The new permission could not be saved",
        "You did everything right, and the fault is ours. The connection is as it was before.",
        "Wait a few minutes, open the link once more and allow access again.",
    ),
}
