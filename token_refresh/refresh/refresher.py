"""One connection, from its secret to the answer of its token endpoint; `save` then stores what came back.

    situation -> prepare -> Prepared -> (lease) -> exchange -> TokenOutcome -> save or judge -> Attempt

Whatever goes wrong becomes a verdict: one connection never harms another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial

from token_refresh.connections.incidents import Incidents
from token_refresh.connections.lease import Held, Leases
from token_refresh.connections.memory import Memory
from token_refresh.connections.newest import read_newest
from token_refresh.core.connection import Connection, SecretRecord
from token_refresh.core.grant import RefreshTokenGrant, parse_grant
from token_refresh.core.state.grant_end import explain_death
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import Verdict, judge, judge_busy
from token_refresh.core.status import Outcome, lease_of
from token_refresh.core.token_endpoint.outcome import GrantDead, Refreshed, TokenOutcome, Unavailable, UnknownOutcome
from token_refresh.errors import Busy, Misconfigured, NotNow, Paused, StoreError
from token_refresh.instance.unsaved import UnsavedReplies
from token_refresh.ports import AccessedVersion, SecretStore, TokenEndpoint
from token_refresh.refresh.attempt import Attempt, Prepared, Reply
from token_refresh.refresh.doubt import is_in_doubt, settle
from token_refresh.refresh.faults import is_of_store, judge_fault, log_fault
from token_refresh.refresh.preparation import Preparation
from token_refresh.refresh.save import Saver
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")


@dataclass(frozen=True, slots=True)
class Refresher:
    """Exchange grants one connection at a time; threads may share it."""

    store: SecretStore
    endpoint: TokenEndpoint
    settings: Settings
    memory: Memory
    preparation: Preparation
    incidents: Incidents
    leases: Leases
    saver: Saver
    unsaved: UnsavedReplies[Reply]
    clock: Callable[[], float]

    def attempt(self, connection: Connection, situation: Situation, until: float) -> Attempt:
        """Exchange the connection's grant once and store what comes back; raises nothing.

        No lease is taken and nothing is sent later than `until` (epoch seconds): the verdict is then `deferred`.
        """
        attempt = self._attempt(connection, situation, until)
        if attempt.verdict.outcome == Outcome.REJECTED and self._has_newer_client(attempt):
            attempt = self._attempt(attempt.connection, attempt.situation, until)
        if attempt.overtaken_by:
            log.warning("%s: an older grant was exchanged than the stored token's: once more", connection.secret_id)
            newer = replace(attempt.situation, lowest_version=attempt.overtaken_by)
            attempt = self._attempt(attempt.connection, newer, until)
        if attempt.verdict.outcome not in (Outcome.DEFERRED, Outcome.PAUSED):
            self.memory.remember_failure(connection.secret_id, attempt.verdict.back_off)
        self.memory.clients[connection.secret_id] = attempt.situation.client
        return attempt

    def _attempt(self, connection: Connection, situation: Situation, until: float) -> Attempt:
        began = int(self.clock())
        try:
            if lease_of(connection.record).is_held(self.clock()):
                raise Busy  # noqa: TRY301 - as when it is found out later
            prepared = self.preparation.prepare(connection, situation)
            situation = prepared.situation
            self._require_time(until)
            return self._exchange_and_save(prepared, began, until)
        except NotNow as fault:
            return Attempt(connection, situation, Verdict(Outcome.DEFERRED, fault.reason, situation.status))
        except Paused:
            verdict = Verdict(Outcome.PAUSED, "paused", situation.status)
            return Attempt(replace(connection, paused=True), situation, verdict)
        except Busy:
            lease_seconds, is_unsaved = self.settings.lease_seconds, lease_of(connection.record).unsaved
            judge_in = partial(judge_busy, lease_seconds=lease_seconds, is_unsaved=is_unsaved)
            return self._judge(connection, situation, began, judge_in)
        except Exception as fault:  # noqa: BLE001 - a defect met by one connection must not stop the others
            log_fault(connection, fault)
            attempt = self._judge(connection, situation, began, partial(judge_fault, fault=fault))
            return replace(attempt, failed_at_store=is_of_store(fault))

    # -- the exchange --------------------------------------------------------------------------------------------------

    def _exchange_and_save(self, prepared: Prepared, began: int, until: float) -> Attempt:
        if not prepared.is_single_use:
            outcome = self._explain(prepared, self.endpoint.refresh(prepared.request), maybe_spent=False)
            if isinstance(outcome, Refreshed):
                return self.saver.save(prepared, outcome, None)
            return self._judge(prepared.connection, prepared.situation, began, partial(judge, outcome=outcome))
        with self.unsaved.spending(), self._held(prepared) as held:
            prepared, held.maybe_spent = self._newest_under_lease(prepared, held)
            held.version = prepared.version.number
            self._require_time(until)
            outcome = self._exchange_under_lease(prepared, held)
            attempt = self.saver.save(prepared, outcome, held) if isinstance(outcome, Refreshed) else None
        if attempt is None:  # nobody waits for the lease while it is judged
            attempt = self._judge(held.connection, prepared.situation, began, partial(judge, outcome=outcome))
        return replace(attempt, connection=held.connection)

    def _require_time(self, until: float) -> None:
        if self.clock() >= until:
            raise NotNow("run_seconds")

    def _held(self, prepared: Prepared) -> AbstractContextManager[Held]:
        def is_done(record: SecretRecord) -> bool:
            facts = self.memory.reread(replace(prepared.connection, record=record))
            return facts is not None and facts.is_newer_than(prepared.situation.facts)

        return self.leases.held(prepared.connection, prepared.version.number, is_done=is_done, unless_paused=True)

    def _newest_under_lease(self, prepared: Prepared, held: Held) -> tuple[Prepared, bool]:
        """Return what to exchange now that nobody else may, and whether its token may be spent already.

        `latest` may be stale for hours. What is exchanged next buries every version below it, so look by number.
        """
        version = read_newest(
            self.store,
            prepared.connection.secret_id,
            known=prepared.version,
            floor=max(held.before.version, prepared.situation.lowest_version),
            probe=True,
            takeover=held.was_abandoned,
        )
        if version.number != held.lease.version:
            version = self._named(prepared, held, version)
        # The lists may have been stale; what was written over is not.
        status = self.incidents.status_of(held.connection)
        situation = replace(prepared.situation, status=status, version=version.number)
        request = replace(prepared.request, connection=held.connection)
        if version.number != prepared.version.number:
            request = replace(request, grant=parse_grant(version.payload))
        newest = Prepared(situation, version, request)
        if version.number != prepared.version.number:
            self.preparation.check_again(newest)
        # Nothing newer was stored: the last holder may have spent this very token.
        return newest, held.was_abandoned and version.number <= held.before.version

    def _named(self, prepared: Prepared, held: Held, newest: AccessedVersion) -> AccessedVersion:
        """Let the lease name the version that may be spent; what a dead holder has left behind is settled first."""
        held.is_settled = False  # until then the next holder must find the same doubt
        if is_in_doubt(held, newest.number):
            held.lease = replace(held.lease, kept=newest.number)
            newest = settle(self.store, prepared.connection.secret_id, held, newest)
        held.version = newest.number
        self.leases.regain(held, unless_paused=True)
        held.is_settled = True
        return newest

    def _exchange_under_lease(self, prepared: Prepared, held: Held) -> TokenOutcome:
        if not self.leases.has_time(held, for_sends=2):
            return Unavailable("lease_too_short")
        # Whatever happens from here on, the token may be spent, until a known answer says that it is not.
        maybe_spent, held.maybe_spent = held.maybe_spent, True
        outcome = self.endpoint.refresh(prepared.request)
        if isinstance(outcome, Refreshed) and outcome.refresh_token is None:
            held.maybe_spent = False  # accepted and not replaced: whatever the last holder did, it is good
        elif not isinstance(outcome, UnknownOutcome):
            held.maybe_spent = maybe_spent
        elif self.leases.has_time(held):  # a grace window may still give us the answer
            outcome = self.endpoint.refresh(prepared.request)
        return self._explain(prepared, outcome, maybe_spent=held.maybe_spent)

    def _has_newer_client(self, attempt: Attempt) -> bool:
        """Never blame a client whose secret was replaced while this instance was warm."""
        if not attempt.situation.client_version:
            return False
        with suppress(Misconfigured, StoreError):
            version = self.memory.client(attempt.connection.client_secret_id, reread=True)[1]
            return version > attempt.situation.client_version
        return False

    def _explain(self, prepared: Prepared, outcome: TokenOutcome, *, maybe_spent: bool) -> TokenOutcome:
        grant = prepared.request.grant
        if not isinstance(outcome, GrantDead) or not isinstance(grant, RefreshTokenGrant):
            return outcome
        issued_at, facts = grant.issued_at, prepared.situation.facts
        if issued_at is None:
            with suppress(StoreError):
                issued_at = self.store.created_at(prepared.connection.secret_id, prepared.version.number)
        reason = explain_death(
            outcome.reason,
            prepared.request.provider,
            maybe_spent=maybe_spent,
            issued_at=issued_at,
            last_used_at=facts.refreshed_at if facts else None,
            now=self.clock(),
        )
        return replace(outcome, reason=reason)

    # -- the verdict ---------------------------------------------------------------------------------------------------

    def _judge(
        self, connection: Connection, situation: Situation, began: int, judge_in: Callable[[Situation], Verdict]
    ) -> Attempt:
        """Judge with the access token as it is stored now, or not at all if another instance was faster."""
        newer = self.memory.look_again(connection, situation)
        if newer and newer.facts and newer.facts.refreshed_at >= began:
            return Attempt(connection, newer, Verdict(Outcome.FRESH, "refreshed_elsewhere", newer.status))
        situation = replace(newer or situation, now=self.clock())
        return Attempt(connection, situation, judge_in(situation))
