"""The lease of a connection whose refresh token is single-use: at most one exchange in flight (contract 7).

    with leases.held(connection, version=7) as held:
        ...                       # exchange, save; `held.version` becomes the version to exchange next
    connection = held.connection  # as written when the lease was given back

A holder that was slow, or frozen, does nothing on old knowledge: it asks `held.has_time` before it sends, and
`regain` before it writes a version.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from token_refresh.connections.swap import swap
from token_refresh.core.connection import LEASE, Connection, SecretRecord, is_paused
from token_refresh.core.status import LONGEST_LEASE, Lease, lease_of, render_lease
from token_refresh.errors import Busy, Contended, Paused, StoreError
from token_refresh.ports import SecretStore
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")

_UNSAVED_RUNS: Final = 3  # so many runs without a renewal end an unsaved lease


@dataclass(slots=True)
class Held:
    """A lease of ours, and what is to be written when it is given back.

    `before` is the lease that was there; `version` the one to exchange next. `maybe_spent`: the token may be spent, so
    the lease is ended and not released, and the next holder knows. `on_return` says which other annotations ride
    along, of the secret as it is then; it may also name another lease to leave.
    """

    connection: Connection
    lease: Lease
    before: Lease
    version: int
    was_abandoned: bool = False
    maybe_spent: bool = False
    is_unsaved: bool = False
    is_over: bool = False  # no more to be renewed
    is_given_back: bool = False
    is_settled: bool = True  # else it is given back as it was found: an abandoned one must go on telling of its doubt
    on_return: Callable[[SecretRecord], Mapping[str, str | None]] = lambda _: {}


@dataclass(frozen=True, slots=True)
class Leases:
    """Take and give back leases; threads may share it."""

    store: SecretStore
    settings: Settings
    clock: Callable[[], float]
    holder_prefix: str = ""  # tells who takes these leases

    @contextmanager
    def held(
        self,
        connection: Connection,
        version: int,
        *,
        is_done: Callable[[SecretRecord], bool] = lambda _: False,
        takes_unsaved: bool = False,
        unless_paused: bool = False,
    ) -> Iterator[Held]:
        """Hold the lease, and give it back whatever happens; one that cannot be given back ends by itself.

        When another holder wrote it first, `is_done` tells whether there is anything left to do. `takes_unsaved`: a
        new grant need not wait for an old one that its holder cannot store. `unless_paused`: lists may be hours old,
        but the lease is written over the label as it is now. Raises `Busy`, `Paused`, `StoreError`.
        """
        seen = lease_of(connection.record)

        def may_take(record: SecretRecord) -> bool:
            if unless_paused:
                _require_awake(record)
            lease = lease_of(record)
            if lease.is_held(self.clock()) and not (takes_unsaved and lease.unsaved):
                return False
            return lease == seen or not is_done(record)

        held = self._take(connection, version, may_take)
        try:
            yield held
        finally:
            self.give_back(held)

    def _take(self, connection: Connection, version: int, may_take: Callable[[SecretRecord], bool]) -> Held:
        taken: list[tuple[Lease, Lease]] = []

        def changes(record: SecretRecord) -> dict[str, str | None]:
            before = lease_of(record)
            until = self.clock() + self.settings.lease_seconds
            # What a dead holder has left behind is doubtful until this one has settled it, and while it does.
            is_doubtful = before.is_abandoned(self.clock()) and version > before.version + 1
            next_version = before.version if is_doubtful else max(version, before.version)
            holder = self.holder_prefix + uuid.uuid4().hex
            taken.append((before, Lease(holder, until, next_version, kept=before.kept)))
            return {LEASE: render_lease(taken[-1][1])}

        try:
            record = swap(self.store, connection.record, changes, may_take) if may_take(connection.record) else None
        except Contended:
            record = None
        if record is None:
            raise Busy(f"the lease of {connection.secret_id} is held")
        before, lease = taken[-1]
        was_abandoned = before.is_abandoned(self.clock())
        return Held(replace(connection, record=record), lease, before, lease.version, was_abandoned=was_abandoned)

    def has_time(self, held: Held, *, for_sends: int = 1) -> bool:
        """Tell whether enough of the lease is left for one more send, or for two and what comes after them."""
        needed = for_sends * (self.settings.http_timeout + 1)
        return held.lease.until - self.clock() >= needed

    def regain(self, held: Held, *, at_least: float = 0, unless_paused: bool = False) -> None:
        """Hold the lease again, or for longer. Raises `Busy` while another holder has it, `Paused`, `StoreError`.

        What was known under the old lease may be old: look for newer versions by number. A reply is stored whatever
        the label says; `unless_paused` is for what is not sent yet.
        """
        seconds = max(self.settings.lease_seconds, at_least)
        self._renew(held, seconds, unsaved=False, unless_paused=unless_paused)

    def keep_unsaved(self, held: Held) -> None:
        """Mark the lease: its holder keeps a new refresh token in memory. Raises as `regain`."""
        self._renew(held, min(_UNSAVED_RUNS * self.settings.run_every, LONGEST_LEASE), unsaved=True)

    def _renew(self, held: Held, seconds: float, *, unsaved: bool, unless_paused: bool = False) -> None:
        def may_take(record: SecretRecord) -> bool:
            if unless_paused:
                _require_awake(record)
            if held.is_over:  # ended with the process: who comes too late must not hold it up again
                return False
            lease = lease_of(record)
            return lease.holder == held.lease.holder or not lease.is_held(self.clock())

        lease = held.lease

        def changes(record: SecretRecord) -> dict[str, str | None]:
            nonlocal lease
            seen = lease_of(record)
            version, kept = max(held.version, seen.version), max(held.lease.kept, seen.kept)
            lease = Lease(held.lease.holder, self.clock() + seconds, version, unsaved=unsaved, kept=kept)
            return {LEASE: render_lease(lease)}

        # What this instance knows of the metadata may be as old as its lease.
        record = self.store.get(held.connection.secret_id)
        written = swap(self.store, record, changes, may_take) if may_take(record) else None
        if written is None:
            raise Busy(f"the lease of {held.connection.secret_id} was taken over")
        held.connection, held.lease = replace(held.connection, record=written), lease
        held.version = lease.version
        held.is_unsaved = unsaved

    def give_back(self, held: Held) -> None:
        """Release the lease, or end it where a token may be spent; an unsaved one stays marked.

        Another thread may be in the middle of it; as the process may end with this one, it is done once more then.
        """
        if held.is_unsaved or held.is_given_back:
            return
        held.is_over = True
        holder, until = (held.lease.holder, self.clock()) if held.maybe_spent else ("", 0)
        left = Lease(holder, until, held.version, kept=held.lease.kept) if held.is_settled else held.before

        def notes(record: SecretRecord) -> dict[str, str | None]:
            lease = None if left == Lease() else render_lease(left)
            return {LEASE: lease, **held.on_return(record)}

        try:
            record = swap(self.store, held.connection.record, notes, lambda r: lease_of(r).holder == held.lease.holder)
        except Exception as fault:  # noqa: BLE001 - it ends by itself
            said = fault if isinstance(fault, StoreError) else type(fault).__name__
            log.warning("could not release the lease of %s: %s", held.connection.secret_id, said)
        else:
            if record:
                held.connection = replace(held.connection, record=record)
        held.is_given_back = True

    def end(self, held: Held) -> None:
        """End the lease now, without releasing it: the instance goes, and its token may be spent."""
        held.is_unsaved, held.is_given_back, held.maybe_spent = False, False, True
        self.give_back(held)


def _require_awake(record: SecretRecord) -> None:
    if is_paused(record):
        raise Paused(f"{record.secret_id} is paused")
