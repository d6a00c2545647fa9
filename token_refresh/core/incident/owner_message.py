"""What an owner reads: who asks, what for, which account, until when, and one button. No jargon, no provider's text.

An owner knows their account and their job, and nothing of OAuth. So a sentence says what happened to *their*
permission, whose doing it is, and what to do now; what operators must do stands in `fixes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from token_refresh.core.incident.events import NEVER_CONSENTED, EventType, remedy_for
from token_refresh.core.incident.message import (
    About,
    Address,
    Block,
    Button,
    Facts,
    House,
    Message,
    Paragraph,
    Small,
    lay_out,
    link_of,
)
from token_refresh.core.incident.moments import find_moment, words_of_day, words_of_moment
from token_refresh.core.incident.notice import Notice
from token_refresh.core.secrecy import shown

_TITLES: Final[Mapping[str, str]] = {
    EventType.INVALID_GRANT: "{what} needs your permission",
    EventType.CONSENT_OVERDUE: "Reminder: {what} still needs your permission",
    EventType.RECOVERED: "{what} is connected again",
}
_BUTTONS: Final[Mapping[str, str]] = {"reconsent": "Allow access", "reauthenticate": "Sign in again"}

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


def build_owner_message(notice: Notice, house: House, about: About, now: float) -> Message:
    """Build the message about an event for the owner of its connection; `now` in epoch seconds."""
    what = shown(about.title or notice.subject, limit=255)
    title = _title(notice, what)
    if notice.type == EventType.RECOVERED:
        account = f" to {about.provider}" if about.provider else ""
        over = f"{what} is connected{account} again. There is nothing left for you to do."
        return lay_out(notice, title, [Paragraph(over), *_signature(notice, house)])
    link = link_of(notice, house)
    blocks: list[Block] = [Paragraph(_who_asks(notice, house, about)), Paragraph(_why(notice, about))]
    blocks.append(Facts((("What it is for", shown(about.purpose)), ("Account to sign in with", shown(about.owner)))))
    if link is not None:
        blocks.append(Button(_label(notice), link))
    blocks.append(Facts(_times(notice, house, now, has_link=link is not None)))
    # What a program cannot show as a button, and what a careful reader asks, comes after what a phone shows first.
    whom = shown(house.contact) or shown(house.name) or "the people who run this service"
    if link:
        caution = (
            "The link is meant for you alone: please do not forward it. If you do not know what this is about, do not "
            f"open it and ask {whom}."
        )
        blocks += [Address(link), Small(caution)]
    else:
        blocks.append(Paragraph(f"Please ask {whom} for a link: this message could not bring one."))
    return lay_out(notice, title, [*blocks, *_signature(notice, house)])


def _title(notice: Notice, what: str) -> str:
    if notice.type == EventType.CONSENT_EXPIRING:
        day = words_of_day(_end(notice))
        return f"{what}: your permission ends {f'on {day}' if day else 'soon'}"
    return _TITLES[notice.type].format(what=what)


def _who_asks(notice: Notice, house: House, about: About) -> str:
    who = shown(house.name) or shown(about.title or notice.subject, limit=255)
    account = f"your {about.provider} account" if about.provider else "your account"
    if notice.type == EventType.CONSENT_EXPIRING:
        return f"{who} uses {account} with your permission."
    if notice.text("reason") == NEVER_CONSENTED:
        return f"{who} would like to use {account}."
    still = "still needs" if notice.type == EventType.CONSENT_OVERDUE else "needs"
    return f"{who} {still} your permission to go on using {account}."


def _why(notice: Notice, about: About) -> str:
    reason = EventType.CONSENT_EXPIRING if notice.type == EventType.CONSENT_EXPIRING else notice.text("reason")
    return owner_words(reason, about.provider)


def _times(notice: Notice, house: House, now: float, *, has_link: bool) -> tuple[tuple[str, str], ...]:
    works_until = notice.data.get("access_token_expires_at")
    is_over = isinstance(works_until, int | float) and works_until <= now
    sent = notice.time if notice.time is not None else now
    link = ("This link works until", words_of_moment(sent + house.ticket_ttl, now) if has_link else "")
    if notice.type == EventType.CONSENT_EXPIRING:
        return (("The permission ends", words_of_moment(_end(notice), now)), link)
    return (
        ("Since", words_of_moment(notice.data.get("first_failed_at"), now)),
        ("Stopped working" if is_over else "Works until", words_of_moment(works_until, now)),
        link,
    )


def _end(notice: Notice) -> float | None:
    """Find when a permission ends: contract 8 has no field for it, the message says it."""
    return find_moment(notice.text("message")) if notice.type == EventType.CONSENT_EXPIRING else None


def _label(notice: Notice) -> str:
    if notice.type == EventType.CONSENT_EXPIRING:
        return "Renew the permission"
    return _BUTTONS.get(remedy_for(notice.text("reason")), "Allow access")


def _signature(notice: Notice, house: House) -> list[Block]:
    sender = f"Sent for {shown(house.name)}." if house.name else "Sent by token-refresh."
    contact = f" Questions: {shown(house.contact)}." if house.contact else ""
    return [Small(f"{sender}{contact} Reference: {shown(notice.subject, limit=255)}")]
