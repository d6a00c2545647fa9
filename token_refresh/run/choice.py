"""Which connections a run is about: all, those that a provider's signals point at, or those that are named."""

from __future__ import annotations

import logging
from typing import Final

from token_refresh.connections.directory import Directory, is_suffixed
from token_refresh.core.connection import Connection
from token_refresh.errors import StoreError, UnknownConnection
from token_refresh.run.run import Run
from token_refresh.run.signals import SignalMatcher
from token_refresh.run.visit import Visitor

log = logging.getLogger("token_refresh")

_MOST_READ: Final = 50  # of those that are named; more would take longer to read than a run may last


def choose(run: Run, directory: Directory, matcher: SignalMatcher, visitor: Visitor) -> list[Connection]:
    """Return the connections; what is named and cannot be read is noted. Raises `UnknownConnection`, `StoreError`."""
    trigger = run.trigger
    if trigger.signals:
        return matcher.match(trigger.signals, run.listing(directory))
    if trigger.connections is None:
        return sorted(run.listing(directory), key=lambda c: c.name)
    listed = run.listing(directory) if len(trigger.connections) > _MOST_READ else ()
    by_name = {c.name: c for c in sorted(listed, key=lambda c: is_suffixed(c.record))}
    chosen, unknown = [], []
    for name in trigger.connections:
        try:
            found = by_name.get(name) or directory.find(name)
        except StoreError as fault:
            run.unread.append(visitor.unreadable(name, fault))
            continue
        if found is None:
            unknown.append(name[:255])
        elif trigger.secret_id in (None, found.secret_id):
            chosen.append(found)
    if unknown and not trigger.only_known:
        raise UnknownConnection("no such connection: " + ", ".join(unknown))
    for name in unknown:
        log.info("ignored: %s is not a connection", name)
    return chosen
