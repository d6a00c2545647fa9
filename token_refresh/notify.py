"""Tell owners and operators about an event: one message per incident, one when it is over.

    event                                          owner   operators
    invalid_grant, consent_expiring, _overdue      yes     yes
    client_rejected, refresh_failing               never   yes
    recovered, after an owner's incident           yes     yes
    recovered, after an operators' incident        never   yes

"Operators" are the Apprise URLs without ``{owner}``; the owner is reached by those with it, and at no other address
than the annotated one. An owner that cannot be told is told to the operators, who also see what owners are asked to do:
an owner may have left.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote

from token_refresh.core.connection import Connection, parse_connection
from token_refresh.core.incident.address import OWNER, parse_address
from token_refresh.core.incident.events import EventType
from token_refresh.core.incident.message import About, House, Message
from token_refresh.core.incident.notice import Notice
from token_refresh.core.incident.operator_message import build_operator_message, build_unreached_message
from token_refresh.core.incident.owner_message import build_owner_message
from token_refresh.core.secrecy import Secret
from token_refresh.core.units import DAY
from token_refresh.errors import OwnerUnreachable, SecretMissing, StoreError, Undeliverable
from token_refresh.instance.pace import Pace
from token_refresh.instance.recent import RecentKeys
from token_refresh.ports import SecretStore

log = logging.getLogger("token_refresh")

_PLACEHOLDER: Final = re.compile(r"\{(subject|incident|severity)\}")
_REMEMBERED: Final = DAY  # s; a redelivery comes within minutes
# An owner who is still refused so long after the event is told to the operators (contract 8).
_PATIENCE: Final = DAY


class Messenger(Protocol):
    """Sends one message by one Apprise URL."""

    def send(self, url: Secret, message: Message, owner: str | None = None) -> None:
        """Send it; with `owner`, ``{owner}`` in the URL stands for exactly that address.

        Raises `Undeliverable`, and `OwnerUnreachable` when the URL would write to another address, or to more.
        """


@dataclass(frozen=True, slots=True)
class Reach:
    """How the owner can be told: at `address`, or not at all, for the reason that `note` gives the operators."""

    about: About
    address: str | None = None
    note: str = ""
    unknown: str = ""  # why it cannot be known now


class Notifier:
    """Turn events into messages; threads may share it."""

    def __init__(  # noqa: PLR0913, PLR0917 - its parts
        self,
        store: SecretStore,
        messenger: Messenger,
        urls: Sequence[Secret],
        pace: Pace,
        clock: Callable[[], float],
        house: House,
        titles: Mapping[str, str],
    ) -> None:
        """Build it; `titles` are the providers' titles by key."""
        self._store = store
        self._messenger = messenger
        self._operators = tuple((n, url) for n, url in enumerate(urls) if OWNER not in url.reveal())
        self._owners = tuple((n, url) for n, url in enumerate(urls) if OWNER in url.reveal())
        self._pace = pace
        self._clock = clock
        self._house = house
        self._titles = titles
        self._sent = RecentKeys(_REMEMBERED, clock)

    def tell(self, notice: Notice) -> int:
        """Send what the event calls for; return the number of messages sent.

        One that arrives twice is sent once, as far as one instance can tell. Raises `Undeliverable` when any message
        did not leave; those that did are not sent again by the redelivery. An owner that cannot be told, or is still
        refused a day after the event, is told to the operators instead, and nothing is raised for it.
        """
        failed: list[str] = []
        now, reach = self._clock(), self._reach(notice)
        message = build_operator_message(notice, self._house, reach.about, now, reach.note)
        sent = self._send(notice, self._operators, message, failed)
        if reach.unknown:
            failed.append(reach.unknown)
        if reach.note and not self._operators:
            log.error("notify: the owner of %s was not told: %s", notice.subject, reach.note)
        if reach.address is not None:
            sent += self._tell_owner(notice, reach, now, failed)
        fields = {"event": "notified", "type": notice.type, "subject": notice.subject, "sent": sent}
        log.info("notify: %s %s, %d sent", notice.type, notice.subject, sent, extra={"json_fields": fields})
        if failed:
            raise Undeliverable(f"{notice.type} of {notice.subject}: {'; '.join(sorted(set(failed)))}")
        return sent

    def _tell_owner(self, notice: Notice, reach: Reach, now: float, failed: list[str]) -> int:
        refused: list[str] = []
        lasting: list[str] = []
        message = build_owner_message(notice, self._house, reach.about, now)
        sent = self._send(notice, self._owners, message, refused, owner=reach.address, lasting=lasting)
        if refused and (notice.time is None or now - notice.time < _PATIENCE):
            failed += refused
            refused = []
        if not refused and not lasting:
            return sent
        faults = "; ".join(sorted({*refused, *lasting}))
        why = f"{faults[:1].upper()}{faults[1:]}. Tell them, or forward the link."
        log.error("notify: the owner of %s could not be told: %s", notice.subject, why)
        message = build_unreached_message(notice, self._house, reach.about, now, why)
        return sent + self._send(notice, self._operators, message, failed, key="unreached")

    def _send(  # noqa: PLR0913 - what to send, to whom, and where faults go
        self,
        notice: Notice,
        urls: Sequence[tuple[int, Secret]],
        message: Message,
        failed: list[str],
        *,
        owner: str | None = None,
        lasting: list[str] | None = None,
        key: str = "",
    ) -> int:
        sent = 0
        for number, url in urls:
            mark = f"{notice.id} {number} {key}"
            if not self._sent.add(mark):
                continue
            self._pace.wait()
            try:
                self._messenger.send(fill(url, notice), message, owner)
            except Undeliverable as fault:
                is_lasting = lasting is not None and isinstance(fault, OwnerUnreachable)
                (lasting if lasting is not None and is_lasting else failed).append(str(fault))
                self._sent.forget(mark)
            else:
                sent += 1
        return sent

    def _reach(self, notice: Notice) -> Reach:
        """Find out what the event's connection is, and whether its owner is to be told and can be."""
        provider = notice.text("provider")
        title = self._titles.get(provider, provider)
        is_wanted = bool(self._owners) and notice.is_for_owner
        try:
            connection = self._connection(notice)
        except StoreError as fault:
            # Operators hear of it all the same.
            return Reach(About(provider=title), unknown=f"the owner cannot be looked up: {fault}" if is_wanted else "")
        if connection is None:
            return Reach(About(provider=title))
        about = About(
            title=connection.title or "",
            purpose=connection.purpose or "",
            owner=connection.owner or "",
            provider=title,
        )
        if not is_wanted:
            return Reach(about)
        address = parse_address(connection.owner or "")
        is_over = notice.type == EventType.RECOVERED  # then there is no link to forward
        return Reach(about, address, note="" if address or is_over else _why_not(connection.owner))

    def _connection(self, notice: Notice) -> Connection | None:
        secret_id = notice.data.get("connection_secret")
        if not isinstance(secret_id, str) or not secret_id:
            return None
        try:
            return parse_connection(self._store.get(secret_id))
        except SecretMissing:
            return None


def fill(url: Secret, notice: Notice) -> Secret:
    """Put the event's facts into a URL, encoded, so that none adds to it; ``{owner}`` is the messenger's."""
    facts = {"subject": notice.subject, "incident": notice.incident, "severity": notice.severity}
    return Secret(_PLACEHOLDER.sub(lambda found: quote(facts[found[1]], safe=""), url.reveal()))


def read_urls(setting: Secret) -> tuple[Secret, ...]:
    """Read `NOTIFY_URLS`: one Apprise URL per line; empty lines and those that begin with ``#`` are skipped."""
    lines = (line.strip() for line in setting.reveal().splitlines())
    return tuple(Secret(line) for line in lines if line and not line.startswith("#"))


def _why_not(owner: str | None) -> str:
    if not owner:
        return "No owner is annotated (token-refresh.owner). Find the right person and forward the link."
    if owner == "*":
        return (
            "The annotation token-refresh.owner is `*`: the first account to consent. "
            "Forward the link to the right person."
        )
    return "The annotation token-refresh.owner is not one e-mail address. Tell them, or forward the link."
