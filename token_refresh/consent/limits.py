"""How often the pages may be asked for: a link that is followed by machines must not use up what all share.

One process counts for itself. The numbers leave an owner plenty of room, and Secret Manager's reads of metadata (600 a
minute and project) to the refresher.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from token_refresh.consent.request import Refused
from token_refresh.core.consent.session import Ticket
from token_refresh.core.units import HOUR, MINUTE
from token_refresh.instance.recent import Limit

# A view reads metadata once; the refresher keeps 480 reads a minute to itself, and other functions read, too.
_VIEWS_OF_TICKET: Final = 30
_VIEWS: Final = 90
# A callback reads metadata once, and may take a lease: two writes.
_CALLBACKS_OF_TICKET: Final = 10
_CALLBACKS: Final = 60
# Providers lock clients that send bad codes (contract 6).
_EXCHANGES_OF_TICKET: Final = 5
_LINKS: Final = 10


class Limits:
    """Count what good tickets and states ask for; safe for threads.

    Every method raises `Refused`, which says how long to wait.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._views_of_ticket = Limit(_VIEWS_OF_TICKET, MINUTE, clock)
        self._views = Limit(_VIEWS, MINUTE, clock)
        self._callbacks_of_ticket = Limit(_CALLBACKS_OF_TICKET, MINUTE, clock)
        self._callbacks = Limit(_CALLBACKS, MINUTE, clock)
        self._exchanges_of_ticket = Limit(_EXCHANGES_OF_TICKET, HOUR, clock)
        self._links = Limit(_LINKS, HOUR, clock)

    def view(self, key: Ticket | str) -> None:
        """Count a page: of one ticket, and of all."""
        _pass(self._views_of_ticket.take(key))
        _pass(self._views.take())

    def callback(self, ticket: Ticket) -> None:
        """Count an answer of the provider: of one ticket, and of all."""
        _pass(self._callbacks_of_ticket.take(ticket))
        _pass(self._callbacks.take())

    def exchange(self, ticket: Ticket) -> None:
        """Count a code that is sent to the provider; a consent that is stored spends the ticket, and so its count."""
        _pass(self._exchanges_of_ticket.take(ticket))

    def link(self, connection: str) -> None:
        """Count a request for a new link."""
        _pass(self._links.take(connection))
        _pass(self._views.take())


def _pass(seconds: float) -> None:
    if seconds > 0:
        raise Refused("too_often", wait=seconds)
