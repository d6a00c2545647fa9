"""Write access tokens for downstream jobs. What is old by then is the janitor's matter (`run/clean.py`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from token_refresh.connections.lease import Held, Leases
from token_refresh.connections.memory import Memory, StoredToken, no_place
from token_refresh.connections.swap import swap
from token_refresh.core.access_token import AccessTokenFacts, build_annotation, build_document, parse_facts
from token_refresh.core.connection import ACCESS_TOKEN, Connection
from token_refresh.core.state.grant_end import GrantEnd
from token_refresh.core.state.verdict import judge, judge_misconfigured
from token_refresh.core.status import Outcome
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.errors import SecretMissing, StoreDenied, StoreError, StoreRefused
from token_refresh.ports import SecretStore
from token_refresh.refresh.attempt import Attempt, Prepared

log = logging.getLogger("token_refresh")

_LATE: Final = 2.0  # s, after which a token may have run out on its way: then it is not written
_FROZEN: Final = 30.0  # s, after which a reply may have been overtaken


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Write the access tokens of replies whose refresh token is safe; threads may share it."""

    store: SecretStore
    memory: Memory
    leases: Leases
    clock: Callable[[], float]

    def write(  # noqa: PLR0913, PLR0917 - the reply, and what is known of it
        self,
        prepared: Prepared,
        refreshed: Refreshed,
        held: Held | None,
        current: int,
        end: GrantEnd | None,
        now: int,
    ) -> Attempt:
        """Write the access token for downstream jobs, and destroy an old refresh token once the lease is back."""
        if self._has_run_out(prepared, refreshed):
            return prepared.left(Outcome.DEFERRED, "saved_late")
        prepared = replace(prepared, situation=replace(prepared.situation, now=self.clock()))
        connection, situation = prepared.connection, prepared.situation
        if held is None and self._is_outdone(prepared, now):
            return prepared.left(Outcome.FRESH, "refreshed_elsewhere")
        facts = AccessTokenFacts(refreshed.expires_at, now, current)
        document = (
            refreshed.access_token.reveal().encode()
            if connection.is_text
            else build_document(refreshed, connection=connection.name, connection_version=current, now=now)
        )
        try:
            written = self.store.add(connection.access_token_secret_id, document)
        except SecretMissing:
            self.memory.forget_access_token(connection)
            verdict = judge_misconfigured(replace(situation, version=current), str(no_place(connection)))
            return prepared.concluded(verdict)
        except (StoreDenied, StoreRefused) as fault:
            situation = replace(situation, version=current)
            verdict = judge_misconfigured(situation, str(fault), needs_exchange=True)
            return replace(prepared.concluded(verdict), failed_at_store=True)
        before = self.memory.remember_access_token(connection, facts, written)
        notes: dict[str, str | None] = {ACCESS_TOKEN: build_annotation(facts)} if connection.is_text else {}
        if held:
            held.on_return = lambda _: notes
            self.leases.give_back(held)
            connection = held.connection
        elif notes:
            connection = self._annotate(connection, notes)
        # What another holder has left behind when it died, or was frozen, may be a person's grant: `clean` finds it.
        if current != prepared.version.number and not (held and held.was_abandoned):
            self._destroy_previous_grant(prepared)
        looked_at = situation.facts.refreshed_at if situation.facts else None
        attempt = Attempt(connection, situation, judge(situation, refreshed), facts, written, end, looked_at)
        return replace(attempt, overtaken_by=self._newer_below(connection, before, written, current))

    def _newer_below(self, connection: Connection, before: StoredToken, written: int, current: int) -> int:
        """Return the version of the newer grant that the last access token was made of; 0 = it was not.

        Versions count up by one: if somebody has written since this instance looked, what it remembers is old, and so
        may be `latest`, by which it found its grant. Only then does the question cost an access.
        """
        if connection.is_text or not before.version or written == before.version + 1:
            return 0
        with suppress(StoreError):
            facts = parse_facts(self.store.access(connection.access_token_secret_id, written - 1).payload)
            return facts.connection_version if facts and facts.connection_version > current else 0
        return 0

    def _has_run_out(self, prepared: Prepared, refreshed: Refreshed) -> bool:
        """Tell whether a token was so long on its way (slow, or frozen) that it has run out there."""
        now = self.clock()
        return now - prepared.situation.now >= _LATE and refreshed.expires_at <= now

    def _is_outdone(self, prepared: Prepared, received_at: int) -> bool:
        """Tell whether another instance has refreshed while this one, which needs no lease, was frozen."""
        if self.clock() - received_at < _FROZEN:
            return False
        facts = self.memory.reread(prepared.connection)
        return facts is not None and facts.is_newer_than(prepared.situation.facts)

    def _annotate(self, connection: Connection, notes: dict[str, str | None]) -> Connection:
        try:
            record = swap(self.store, connection.record, lambda _: notes, lambda _: True)
        except StoreError as fault:
            log.warning("could not write the annotations of %s: %s", connection.secret_id, fault)
            return connection
        return replace(connection, record=record) if record else connection

    def _destroy_previous_grant(self, prepared: Prepared) -> None:
        """Keep the refresh token and its predecessor."""
        secret_id, number = prepared.connection.secret_id, prepared.version.number - 1
        if number:
            try:
                self.store.destroy(secret_id, number)
            except StoreError as fault:  # `clean` finds it
                log.warning("could not destroy version %d of %s: %s", number, secret_id, fault)
