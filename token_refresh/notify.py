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
from dataclasses import dataclass, field
from typing import Final
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
from token_refresh.ports import Messenger, SecretStore

log = logging.getLogger("token_refresh")

_PLACEHOLDER: Final = re.compile(r"\{(subject|incident|severity)\}")
_REMEMBERED: Final = DAY  # s; a redelivery comes within minutes
# An owner who is still refused so long after the event is told to the operators (contract 8).
_PATIENCE: Final = DAY


@dataclass(frozen=True, slots=True)
class Reach:
    """How the owner can be told: at `address`, or not at all, for the reason that `note` gives the operators."""

    about: About
    address: str | None = None
    note: str = ""
    unknown: str = ""  # why it cannot be known now


@dataclass(slots=True)
class Notifier:
    """Turn events into messages; threads may share it. `titles` are the providers' titles by key."""

    store: SecretStore
    messenger: Messenger
    urls: Sequence[Secret]
    pace: Pace
    clock: Callable[[], float]
    house: House
    titles: Mapping[str, str]
    operators: list[tuple[int, Secret]] = field(init=False)
    owners: list[tuple[int, Secret]] = field(init=False)
    sent: RecentKeys = field(init=False)

    def __post_init__(self) -> None:
        """Tell whose URLs are whose."""
        numbered = list(enumerate(self.urls))
        self.operators = [(number, url) for number, url in numbered if OWNER not in url.reveal()]
        self.owners = [(number, url) for number, url in numbered if OWNER in url.reveal()]
        self.sent = RecentKeys(_REMEMBERED, self.clock)

    def tell(self, notice: Notice) -> int:
        """Send what the event calls for; return the number of messages sent.

        One that arrives twice is sent once, as far as one instance can tell. Raises `Undeliverable` when any message
        did not leave; those that did are not sent again by the redelivery. An owner that cannot be told, or is still
        refused a day after the event, is told to the operators instead, and nothing is raised for it.
        """
        now, reach = self.clock(), self._reach(notice)
        message = build_operator_message(notice, self.house, reach.about, now, reach.note)
        sent, faults = self._send(notice, self.operators, message)
        if reach.note and not self.operators:
            log.error("notify: the owner of %s was not told: %s", notice.subject, reach.note)
        if reach.address is not None:
            told, owed = self._tell_owner(notice, reach, now)
            sent, faults = sent + told, [*faults, *owed]
        fields = {"event": "notified", "type": notice.type, "subject": notice.subject, "sent": sent}
        log.info("notify: %s %s, %d sent", notice.type, notice.subject, sent, extra={"json_fields": fields})
        failed = {str(fault) for fault in faults} | ({reach.unknown} if reach.unknown else set())
        if failed:
            raise Undeliverable(f"{notice.type} of {notice.subject}: {'; '.join(sorted(failed))}")
        return sent

    def _tell_owner(self, notice: Notice, reach: Reach, now: float) -> tuple[int, list[Undeliverable]]:
        """Tell the owner, or the operators that they cannot be told; return what was sent, and what is to be again."""
        message = build_owner_message(notice, self.house, reach.about, now)
        sent, faults = self._send(notice, self.owners, message, owner=reach.address)
        is_early = notice.time is None or now - notice.time < _PATIENCE
        owed = [fault for fault in faults if is_early and not isinstance(fault, OwnerUnreachable)]
        given_up = "; ".join(sorted({str(fault) for fault in faults if fault not in owed}))
        if not given_up:
            return sent, owed
        why = f"{given_up[:1].upper()}{given_up[1:]}. Tell them, or forward the link."
        log.error("notify: the owner of %s could not be told: %s", notice.subject, why)
        message = build_unreached_message(notice, self.house, reach.about, now, why)
        told, faults = self._send(notice, self.operators, message, key="unreached")
        return sent + told, [*owed, *faults]

    def _send(
        self,
        notice: Notice,
        urls: Sequence[tuple[int, Secret]],
        message: Message,
        *,
        owner: str | None = None,
        key: str = "",
    ) -> tuple[int, list[Undeliverable]]:
        """Send a message by each URL; return how many have left, and the faults of the others."""
        sent, faults = 0, list[Undeliverable]()
        for number, url in urls:
            mark = f"{notice.id} {number} {key}"
            if not self.sent.add(mark):
                continue
            self.pace.wait()
            try:
                self.messenger.send(fill(url, notice), message, owner)
            except Undeliverable as fault:
                faults.append(fault)
                self.sent.forget(mark)
            else:
                sent += 1
        return sent, faults

    def _reach(self, notice: Notice) -> Reach:
        """Find out what the event's connection is, and whether its owner is to be told and can be."""
        provider = notice.text("provider")
        title = self.titles.get(provider, provider)
        is_wanted = bool(self.owners) and notice.is_for_owner
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
            return parse_connection(self.store.get(secret_id))
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
