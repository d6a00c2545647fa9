"""Which connections a run is about: all, those that a provider's signals point at, or those that are named."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from token_refresh.connections.directory import Directory, is_suffixed
from token_refresh.connections.grants import OwnersGrants
from token_refresh.connections.memory import Memory
from token_refresh.core.connection import Connection
from token_refresh.core.signals import Signal, is_same_issuer, matches
from token_refresh.core.token_request import subject_of
from token_refresh.errors import StoreError, UnknownConnection
from token_refresh.run.run import Run
from token_refresh.run.visit import Visitor

log = logging.getLogger("token_refresh")

_MOST_NAMED: Final = 20  # of those that do not exist: to find that out costs two reads each, and nothing is run anyway
_MOST_READ: Final = 50  # of those that are named; more would take longer to read than a run may last


@dataclass(frozen=True, slots=True)
class Chooser:
    """Choose connections. Of signals (contract 13) a payload is read only where no subject tells."""

    grants: OwnersGrants
    directory: Directory
    memory: Memory
    visitor: Visitor

    def choose(self, run: Run) -> list[Connection]:
        """Return them; what is named and cannot be read is noted. Raises `UnknownConnection`, `StoreError`."""
        trigger = run.trigger
        if trigger.signals:
            return self._match(trigger.signals, run.listing(self.directory))
        if trigger.connections is None:
            return sorted(run.listing(self.directory), key=lambda c: c.name)
        listed = run.listing(self.directory) if len(trigger.connections) > _MOST_READ else ()
        by_name = {c.name: c for c in sorted(listed, key=lambda c: is_suffixed(c.record))}
        chosen, unknown = [], []
        for name in trigger.connections:
            try:
                found = by_name.get(name) or self.directory.find(name)
            except StoreError as fault:
                run.unread.append(self.visitor.unreadable(name, fault))
                continue
            if found is None:
                unknown.append(name[:255])
                if len(unknown) == _MOST_NAMED and not trigger.only_known:
                    break
            elif trigger.secret_id in (None, found.secret_id):
                chosen.append(found)
        if unknown and not trigger.only_known:
            raise UnknownConnection("no such connection: " + ", ".join(unknown))
        for name in unknown:
            log.info("ignored: %s is not a connection", name)
        return chosen

    def _match(self, signals: Sequence[Signal], listed: Sequence[Connection]) -> list[Connection]:
        """Return the connections that any of the signals is about."""
        known = [c for c in listed if any(matches(s, self._issuer(c), c.subject, None) for s in signals)]
        ids = {c.secret_id for c in known}
        unread = [c for c in listed if c.secret_id not in ids and any(self._payload_tells(c, s) for s in signals)]
        return [*known, *self._match_stored(signals, unread)]

    def _payload_tells(self, connection: Connection, signal: Signal) -> bool:
        """Tell whether it takes the payload to know: the token, or an account that the annotations do not name."""
        issuer = self._issuer(connection)
        is_open = signal.kind != "sub" or connection.subject is None
        return is_open and issuer is not None and is_same_issuer(issuer, signal.issuer)

    def _match_stored(self, signals: Sequence[Signal], unread: Sequence[Connection]) -> list[Connection]:
        """Match by what the secrets hold: the token, or the account's id in a payload."""
        return [
            c
            for c, grant in zip(unread, self.grants.read(unread), strict=True)
            if grant and any(matches(s, self._issuer(c), subject_of(c, grant), grant.refresh_token) for s in signals)
        ]

    def _issuer(self, connection: Connection) -> str | None:
        provider = self.memory.providers.get(connection.provider)
        return provider.issuer if provider else None
