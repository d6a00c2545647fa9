"""What an owner reads: who asks, what for, which account, until when, and one button. No jargon, no provider's text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from token_refresh.core.incident.events import NEVER_CONSENTED, EventType, remedy_for
from token_refresh.core.incident.message import (
    About,
    Block,
    House,
    Message,
    address,
    button,
    facts,
    lay_out,
    link_of,
    paragraph,
    small,
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


def build_owner_message(notice: Notice, house: House, about: About, now: float) -> Message:
    """Build the message about an event for the owner of its connection; `now` in epoch seconds."""
    what = shown(about.title or notice.subject, limit=255)
    title = _title(notice, what)
    if notice.type == EventType.RECOVERED:
        account = f" to {about.provider}" if about.provider else ""
        over = f"{what} is connected{account} again. There is nothing left for you to do."
        return lay_out(notice, title, [paragraph(over), *_signature(notice, house)])
    link = link_of(notice, house)
    blocks = [paragraph(_who_asks(notice, house, about)), paragraph(_why(notice, house, about))]
    blocks.append(facts((("What it is for", shown(about.purpose)), ("Account to sign in with", shown(about.owner)))))
    if link is not None:
        blocks.append(button(_label(notice), link))
    blocks.append(facts(_times(notice, house, now, has_link=link is not None)))
    # What a program cannot show as a button, and what a careful reader asks, comes after what a phone shows first.
    whom = shown(house.contact) or shown(house.name) or "the people who run this service"
    if link:
        caution = (
            "The link is meant for you alone: please do not forward it. If you do not know what this is about, do not "
            f"open it and ask {whom}."
        )
        blocks += [address(link), small(caution)]
    else:
        blocks.append(paragraph(f"Please ask {whom} for a link: this message could not bring one."))
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


def _why(notice: Notice, house: House, about: About) -> str:
    reason = EventType.CONSENT_EXPIRING if notice.type == EventType.CONSENT_EXPIRING else notice.text("reason")
    return house.words.for_owner(reason, about.provider)


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
    return [small(f"{sender}{contact} Reference: {shown(notice.subject, limit=255)}")]
