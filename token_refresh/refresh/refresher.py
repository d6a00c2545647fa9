"""One connection, from its secret to the answer of its token endpoint; `keep` then stores what came back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from token_refresh.connections.lease import Busy, Leases, lease_of
from token_refresh.connections.memory import Memory
from token_refresh.connections.newest import read_newest
from token_refresh.core.connection import Connection
from token_refresh.core.grant import (
    Client,
    ClientCredentialsGrant,
    PayloadError,
    RefreshTokenGrant,
    ServiceAccountGrant,
    parse_grant,
)
from token_refresh.core.provider.definition import Provider
from token_refresh.core.state.death import explain_death
from token_refresh.core.state.verdict import Case, judge, judge_misconfigured, judge_never_consented
from token_refresh.core.status import HEALTHY, status_of
from token_refresh.core.token_endpoint.outcome import GrantDead, Refreshed, TokenOutcome, Unavailable, UnknownOutcome
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import (
    Misconfigured,
    SecretMissing,
    StoreError,
    VersionMissing,
    VersionUnusable,
)
from token_refresh.ports import AccessedVersion, SecretStore, TokenEndpoint
from token_refresh.refresh.attempt import Attempt, Turn
from token_refresh.refresh.save import Saver
from token_refresh.settings import Settings


class Refresher:
    """Exchange grants one connection at a time; threads may share it."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a refresh
        self,
        store: SecretStore,
        exchange: TokenEndpoint,
        providers: dict[str, Provider],
        settings: Settings,
        known: Memory,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._exchange = exchange
        self._providers = providers
        self._settings = settings
        self._known = known
        self._clock = clock
        self._leases = Leases(store, settings, clock)
        self._keeper = Saver(store, settings, known, self._leases, clock, sleep)

    def attempt(self, connection: Connection, *, lowest_version: int = 0, confirm_now: bool = False) -> Attempt:
        """Exchange the connection's grant once and store what comes back.

        Raises `Busy` when the lease is somebody else's, `StoreUnavailable` when Secret Manager fails before anything
        is spent. Every other fault becomes a verdict.
        """
        attempt = self._attempt(connection, lowest_version=lowest_version, confirm_now=confirm_now)
        if attempt.verdict.back_off:
            self._known.back_offs[connection.name] = attempt.verdict.back_off
        else:
            self._known.back_offs.pop(connection.name, None)
        return attempt

    def _attempt(self, connection: Connection, *, lowest_version: int, confirm_now: bool) -> Attempt:
        previous = status_of(connection)
        turn = Turn(
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
            return turn.conclude(judge_never_consented(turn.case), tried=False)
        except (Misconfigured, PayloadError, VersionUnusable, SecretMissing) as fault:
            self._leases.give_back(turn)
            return turn.conclude(judge_misconfigured(turn.case, str(fault)), tried=False)
        except StoreError:
            self._leases.give_back(turn)
            raise
        return self._spend(turn)

    def _prepare(self, turn: Turn, lowest_version: int) -> None:
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

    def _check(self, turn: Turn) -> None:
        self._exchange.check(TokenRequest(turn.connection, turn.provider, turn.grant, turn.client))

    def _use(self, turn: Turn, version: AccessedVersion) -> None:
        turn.version = version
        turn.case = replace(turn.case, version=version.number)
        turn.grant = parse_grant(version.payload)

    def _find_client(self, turn: Turn) -> None:
        """Find the client, and the subject of events about it."""
        match turn.grant:
            case RefreshTokenGrant(client=None):
                turn.client, version = self._known.client(turn.connection.client_secret_id)
                turn.case = replace(turn.case, client_version=version)
            case RefreshTokenGrant(client=Client(client_id)) | ClientCredentialsGrant(Client(client_id)):
                turn.case = replace(turn.case, client=f"client:{client_id}")
            case ServiceAccountGrant(client_email):
                turn.case = replace(turn.case, client=f"client:{client_email}")

    def _take_lease(self, turn: Turn, lowest_version: int) -> None:
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

    def _spend(self, turn: Turn) -> Attempt:
        try:
            outcome = self._keeper.unsaved(turn) or self._exchange_once_or_twice(turn)
        except (Misconfigured, PayloadError) as fault:
            self._leases.give_back(turn)
            return turn.conclude(judge_misconfigured(turn.case, str(fault)), tried=False)
        if isinstance(outcome, Refreshed):
            return self._keeper.keep(turn, outcome)
        outcome = self._explain(turn, outcome)
        self._leases.give_back(turn)
        turn.case = replace(turn.case, now=self._clock())
        return turn.conclude(judge(turn.case, outcome))

    def _exchange_once_or_twice(self, turn: Turn) -> TokenOutcome:
        if turn.lease and not self._leases.has_time(turn.lease):
            return Unavailable("lease_too_short")
        outcome = self._send(turn)
        if isinstance(outcome, UnknownOutcome) and turn.lease:
            # A grace window may still give us the answer; whether or not, the token may be spent from here on.
            turn.maybe_spent = True
            outcome = self._send(turn)
        return outcome

    def _send(self, turn: Turn) -> TokenOutcome:
        return self._exchange.refresh(TokenRequest(turn.connection, turn.provider, turn.grant, turn.client))

    def _explain(self, turn: Turn, outcome: TokenOutcome) -> TokenOutcome:
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
