"""What others have stored while a reply was on its way: a person's grant, another holder's, or ours after all."""

from __future__ import annotations

from typing import assert_never

from token_refresh.connections.newest import read_above
from token_refresh.errors import Superseded, VersionUnusable
from token_refresh.ports import SecretStore
from token_refresh.refresh.attempt import Reply, Whose


def look_above(store: SecretStore, reply: Reply) -> None:
    """Look by number for what others have stored meanwhile; raises `Superseded`, `StoreError`."""
    other = 0
    for found in read_above(store, reply.secret_id, reply.seen):
        if isinstance(found, VersionUnusable):
            continue
        reply.seen = found.number
        match whose := reply.whose(found):
            case Whose.OURS:
                reply.own = found.number
            case Whose.OTHER:
                other, reply.on_top = found.number, found.payload
            case Whose.SPENT:  # put on top again by a holder that has seen what lies below it
                other, reply.on_top = 0, None
            case Whose.NOTHING:
                pass
            case _:
                assert_never(whose)
    if other and not reply.own:
        raise Superseded
    if other > reply.own:  # on top already
        reply.on_top, reply.is_outdone = None, True


def newest_between(store: SecretStore, reply: Reply, number: int) -> bytes | None:
    """Return the grant that a person added between the last look and a version of ours: it is the newer one."""
    newest = None
    for between in range(reply.seen + 1, number):
        try:
            found = store.access(reply.secret_id, between)
        except VersionUnusable:
            continue
        whose = reply.whose(found)
        if whose in (Whose.OTHER, Whose.SPENT):  # likewise
            newest = found.payload if whose == Whose.OTHER else None
    return newest
