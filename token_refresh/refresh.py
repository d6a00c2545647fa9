"""One connection, from its secret to a fresh access token.

The order is the product: the new refresh token is durable before anything else is done with the reply, then the
access token, then the lease is released, then old versions are destroyed. A crash between any two steps loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from token_refresh.core.access_token import AccessTokenFacts, build_annotation, build_document
from token_refresh.core.connection import ACCESS_TOKEN, Connection
from token_refresh.core.consent_end import GrantEnd, find_end
from token_refresh.core.death import explain_death
from token_refresh.core.grant import (
    Client,
    ClientCredentialsGrant,
    Grant,
    PayloadError,
    RefreshTokenGrant,
    ServiceAccountGrant,
    parse_grant,
    render_rotated,
)
from token_refresh.core.outcome import GrantDead, Refreshed, TokenOutcome, Unavailable, UnknownOutcome
from token_refresh.core.provider import Provider
from token_refresh.core.status import HEALTHY, Lease, status_of
from token_refresh.core.verdict import Case, Verdict, judge, judge_misconfigured, judge_never_consented
from token_refresh.errors import (
    Misconfigured,
    SecretMissing,
    StoreError,
    StoreUnavailable,
    VersionMissing,
    VersionUnusable,
)
from token_refresh.known import Known
from token_refresh.lease import Busy, Leases, lease_of
from token_refresh.newest import read_newest
from token_refresh.ports import AccessedVersion, Exchange, SecretStore
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")

_FIRST_RETRY = 0.25  # s, of a rotated token that could not be stored; doubles
_LONGEST_RETRY = 5.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt brought: the verdict, and the secret's metadata as last written."""

    connection: Connection
    verdict: Verdict
    case: Case
    facts: AccessTokenFacts | None = None
    written: int | None = None  # the access-token secret's version
    end: GrantEnd | None = None
    looked_at: float | None = None  # when the end was last looked at
    tried: bool = True  # the provider was asked


@dataclass(slots=True)
class _Turn:
    """What is known in the course of one attempt; filled as it is found out."""

    connection: Connection
    case: Case
    provider: Provider = field(init=False)
    version: AccessedVersion = field(init=False)
    grant: Grant = field(init=False)
    client: Client | None = None
    lease: Lease | None = None
    maybe_spent: bool = False


class Refresher:
    """Exchange grants one connection at a time; threads may share it."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a refresh
        self,
        store: SecretStore,
        exchange: Exchange,
        providers: dict[str, Provider],
        settings: Settings,
        known: Known,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._exchange = exchange
        self._providers = providers
        self._settings = settings
        self._known = known
        self._clock = clock
        self._sleep = sleep
        self._leases = Leases(store, settings, clock)

    def attempt(self, connection: Connection, *, lowest_version: int = 0, confirm_now: bool = False) -> Attempt:
        """Exchange the connection's grant once and store what comes back.

        Raises `Busy` when the lease is somebody else's, `StoreUnavailable` when Secret Manager fails before anything
        is spent. Every other fault becomes a verdict.
        """
        previous = status_of(connection)
        turn = _Turn(
            connection,
            Case(
                name=connection.name,
                now=self._clock(),
                version=previous.version if previous else 0,
                previous=previous,
                facts=self._known.facts(connection),
                margin=self._known.margins(connection).margin,
                client=connection.client_secret_id,
                client_version=self._known.client_version(connection.client_secret_id),
                confirm_after=self._settings.confirm_after,
                confirm_now=confirm_now,
                back_off=self._known.back_offs.get(connection.name),
            ),
        )
        try:
            self._prepare(turn, lowest_version)
        except VersionMissing:
            return self._attempt(turn, judge_never_consented(turn.case), tried=False)
        except (Misconfigured, PayloadError, VersionUnusable, SecretMissing) as fault:
            self._release_if_held(turn)
            return self._attempt(turn, judge_misconfigured(turn.case, str(fault)), tried=False)
        except StoreError:
            self._release_if_held(turn)
            raise
        return self._spend(turn)

    def _prepare(self, turn: _Turn, lowest_version: int) -> None:
        """Find everything that can be wrong before anything is sent, and take the lease where one is needed."""
        connection = turn.connection
        if connection.problem:
            raise Misconfigured(connection.problem)
        provider = self._providers.get(connection.provider)
        if provider is None:
            raise Misconfigured(f'provider "{connection.provider}" is not defined: built in or in PROVIDERS_FILE')
        turn.provider = provider
        lease, previous = lease_of(connection), turn.case.previous
        if lease.is_held(self._clock()):
            raise Busy
        is_unhealthy = previous is not None and previous.state != HEALTHY
        floor = max(lease.version, lowest_version)
        self._use(turn, read_newest(self._store, connection.secret_id, floor=floor, probe=is_unhealthy))
        self._known.require_access_token_secret(connection)
        self._find_client(turn)
        self._check(turn)
        if provider.rotates and isinstance(turn.grant, RefreshTokenGrant):
            self._take_lease(turn, lowest_version)

    def _check(self, turn: _Turn) -> None:
        c = turn.connection
        self._exchange.check(turn.provider, turn.client, turn.grant, c.variables, c.scopes)

    def _use(self, turn: _Turn, version: AccessedVersion) -> None:
        turn.version = version
        turn.case = replace(turn.case, version=version.number)
        turn.grant = parse_grant(version.payload)

    def _find_client(self, turn: _Turn) -> None:
        """Find the client, and the subject of events about it."""
        match turn.grant:
            case RefreshTokenGrant(client=None):
                turn.client, version = self._known.client(turn.connection.client_secret_id)
                turn.case = replace(turn.case, client_version=version)
            case RefreshTokenGrant(client=Client(client_id)) | ClientCredentialsGrant(Client(client_id)):
                turn.case = replace(turn.case, client=f"client:{client_id}")
            case ServiceAccountGrant(client_email):
                turn.case = replace(turn.case, client=f"client:{client_email}")

    def _take_lease(self, turn: _Turn, lowest_version: int) -> None:
        """Become the one who may spend this token, and make sure that it is the newest there is. Raises `Busy`."""

        def is_done(connection: Connection) -> bool:
            known, facts = turn.case.facts, self._known.facts(connection, reread=True)
            return facts is not None and (known is None or facts.refreshed_at > known.refreshed_at)

        taken = self._leases.take(turn.connection, turn.version.number, is_done)
        turn.connection, turn.lease = taken.connection, taken.lease
        # The lists may have been stale; what was written over is not.
        turn.case = replace(turn.case, previous=status_of(taken.connection))
        before, turn.maybe_spent = taken.before, taken.was_abandoned
        # `latest` may be stale for hours. What is exchanged next buries every version below it, so look by number.
        version = read_newest(
            self._store,
            turn.connection.secret_id,
            known=turn.version,
            floor=max(before.version, lowest_version),
            probe=True,
            takeover=taken.was_abandoned,
        )
        if version.number != turn.version.number:
            self._use(turn, version)
            self._check(turn)
        # Nothing newer was stored: the last holder may have spent this very token.
        turn.maybe_spent = taken.was_abandoned and turn.version.number <= before.version

    # -- the exchange ------------------------------------------------------------------------------------------------

    def _spend(self, turn: _Turn) -> Attempt:
        try:
            outcome = self._unsaved(turn) or self._exchange_once_or_twice(turn)
        except (Misconfigured, PayloadError) as fault:
            self._release_if_held(turn)
            return self._attempt(turn, judge_misconfigured(turn.case, str(fault)), tried=False)
        if isinstance(outcome, Refreshed):
            return self._keep(turn, outcome)
        outcome = self._explain(turn, outcome)
        self._release_if_held(turn)
        turn.case = replace(turn.case, now=self._clock())
        return self._attempt(turn, judge(turn.case, outcome))

    def _exchange_once_or_twice(self, turn: _Turn) -> TokenOutcome:
        if turn.lease and not self._leases.has_time(turn.lease):
            return Unavailable("lease_too_short")
        outcome = self._send(turn)
        if isinstance(outcome, UnknownOutcome) and turn.lease:
            # A grace window may still give us the answer; whether or not, the token may be spent from here on.
            turn.maybe_spent = True
            outcome = self._send(turn)
        return outcome

    def _send(self, turn: _Turn) -> TokenOutcome:
        c = turn.connection
        return self._exchange.refresh(
            turn.provider, turn.client, turn.grant, variables=c.variables, scopes=c.scopes, subject=c.owner
        )

    def _explain(self, turn: _Turn, outcome: TokenOutcome) -> TokenOutcome:
        if not isinstance(outcome, GrantDead) or not isinstance(turn.grant, RefreshTokenGrant):
            return outcome
        now, facts = self._clock(), turn.case.facts
        issued_at = turn.grant.issued_at
        if issued_at is None:
            try:
                issued_at = self._store.created_at(turn.connection.secret_id, turn.version.number)
            except StoreError:
                issued_at = None
        reason = explain_death(
            outcome.reason,
            turn.provider,
            maybe_spent=turn.maybe_spent,
            issued_at=issued_at,
            last_used_at=facts.refreshed_at if facts else None,
            now=now,
        )
        return replace(outcome, reason=reason)

    def _release_if_held(self, turn: _Turn) -> None:
        if turn.lease is None:
            return
        try:
            turn.connection = self._leases.release(
                turn.connection, turn.lease, turn.version.number, maybe_spent=turn.maybe_spent
            )
        except StoreError as fault:
            # It ends by itself; the next holder will look twice.
            log.warning("could not release the lease of %s: %s", turn.connection.secret_id, fault)

    # -- keeping what came back --------------------------------------------------------------------------------------

    def _keep(self, turn: _Turn, refreshed: Refreshed) -> Attempt:
        spent, now = turn.version.number, int(self._clock())
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
                self._known.unsaved[turn.connection.name] = (spent, refreshed)
                # Without a stored token there is nothing left to wait for: the operator must hear of it now.
                turn.case = replace(turn.case, facts=None)
                return self._attempt(turn, judge(turn.case, Unavailable("rotated_token_not_saved")))
            current = saved
        self._known.unsaved.pop(turn.connection.name, None)
        turn.maybe_spent = False
        if turn.lease and turn.lease.until <= self._clock():
            # Somebody may have exchanged the new refresh token meanwhile, and this access token with it.
            raise StoreUnavailable(f"the lease of {turn.connection.secret_id} ended before everything was stored")
        return self._publish_access_token(turn, refreshed, current, now, end)

    def _save_rotated(self, turn: _Turn, payload: bytes) -> int | None:
        """Store the only copy of a new refresh token; tried until the lease ends, whatever the store says."""
        until = turn.lease.until if turn.lease else self._clock() + self._settings.lease_seconds
        delay = _FIRST_RETRY
        while True:
            try:
                return self._store.add(turn.connection.secret_id, payload)
            except StoreError as fault:
                log.warning("the new refresh token of %s is not stored yet: %s", turn.connection.name, fault)
                if self._clock() + delay >= until:
                    break
            self._sleep(delay)
            delay = min(delay * 2, _LONGEST_RETRY)
        log.critical(
            "the new refresh token of %s could not be stored in %s; it is kept in memory and tried again while this "
            "instance lives: do not redeploy, mend Secret Manager access",
            turn.connection.name,
            turn.connection.secret_id,
            extra={"json_fields": {"event": "rotated_token_not_saved", "connection": turn.connection.name}},
        )
        return None

    def _unsaved(self, turn: _Turn) -> TokenOutcome | None:
        """Return the reply whose refresh token could not be stored, if this is still its turn."""
        kept = self._known.unsaved.get(turn.connection.name)
        if kept is None or turn.lease is None:
            return None
        spent, refreshed = kept
        if spent != turn.version.number:  # somebody stored a newer grant meanwhile
            self._known.unsaved.pop(turn.connection.name, None)
            return None
        return refreshed

    def _publish_access_token(
        self, turn: _Turn, refreshed: Refreshed, current: int, now: int, end: GrantEnd | None
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
            written = self._store.add(connection.access_token_secret_id, document)
        except StoreError as fault:
            turn.version = replace(turn.version, number=current)
            self._release_if_held(turn)
            if isinstance(fault, SecretMissing):
                self._known.forget_access_token(connection)
                message = f"access-token secret {connection.access_token_secret_id} does not exist: create it"
                turn.case = replace(turn.case, version=current)
                return self._attempt(turn, judge_misconfigured(turn.case, message), tried=False)
            raise
        before = self._known.remember_access_token(connection, facts, written)
        try:
            if turn.lease:
                turn.connection = self._leases.release(turn.connection, turn.lease, current, changes=changes)
            elif changes:
                turn.connection = self._leases.write(turn.connection, changes)
        except StoreError as fault:
            log.warning("could not write the annotations of %s: %s", connection.secret_id, fault)
        self._destroy_old(turn, before, written)
        verdict = judge(turn.case, refreshed)
        return self._attempt(turn, verdict, facts=facts, written=written, end=end, looked_at=looked_at)

    def _destroy_old(self, turn: _Turn, before: int, written: int) -> None:
        """Keep the access token and its predecessor, the refresh token and its predecessor."""
        connection = turn.connection
        first = before - 1 if before else written - 2
        old = [(connection.access_token_secret_id, n) for n in range(max(first, 1), written - 1)]
        if turn.lease and turn.version.number > 1:
            old.append((connection.secret_id, turn.version.number - 1))
        for secret_id, number in old:
            try:
                self._store.destroy(secret_id, number)
            except StoreError as fault:  # `clean` finds it
                log.warning("could not destroy version %d of %s: %s", number, secret_id, fault)

    def _attempt(  # noqa: PLR0913 - an attempt's result
        self,
        turn: _Turn,
        verdict: Verdict,
        *,
        facts: AccessTokenFacts | None = None,
        written: int | None = None,
        end: GrantEnd | None = None,
        looked_at: float | None = None,
        tried: bool = True,
    ) -> Attempt:
        if verdict.back_off:
            self._known.back_offs[turn.connection.name] = verdict.back_off
        else:
            self._known.back_offs.pop(turn.connection.name, None)
        return Attempt(
            turn.connection,
            verdict,
            turn.case,
            facts=facts or turn.case.facts,
            written=written,
            end=end,
            looked_at=looked_at,
            tried=tried,
        )
