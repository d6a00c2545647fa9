"""Why a consent cannot go ahead, in the owner's words. Every refusal names the way forward, and has its button.

Statuses: 2xx the owner can do something about it; 403 a ticket or state that proves nothing (any more); 404 no such
connection; 429 too often; 500 ours to mend; 502 the provider's; 503 try again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Button(StrEnum):
    """What the page offers to do next; the value is what it says."""

    AGAIN = "Start again"
    OTHER_ACCOUNT = "Use another account"
    RELOAD = "Try again"
    NEW_LINK = "Send me a new link"
    ASK = "Ask for help"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal says: what happened, and what to do now.

    `tone` is `warn`, `calm` where nothing is wrong, or `good`; `operators_hint` is for those whom the owner asks.
    """

    status: int
    title: str
    happened: str
    way_forward: str
    button: Button = Button.AGAIN
    tone: str = "warn"
    operators_hint: str = ""


_UNTOUCHED = "Nothing was changed here."
_REPORT = "If it happens again, tell {asker}."
_ASK = "Tell {asker}."

# `{asker}` is who asks for consent, `{provider}` the provider's title, `{owner}` the account that is right.
REFUSALS: Final[Mapping[str, Refusal]] = {
    "forged_ticket": Refusal(
        403,
        "This link is not complete",
        "The link was not made by this service, or part of it was lost on the way.",
        "Open it straight from the message, or copy the whole of it. If that does not help, ask {asker} for another.",
        Button.ASK,
    ),
    "expired_ticket": Refusal(
        403,
        "This link has expired",
        "Links work for a limited time only.",
        "Press the button: if your permission is still needed, a new link is on its way to the owner of the account.",
        Button.NEW_LINK,
        "calm",
    ),
    "spent_ticket": Refusal(
        403,
        "This link has been used",
        "Access has been allowed since this link was made.",
        "If you did that, there is nothing left to do. If another message about it comes, use the link in that one.",
        Button.NEW_LINK,
        "calm",
    ),
    "link_sent": Refusal(
        200,
        "A new link is on its way",
        "It goes to the owner of the account, to the address that {asker} has for them.",
        "Look into your mail in a minute or two, and into the folder for unwanted mail.",
        Button.ASK,
        "good",
    ),
    "link_sent_lately": Refusal(
        200,
        "A new link was sent a short time ago",
        "It went to the owner of the account. One link an hour can be asked for.",
        "Look into your mail, and into the folder for unwanted mail. The newest message has the link that works.",
        Button.ASK,
        "calm",
    ),
    "link_not_needed": Refusal(
        200,
        "Nothing is needed",
        "This connection is not waiting for anybody at the moment.",
        "There is nothing to do. You can close this page.",
        Button.ASK,
        "good",
    ),
    "forged_state": Refusal(
        403,
        "We cannot tell that it was you who asked",
        "This answer does not belong to a sign-in that was begun in this browser.",
        "Open the link in your message in the browser that you will sign in with, allow cookies, and finish there.",
        Button.ASK,
    ),
    "used_state": Refusal(
        403,
        "This answer has been used already",
        "Each sign-in is good for one answer. " + _UNTOUCHED,
        "Start again and sign in once more. If a second page of yours is still loading, let it finish first.",
    ),
    "expired_state": Refusal(
        403,
        "That took too long",
        "The sign-in was begun more than an hour ago. " + _UNTOUCHED,
        "Start again; your account is only asked for what it was asked before.",
    ),
    "wrong_issuer": Refusal(
        403,
        "The answer came from somewhere else",
        "It does not carry the name of the provider that you were sent to. " + _UNTOUCHED,
        "Start again. " + _REPORT,
    ),
    "wrong_id_token": Refusal(
        403,
        "The provider's answer does not match",
        "The proof of identity that came with it was not made for this request. " + _UNTOUCHED,
        "Start again. " + _REPORT,
    ),
    "code_refused": Refusal(
        403,
        "The provider no longer accepts this sign-in",
        "Its one-time code has been used, has run out, or was made for another request. " + _UNTOUCHED,
        "Start again and sign in once more.",
    ),
    "declined": Refusal(
        200,
        "You did not allow access",
        "{provider} says that access was declined. " + _UNTOUCHED,
        "To leave it at that, simply close this page. If it was a mistake, start again.",
        tone="calm",
    ),
    "wrong_account": Refusal(
        200,
        "That was a different account",
        "You signed in with an account that does not belong to this connection. " + _UNTOUCHED,
        "Sign in with {owner}. The other account now lists this app: you can remove it in its security settings.",
        Button.OTHER_ACCOUNT,
    ),
    "unknown_account": Refusal(
        200,
        "We cannot tell whose account that is",
        "{provider} does not say which account was signed in with, and only one account is right. " + _UNTOUCHED,
        _ASK + " It is a part of the setup that is missing; there is nothing for you to do.",
        Button.RELOAD,
    ),
    "no_owner": Refusal(
        500,
        "This connection is not set up yet",
        "Nobody has said whose account it is for.",
        _ASK + " Your link stays valid in the meantime.",
        Button.RELOAD,
        operators_hint="set token-refresh.owner",
    ),
    "missing_scopes": Refusal(
        200,
        "Some permissions are missing",
        "Not everything that this connection needs was allowed. " + _UNTOUCHED,
        "Start again and leave every box ticked.",
    ),
    "no_refresh_token": Refusal(
        200,
        "The permission would not last",
        "{provider} did not hand out a permission that lasts. " + _UNTOUCHED,
        "Remove this app in the security settings of your account there, then start again. " + _REPORT,
    ),
    "no_connection": Refusal(
        404,
        "This connection no longer exists",
        "It has been removed since the link was made.",
        "There is nothing to do. If you did not expect that, ask {asker}.",
        Button.ASK,
        "calm",
    ),
    "needs_no_consent": Refusal(
        200,
        "Nothing is needed",
        "This connection works with a key of its own and not with the permission of a person.",
        "There is nothing to do.",
        Button.ASK,
        "calm",
    ),
    "misconfigured": Refusal(
        500,
        "This connection is not set up yet",
        "A part of its setup is missing or wrong.",
        _ASK + " Your link stays valid in the meantime.",
        Button.RELOAD,
    ),
    "provider_error": Refusal(
        502,
        "{provider} reports a problem",
        "It did not carry out the request. " + _UNTOUCHED,
        "Wait a few minutes and start again. " + _REPORT,
    ),
    "client_refused": Refusal(
        502,
        "{provider} does not accept this service",
        "That is not about you or your account. " + _UNTOUCHED,
        _ASK + " They find the reason under the number below.",
        Button.AGAIN,
    ),
    "store_unavailable": Refusal(
        503,
        "We could not reach our own store",
        "Everything is as it was before.",
        "Wait a few minutes and try again.",
        Button.RELOAD,
    ),
    "not_stored": Refusal(
        503,
        "The new permission could not be saved",
        "You did everything right, and the fault is ours. Everything is as it was before.",
        "Wait a few minutes, then start again and allow access once more.",
    ),
    "too_often": Refusal(
        429,
        "One moment, please",
        "This page was asked for too often in a short time.",
        "Wait {wait} and try again. Your link stays valid.",
        Button.RELOAD,
        "calm",
    ),
    "no_receipt": Refusal(
        403,
        "Nothing to show here",
        "This page belongs to the browser in which access was allowed, and is kept there for some days.",
        "If you have allowed access, there is nothing left to do.",
        Button.ASK,
        "calm",
    ),
    "cross_site": Refusal(
        403,
        "This came from another page",
        "Another website tried to start this for you. " + _UNTOUCHED,
        "Open the link straight from your message.",
        Button.RELOAD,
    ),
    "broken": Refusal(
        500,
        "Something is wrong on our side",
        "This service cannot answer at the moment. Everything is as it was before.",
        _ASK + " Your link stays valid in the meantime.",
        Button.RELOAD,
    ),
    "no_page": Refusal(
        404,
        "There is no such page",
        "The address may have been cut off on the way.",
        "Open the link straight from your message, or copy the whole of it.",
        Button.ASK,
        "calm",
    ),
    "no_method": Refusal(
        405,
        "This page cannot be used like that",
        "A browser opens it by its link, and this request came in another way.",
        "Open the link straight from your message.",
        Button.RELOAD,
    ),
    "too_long": Refusal(
        414,
        "This address is too long",
        "It has more characters than any link of ours.",
        "Open the link straight from your message.",
        Button.ASK,
    ),
}
