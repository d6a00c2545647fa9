"""What operators read: what happened to what, the provider's answer, what to do, where, and what the owner was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from token_refresh.core.incident.events import EventType, remedy_for, words_for
from token_refresh.core.incident.incident import MOST_NAMES
from token_refresh.core.incident.message import About, House, Message, facts, lay_out, link_of, paragraph
from token_refresh.core.incident.moments import words_of_moment
from token_refresh.core.incident.notice import Notice
from token_refresh.core.incident.words import Fix
from token_refresh.core.secrecy import shown

_TITLES: Final[Mapping[str, str]] = {
    EventType.INVALID_GRANT: "{subject} needs its owner's consent",
    EventType.CONSENT_EXPIRING: "{subject}: consent ends soon",
    EventType.CONSENT_OVERDUE: "{subject} still waits for its owner's consent",
    EventType.REFRESH_FAILING: "{subject}: refreshing fails",
    EventType.RECOVERED: "{subject} is healthy again",
}
# A `client_rejected` event is about what the remedy says, and not always about the client.
_REJECTED: Final[Mapping[str, str]] = {
    "fix_client": "{subject}: the provider refuses the client",
    "fix_configuration": "{subject}: the configuration has to be corrected",
    "ask_admin": "{subject}: an administrator has to allow it",
}
_BY_REASON: Final[Mapping[str, str]] = {
    "misconfigured": "{subject} cannot be used as it is configured",
    "mass_invalid_grant": "{subject}: many grants of this client died at once",
    "testing_mode_expiry": "{subject} died after seven days in Testing: publish the app",
    "reauth_required": "{subject} needs its owner to sign in again",
}
_ANSWER: Final = ("error", "error_subtype", "error_description")
_UNVERIFIED: Final = "unverified (the provider does not say whose it is): make sure that the right person consented"


def build_operator_message(notice: Notice, house: House, about: About, now: float, note: str = "") -> Message:
    """Build the message about an event for the operators; `note` says why the owner could not be told."""
    reason = notice.text("reason")
    means = words_for(reason)
    said = _sentence(notice.text("message") or means)
    blocks = [paragraph(said)]
    if notice.type != EventType.RECOVERED:
        fix = house.words.fix(
            reason,
            project=house.project,
            provider=notice.text("provider"),
            connection=notice.text("connection"),
            secret=notice.text("connection_secret"),
        )
        blocks.append(facts(_what_to_do(notice, house, fix, note)))
    blocks.append(facts(_facts(notice, house, about, now, "" if means in said else means)))
    return lay_out(notice, _title(notice), blocks)


def build_unreached_message(notice: Notice, house: House, about: About, now: float, why: str) -> Message:
    """Build the message that an owner has not been reached in a day, so that an operator takes over."""
    subject = shown(notice.subject, limit=255)
    told = build_operator_message(notice, house, about, now, why)
    return replace(told, title=f"{subject}: its owner could not be told")


def _title(notice: Notice) -> str:
    reason = notice.text("reason")
    template = _TITLES.get(notice.type, "")
    if notice.type == EventType.CLIENT_REJECTED:
        remedy = notice.text("remedy") or remedy_for(reason)
        template = _BY_REASON.get(reason) or _REJECTED.get(remedy, _REJECTED["fix_client"])
    elif notice.type == EventType.INVALID_GRANT:
        template = _BY_REASON.get(reason, template)
    return template.format(subject=shown(notice.subject, limit=255))


def _facts(notice: Notice, house: House, about: About, now: float, means: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Project", house.project),
        ("Connection", notice.text("connection")),
        ("Connections", _connections(notice.data)),
        ("Provider", notice.text("provider")),
        ("Owner", shown(about.owner)),
        ("Account", _UNVERIFIED if notice.text("account") == "unverified" else ""),
        ("Reason", notice.text("reason")),
        ("Meaning", "" if notice.type == EventType.RECOVERED else means),
        ("Answer", " ".join(filter(None, map(notice.text, _ANSWER)))),
        ("First failed", words_of_moment(notice.data.get("first_failed_at"), now)),
        ("Access token ends", words_of_moment(notice.data.get("access_token_expires_at"), now)),
        ("Read from", notice.text("access_token_secret")),
        ("Severity", notice.severity),
    )


def _what_to_do(notice: Notice, house: House, fix: Fix, note: str) -> tuple[tuple[str, str], ...]:
    return (
        ("The owner was not told", note),
        ("What to do", fix.do),
        ("Where", fix.where),
        ("Runbook", f"{house.runbook_url or 'docs/runbook.md'}#{fix.anchor}"),
        # Not a button: it is not the operator's to press.
        ("Consent link, for the owner to open", link_of(notice, house) or ""),
    )


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def _connections(data: Mapping[str, object]) -> str:
    """Name the connections of a client event: how many, and some of them."""
    names, count = data.get("connection_names"), data.get("connections")
    listed: Sequence[object] = names if isinstance(names, list) else ()
    shown_names = [shown(name, limit=255) for name in listed[:MOST_NAMES] if isinstance(name, str)]
    if isinstance(count, bool) or not isinstance(count, int):
        count = len(shown_names)
    if not count:
        return ""
    more = count - len(shown_names)
    text = ", ".join(shown_names) + (f" and {more} more" if shown_names and more > 0 else "")
    return f"{count} ({text})" if text else str(count)
