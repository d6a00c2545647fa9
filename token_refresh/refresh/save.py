"""Keep what a token endpoint has given.

The order is the product: the new refresh token is durable before anything else is done with the reply, then the
access token, then the lease is released, then old versions are destroyed. A crash between any two steps loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from token_refresh.connections.lease import Leases
from token_refresh.connections.memory import Memory
from token_refresh.core.access_token import AccessTokenFacts, build_annotation, build_document
from token_refresh.core.connection import ACCESS_TOKEN
from token_refresh.core.grant import RefreshTokenGrant, render_rotated
from token_refresh.core.state.grant_end import GrantEnd, find_end
from token_refresh.core.state.verdict import judge, judge_misconfigured
from token_refresh.core.token_endpoint.outcome import Refreshed, Unavailable
from token_refresh.errors import SecretMissing, StoreError, StoreUnavailable
from token_refresh.ports import SecretStore
from token_refresh.refresh.attempt import Attempt, Turn
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")

_FIRST_RETRY: Final = 0.25  # s, of a rotated token that could not be stored; doubles
_LONGEST_RETRY: Final = 5.0
# Versions that a refresh looks back for strays of retried adds. What this instance remembers may be days old, and the
# versions since were destroyed by those who wrote them: asking again would only cost writes.
_LOOK_BACK: Final = 5


@dataclass(frozen=True, slots=True)
class Saver:
    """Store replies; threads may share it."""

    store: SecretStore
    settings: Settings
    known: Memory
    leases: Leases
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def keep(self, turn: Turn, refreshed: Refreshed) -> Attempt:
        """Store a reply; raises `StoreUnavailable` when the access token could not be stored."""
        spent, now = turn.version.number, int(self.clock())
        current, end = spent, None
        if isinstance(turn.grant, RefreshTokenGrant):
            end = find_end(turn.grant, refreshed, turn.provider, now)
        if refreshed.refresh_token is not None:
            payload = render_rotated(
                turn.version.payload,
                refreshed.refresh_token,
                {
                    "issued_at": now,
                    "expires_at": int(end.at) if end else None,
                    "scope": refreshed.scope or getattr(turn.grant, "scope", None),
                },
            )
            saved = self._save_rotated(turn, payload)
            if saved is None:
                self.known.unsaved[turn.connection.name] = (spent, refreshed)
                # Without a stored token there is nothing left to wait for: the operator must hear of it now.
                turn.case = replace(turn.case, facts=None)
                return turn.conclude(judge(turn.case, Unavailable("rotated_token_not_saved")))
            current = saved
        self.known.unsaved.pop(turn.connection.name, None)
        turn.maybe_spent = False
        if turn.lease and turn.lease.until <= self.clock():
            # Somebody may have exchanged the new refresh token meanwhile, and this access token with it.
            raise StoreUnavailable(f"the lease of {turn.connection.secret_id} ended before everything was stored")
        return self._publish_access_token(turn, refreshed, current, now, end)

    def _save_rotated(self, turn: Turn, payload: bytes) -> int | None:
        """Store the only copy of a new refresh token; tried until the lease ends, whatever the store says."""
        until = turn.lease.until if turn.lease else self.clock() + self.settings.lease_seconds
        delay = _FIRST_RETRY
        while True:
            try:
                return self.store.add(turn.connection.secret_id, payload)
            except StoreError as fault:
                log.warning("the new refresh token of %s is not stored yet: %s", turn.connection.name, fault)
                if self.clock() + delay >= until:
                    break
            self.sleep(delay)
            delay = min(delay * 2, _LONGEST_RETRY)
        log.critical(
            "the new refresh token of %s could not be stored in %s; it is kept in memory and tried again while this "
            "instance lives: do not redeploy, mend Secret Manager access",
            turn.connection.name,
            turn.connection.secret_id,
            extra={"json_fields": {"event": "rotated_token_not_saved", "connection": turn.connection.name}},
        )
        return None

    def unsaved(self, turn: Turn) -> Refreshed | None:
        """Return the reply whose refresh token could not be stored, if this is still its turn."""
        kept = self.known.unsaved.get(turn.connection.name)
        if kept is None or turn.lease is None:
            return None
        spent, refreshed = kept
        if spent != turn.version.number:  # somebody stored a newer grant meanwhile
            self.known.unsaved.pop(turn.connection.name, None)
            return None
        return refreshed

    def _publish_access_token(
        self, turn: Turn, refreshed: Refreshed, current: int, now: int, end: GrantEnd | None
    ) -> Attempt:
        """Write the access token for downstream jobs, release the lease, destroy what nobody needs any more."""
        connection = turn.connection
        facts = AccessTokenFacts(refreshed.expires_at, now, current)
        is_text = connection.is_text
        document = (
            refreshed.access_token.reveal().encode()
            if is_text
            else build_document(refreshed, connection=connection.name, connection_version=current, now=now)
        )
        changes: dict[str, str | None] = {ACCESS_TOKEN: build_annotation(facts)} if is_text else {}
        looked_at = turn.case.facts.refreshed_at if turn.case.facts else None
        try:
            written = self.store.add(connection.access_token_secret_id, document)
        except StoreError as fault:
            turn.version = replace(turn.version, number=current)
            self.leases.give_back(turn)
            if isinstance(fault, SecretMissing):
                self.known.forget_access_token(connection)
                message = f"access-token secret {connection.access_token_secret_id} does not exist: create it"
                turn.case = replace(turn.case, version=current)
                return turn.conclude(judge_misconfigured(turn.case, message), tried=False)
            raise
        before = self.known.remember_access_token(connection, facts, written)
        try:
            if turn.lease:
                turn.connection = self.leases.release(turn.connection, turn.lease, current, changes=changes)
            elif changes:
                turn.connection = self.leases.write(turn.connection, changes)
        except StoreError as fault:
            log.warning("could not write the annotations of %s: %s", connection.secret_id, fault)
        self._destroy_old(turn, before, written, rotated=current != turn.version.number)
        attempt = turn.conclude(judge(turn.case, refreshed))
        return replace(attempt, facts=facts, written=written, end=end, looked_at=looked_at)

    def _destroy_old(self, turn: Turn, before: int, written: int, *, rotated: bool) -> None:
        """Keep the access token and its predecessor, the refresh token and its predecessor."""
        connection = turn.connection
        first = max(before - 1, written - _LOOK_BACK) if before else written - 2
        old = [(connection.access_token_secret_id, n) for n in range(max(first, 1), written - 1)]
        if rotated and turn.version.number > 1:
            old.append((connection.secret_id, turn.version.number - 1))
        for secret_id, number in old:
            try:
                self.store.destroy(secret_id, number)
            except StoreError as fault:  # `clean` finds it
                log.warning("could not destroy version %d of %s: %s", number, secret_id, fault)
