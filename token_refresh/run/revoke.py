"""Revoke grants at their providers, on an operator's word (contract 4).

Under the connection's lease, so that no exchange replaces the token meanwhile. Only once the provider has confirmed is
anything changed here: the state is written, with the lease's end, and the access tokens are destroyed. No event, no
reminder, no probe follows; a newer version of the connection secret ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from token_refresh.connections.directory import Directory
from token_refresh.connections.grants import OwnersGrants
from token_refresh.connections.lease import Held, Leases
from token_refresh.connections.newest import read_newest
from token_refresh.core.connection import ACCESS_TOKEN, STATUS, Connection
from token_refresh.core.grant import Grant, parse_grant
from token_refresh.core.json_object import read_object, text_of
from token_refresh.core.secrecy import Secret
from token_refresh.core.state.verdict import judge_revoked
from token_refresh.core.status import Outcome, render_status
from token_refresh.core.token_endpoint.revocation import NotRevoked
from token_refresh.core.token_request import subject_of
from token_refresh.core.trigger import Trigger
from token_refresh.errors import Busy, Misconfigured, StoreError, VersionMissing
from token_refresh.ports import Revoker, SecretStore, VersionState
from token_refresh.refresh.attempt import Attempt, Prepared
from token_refresh.refresh.faults import is_of_store, judge_fault
from token_refresh.refresh.preparation import Preparation
from token_refresh.run.visit import Visit, Visitor

log = logging.getLogger("token_refresh")


@dataclass(frozen=True, slots=True)
class Revocations:
    """Revoke one grant at a time; safe for threads."""

    store: SecretStore
    directory: Directory
    visitor: Visitor
    preparation: Preparation
    leases: Leases
    revoker: Revoker
    grants: OwnersGrants
    clock: Callable[[], float]

    def revoke(self, connection: Connection, trigger: Trigger) -> Visit:
        """Revoke the connection's grant; whatever goes wrong changes nothing and is said."""
        visit = self.visitor.look(connection, trigger)
        try:
            prepared = self.preparation.prepare(connection, visit.situation)
            self.revoker.check(prepared.request)
            if trigger.dry_run:
                return visit.left(Outcome.PLANNED, "revoke", self._words(connection, prepared.request.grant))
            with self.leases.held(connection, prepared.version.number) as held:
                ended = self._revoke_under_lease(visit, prepared, held)
            return self._written(replace(ended, connection=held.connection))
        except Busy:
            return visit.left(Outcome.BUSY, "lease_held", "")
        except VersionMissing:
            return visit.left(Outcome.MISCONFIGURED, "misconfigured", "there is no grant to revoke")
        except (Misconfigured, StoreError) as fault:
            verdict = judge_fault(visit.situation, fault)
            left = visit.left(verdict.outcome, verdict.reason, str(fault))
            return replace(left, failed_at_store=is_of_store(fault))

    def _revoke_under_lease(self, visit: Visit, prepared: Prepared, held: Held) -> Visit:
        held.is_settled = False
        connection = held.connection
        version = read_newest(self.store, connection.secret_id, known=prepared.version, probe=True)
        request = replace(prepared.request, connection=connection, grant=parse_grant(version.payload))
        ended = self.revoker.revoke(request, access_token=self._access_token(connection))
        if isinstance(ended, NotRevoked):
            said = f"the provider has not confirmed ({ended.reason}): nothing was changed, try again"
            return visit.left(Outcome.UNAVAILABLE, ended.reason, said)
        held.version, held.is_settled = version.number, True
        situation = replace(visit.situation, version=version.number, facts=None, now=self.clock())
        verdict = judge_revoked(situation)
        assert verdict.status  # noqa: S101 - a revocation always has one
        # The facts of a bare access token tell of nothing any more.
        status = render_status(verdict.status)
        held.on_return = lambda _: {STATUS: status, ACCESS_TOKEN: None}
        log.info("the grant of %s was revoked at the provider", connection.name)
        self._destroy_access_tokens(connection)
        attempt = Attempt(connection, situation, replace(verdict, message=self._words(connection, request.grant)))
        return visit.came_to(attempt)

    def _written(self, visit: Visit) -> Visit:
        """Make sure that the state is known, also where it could not be written with the lease's end."""
        status = visit.verdict.status if visit.verdict else None
        if status and visit.connection.record.annotations.get(STATUS) != render_status(status):
            connection = self.visitor.incidents.record(visit.connection, status)
            return replace(visit, connection=connection or visit.connection)
        return visit

    def _access_token(self, connection: Connection) -> Secret | None:
        try:
            payload = self.store.access(connection.access_token_secret_id).payload
        except StoreError:
            return None
        if connection.is_text:
            return Secret(payload.decode("utf-8", "replace").strip())
        token = text_of(read_object(payload) or {}, "access_token")
        return Secret(token) if token else None

    def _destroy_access_tokens(self, connection: Connection) -> None:
        """Destroy all access tokens; what cannot be destroyed is said and runs out by itself."""
        secret_id = connection.access_token_secret_id
        try:
            for version in self.store.list_versions(secret_id):
                if version.state != VersionState.DESTROYED:
                    self.store.destroy(secret_id, version.number)
        except StoreError as fault:
            log.error("could not destroy the access tokens in %s: %s", secret_id, fault)  # noqa: TRY400 - no traceback
        self.visitor.memory.forget_access_token(connection)

    def _words(self, connection: Connection, grant: Grant | None) -> str:
        """Name the other connections of the same client and account: a provider may have ended them, too."""
        try:
            listed = self.directory.list()
        except StoreError:
            return "other connections of the same client and account may be revoked, too"
        subject = subject_of(connection, grant)
        account = subject or connection.owner
        if not account:
            return ""
        own = (connection.provider, connection.client_secret_id)
        same = [c for c in listed if (c.provider, c.client_secret_id) == own and c.secret_id != connection.secret_id]
        # Where no annotation tells the subject of another one, its payload may.
        unknown = [c for c in same if subject and not c.subject]
        read = dict(zip((c.secret_id for c in unknown), self.grants.read(unknown), strict=True))
        others = sorted(c.name for c in same if (subject_of(c, read.get(c.secret_id)) or c.owner) == account)
        return f"same client and account: {', '.join(others)}" if others else ""
