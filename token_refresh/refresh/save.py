"""Save what a token endpoint has given.

The order is the product: the new refresh token is durable before anything else is done with the reply, then the
access token, then the lease is released; what is too old goes last. A crash between any two steps loses nothing.

A reply is remembered before its first add and forgotten after it. Whatever goes wrong in between, `_save_once` is the
one way on: for the thread that got the reply, for the beginning of each run, and for the end of the process.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from token_refresh.connections.lease import Held, Leases
from token_refresh.connections.newest import read_above
from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.incident.events import NOT_SAVED
from token_refresh.core.state.grant_end import GrantEnd, find_end, version_to_date
from token_refresh.core.state.verdict import judge, judge_misconfigured
from token_refresh.core.status import Lease, Outcome
from token_refresh.core.token_endpoint.outcome import Refreshed, Unavailable
from token_refresh.errors import Busy, SecretMissing, StoreError, Superseded
from token_refresh.instance.unsaved import UnsavedReplies
from token_refresh.ports import SecretStore
from token_refresh.refresh.access_tokens import AccessTokens
from token_refresh.refresh.attempt import Attempt, Prepared, Reply, render_payload
from token_refresh.refresh.meanwhile import look_above, newest_between

log = logging.getLogger("token_refresh")

_FIRST_RETRY: Final = 0.25  # s, of a rotated token that could not be stored; doubles
_LONGEST_RETRY: Final = 5.0
_END_PATIENCE: Final = 0.5  # s, of the ten that a process has to end; a call to the store takes eight at most
_SHORTEST_LEASE: Final = 1.0  # s, that must be left of a lease to add a version under it
_LONGEST_ADD: Final = 20.0  # s, with all that the store's client repeats: what follows a failure may take as long


@dataclass(frozen=True, slots=True)
class Saver:
    """Store replies; threads may share it."""

    store: SecretStore
    leases: Leases
    access_tokens: AccessTokens
    unsaved: UnsavedReplies[Reply]
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def save(self, prepared: Prepared, refreshed: Refreshed, held: Held | None) -> Attempt:
        """Store a reply and return what that came to; raises `StoreError` where no access token could be stored."""
        now, spent = int(self.clock()), prepared.version.number
        if refreshed.refresh_token is None:
            end = self._find_end(prepared, refreshed, now)
            return self.access_tokens.write(prepared, refreshed, held, spent, end, now)
        # A provider that is said never to rotate takes no lease: this one is taken before the first add.
        lease = held or Held(prepared.connection, Lease(uuid.uuid4().hex), Lease(), spent)
        payload = render_payload(prepared, refreshed, refreshed.refresh_token, None, now)
        reply = Reply(prepared, refreshed, payload, None, now, lease, seen=spent)
        self.unsaved.remember(reply)
        # Until it is stored, the next holder must know that the token is spent.
        lease.maybe_spent = True
        # Only now that nothing can lose the reply any more may other calls be made for it.
        reply.end = self._find_end(prepared, refreshed, now)
        reply.payload = render_payload(prepared, refreshed, refreshed.refresh_token, reply.end, now)
        try:
            return self._save_refresh_token(reply)
        finally:
            if held is None:
                self.leases.give_back(lease)

    def _find_end(self, prepared: Prepared, refreshed: Refreshed, now: int) -> GrantEnd | None:
        grant, provider = prepared.request.grant, prepared.request.provider
        if not isinstance(grant, RefreshTokenGrant):
            return None
        created_at, number = None, version_to_date(grant, refreshed, provider, prepared.version.number)
        if number is not None:
            with suppress(Exception):  # a warning less
                created_at = self.store.created_at(prepared.connection.secret_id, number)
        return find_end(grant, refreshed, provider, now, created_at)

    # -- a new refresh token -------------------------------------------------------------------------------------------

    def _save_refresh_token(self, reply: Reply) -> Attempt:
        prepared = reply.prepared
        try:
            self._save_while_held(reply)
        except Superseded:
            return self._drop(reply)
        except SecretMissing as fault:
            self.unsaved.forget(reply)
            return prepared.concluded(judge_misconfigured(prepared.situation, str(fault)))
        except Busy:
            self._mark(reply)
            return prepared.left(Outcome.BUSY, "lease_held")
        except Exception:  # noqa: BLE001 - said already; it is kept, and tried again
            return self._keep(reply)
        return self._finish(reply)

    def save_late(self, reply: Reply) -> Attempt | None:
        """Try once more to store a reply; None while it is not stored. The lease is renewed, or given back."""
        try:
            self._renew(reply)
            self._save_once(reply)
        except Superseded:
            dropped = self._drop(reply)
            self.leases.give_back(reply.held)
            return dropped
        except SecretMissing:
            self.unsaved.forget(reply)
            return None
        except Busy:
            log.warning("the new refresh token of %s waits: another holder has its lease", reply.name)
            return None
        except Exception as fault:  # noqa: BLE001 - whatever it is, the only copy is kept
            self._say(reply, fault)
            if not reply.held.is_unsaved:
                self._mark(reply)
            return None
        try:
            return self._finish(reply)
        except StoreError as fault:  # the new refresh token is safe; the next run exchanges it
            log.warning("the access token of %s could not be stored: %s", reply.name, fault)
            return None
        finally:
            self.leases.give_back(reply.held)

    def end(self, reply: Reply) -> None:
        """Try once more to store a reply, since the process ends; where it cannot be stored, its lease is ended."""
        try:
            self._save_at_the_end(reply)
        except Exception as fault:  # noqa: BLE001 - there is no other chance
            self._say(reply, fault)
            self.leases.end(reply.held)
        else:
            self._note_stored(reply)
            self.leases.give_back(reply.held)

    def _save_at_the_end(self, reply: Reply) -> None:
        """Store a reply although another thread may be in the middle of it: two copies of one token do no harm."""
        if reply.lock.acquire(timeout=_END_PATIENCE):
            reply.lock.release()
            self._save_once(reply)
        elif reply.held.lease.until <= self.clock():
            raise Busy("the lease is over")
        else:
            reply.top = self.store.add(reply.secret_id, reply.payload)

    def _save_while_held(self, reply: Reply) -> None:
        """Store the only copy of a new refresh token; tried until the lease ends, whatever goes wrong."""
        until, delay = 0.0, _FIRST_RETRY
        while True:
            try:
                return self._save_once(reply)
            except (Superseded, SecretMissing):
                raise
            except Exception as fault:
                self._say(reply, fault)
                self.unsaved.note_failure(reply)
                was_frozen = not until and reply.held.lease.until <= self.clock()  # the add may have taken effect
                until = until or reply.held.lease.until  # a holder that was slow has got the lease again by now
                if isinstance(fault, Busy) or not was_frozen and self.clock() + delay >= until:
                    raise
            self.sleep(delay)
            delay = min(delay * 2, _LONGEST_RETRY)

    def _save_once(self, reply: Reply) -> None:
        """Add the new refresh token under the lease, unless it is stored, or a newer grant is.

        Raises `Superseded`, `Busy` (another holder has the lease), `SecretMissing`, or whatever the store raises.
        """
        with reply.lock:
            if reply.top:
                return
            self._hold(reply)
            if not reply.own:
                reply.own = self.store.add(reply.secret_id, reply.payload)
            if reply.seen < reply.own:
                reply.on_top = newest_between(self.store, reply, reply.own) or reply.on_top
                reply.seen = reply.own
            while reply.on_top is not None:
                self._put_on_top(reply)
            reply.top = reply.seen

    def _put_on_top(self, reply: Reply) -> None:
        """Add a person's grant once more, above our own; one that came meanwhile is the next."""
        self._hold(reply)
        if reply.on_top is not None:
            log.warning("%s: a version that was added during the exchange is put on top again", reply.name)
            number = self.store.add(reply.secret_id, reply.on_top)
            reply.on_top = newest_between(self.store, reply, number)
            reply.seen = number

    def _hold(self, reply: Reply) -> None:
        """Make sure that the lease outlasts the next add: who takes it over would spend the old token once more."""
        left = reply.held.lease.until - self.clock()
        if left < _SHORTEST_LEASE:
            # Slow, frozen, or saved late: what was known under the old lease may be old.
            self.leases.regain(reply.held, at_least=_LONGEST_ADD)
            look_above(self.store, reply)
        elif reply.is_failing:
            with suppress(StoreError):  # it is still ours
                if left < _LONGEST_ADD:
                    self.leases.regain(reply.held, at_least=_LONGEST_ADD)
            with suppress(StoreError):  # an add that failed may have taken effect
                look_above(self.store, reply)

    def _finish(self, reply: Reply) -> Attempt:
        """Publish the access token of a stored reply, if it is still good and no other holder went on meanwhile."""
        self._note_stored(reply)
        held, prepared = reply.held, reply.prepared
        if reply.is_outdone:
            return prepared.outdone()
        if held.lease.until <= self.clock():
            try:
                self.leases.regain(held)
            except Busy:
                return prepared.left(Outcome.BUSY, "lease_held")
            if next(read_above(self.store, reply.secret_id, reply.top), None):
                return prepared.outdone()
        return self.access_tokens.write(prepared, reply.refreshed, held, reply.own, reply.end, reply.received_at)

    def _note_stored(self, reply: Reply) -> None:
        """Note that a reply is stored: its lease may be released, naming the version to exchange next."""
        self.unsaved.forget(reply)
        held = reply.held
        held.version, held.maybe_spent, held.is_unsaved = reply.top, False, False

    def _drop(self, reply: Reply) -> Attempt:
        """Forget a reply: a newer grant has been stored."""
        log.warning("%s: a newer grant was stored meanwhile; the reply to the old one is dropped", reply.name)
        reply.top = reply.seen
        self._note_stored(reply)
        return reply.prepared.outdone()

    def _keep(self, reply: Reply) -> Attempt:
        """Keep a reply that could not be stored, and say so at once: the operator must hear of it now."""
        self._mark(reply)
        log.critical(
            "the new refresh token of %s could not be stored in %s; it is kept in memory and tried again while this "
            "instance lives: do not redeploy, mend Secret Manager access",
            reply.name,
            reply.secret_id,
            extra={"json_fields": {"event": "rotated_token_not_saved", "connection": reply.name}},
        )
        situation = replace(reply.prepared.situation, facts=None, now=self.clock())
        return reply.prepared.concluded(judge(situation, Unavailable(NOT_SAVED)))

    def _renew(self, reply: Reply) -> None:
        """Renew the mark before the reply is tried: a try may take longer than the run waits for it."""
        was_over = reply.held.lease.until <= self.clock()
        try:
            self.leases.keep_unsaved(reply.held)
        except StoreError as fault:
            return self._say(reply, fault)
        if was_over:
            look_above(self.store, reply)
        return None

    def _mark(self, reply: Reply) -> None:
        """Mark the lease, so that other holders wait for what only this instance has."""
        try:
            self.leases.keep_unsaved(reply.held)
        except Exception as fault:  # noqa: BLE001 - others will take over when the lease ends
            self._say(reply, fault)
            reply.held.is_unsaved = True

    @staticmethod
    def _say(reply: Reply, fault: Exception) -> None:
        said = fault if isinstance(fault, StoreError | Busy) else type(fault).__name__
        log.warning("the new refresh token of %s is not stored yet: %s", reply.name, said)
