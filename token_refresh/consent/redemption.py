"""From an authorization code to a grant worth storing: one exchange, then every check of contract 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from token_refresh.consent.request import Case, Refused
from token_refresh.core.consent.account import (
    Account,
    IdTokenError,
    WrongAccountError,
    identify,
    read_id_token,
    subject_source,
)
from token_refresh.core.consent.authorization import Callback, missing_scopes, requested_scopes
from token_refresh.core.consent.new_grant import render_new_grant
from token_refresh.core.consent.session import Session, Ticket
from token_refresh.core.provider.url import learned_variables
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import ClientRejected, GrantDead, Refreshed
from token_refresh.errors import Misconfigured, TransportError
from token_refresh.ports import CodeEndpoint
from token_refresh.words import sentence_for


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A new grant that has passed every check: what is stored, whose it is, and which ticket it spends.

    `version` is the newest of the connection secret as far as known.
    """

    ticket: Ticket
    payload: bytes
    account: Account
    version: int
    rotates: bool


@dataclass(frozen=True, slots=True)
class Redemption:
    """Redeem codes; threads may share it."""

    endpoint: CodeEndpoint
    clock: Callable[[], float]

    def redeem(self, case: Case, code: Secret, callback: Callback, session: Session, redirect_uri: str) -> NewGrant:
        """Return the grant that a code is good for; raises `Refused`."""
        # A provider of many data centres says in the callback where the code is to be redeemed.
        case = replace(case, token_request=replace(case.token_request, told=callback.more))
        refreshed = self._exchange(case, code, session, redirect_uri)
        account = self._check(case, refreshed, session)
        payload = self._payload(case, refreshed, account.subject)
        return NewGrant(case.ticket, payload, account, case.version, case.provider.rotates)

    def _exchange(self, case: Case, code: Secret, session: Session, redirect_uri: str) -> Refreshed:
        try:
            outcome = self.endpoint.redeem(
                case.token_request,
                code=code,
                code_verifier=session.code_verifier if case.provider.pkce else None,
                redirect_uri=redirect_uri,
            )
        except Misconfigured as fault:
            raise Refused("misconfigured", str(fault)) from None
        if isinstance(outcome, Refreshed):
            return outcome
        reason = {GrantDead: "code_refused", ClientRejected: "client_refused"}.get(type(outcome), "provider_error")
        raise Refused(reason, ": ".join(filter(None, (outcome.reason, outcome.detail.error_description))))

    def _check(self, case: Case, refreshed: Refreshed, session: Session) -> Account:
        """Return whose grant it is once everything contract 6 asks of a new grant holds."""
        claims: Mapping[str, object] = {}
        if case.provider.openid:
            try:
                claims = read_id_token(
                    refreshed.id_token,
                    issuer=case.issuer,
                    authorization_url=case.authorization_url,
                    client_id=case.client.client_id,
                    nonce=session.nonce,
                    now=self.clock(),
                )
            except IdTokenError as fault:
                raise Refused("wrong_id_token", f"ID token: {fault}") from None
        if refreshed.refresh_token is None:
            raise Refused("no_refresh_token")
        missing = missing_scopes(case.connection.scopes, refreshed.scope)
        if missing:
            words = [sentence_for(case.provider.name, scope) or scope for scope in missing]
            raise Refused("missing_scopes", "not allowed: " + " ".join(missing)[:500], scopes=words)
        return self._account(case, refreshed, claims)

    def _payload(self, case: Case, refreshed: Refreshed, subject: str | None) -> bytes:
        return render_new_grant(
            case.payload,
            refreshed,
            asked=" ".join(requested_scopes(case.connection, case.provider)),
            subject=subject,
            variables={**case.own_variables, **learned_variables(case.provider, case.token_request.told)},
            now=self.clock(),
        )

    def _account(self, case: Case, refreshed: Refreshed, claims: Mapping[str, object]) -> Account:
        source = subject_source(case.provider)
        facts = claims
        if source and source.source == "token_response":
            facts = refreshed.extra
        elif source and source.source == "userinfo":
            try:
                url = case.fill(source.url or "")
                facts = self.endpoint.fetch_json(case.provider, url, refreshed.access_token) or {}
            except (TransportError, Misconfigured) as fault:
                raise Refused("provider_error", str(fault)) from None
        try:
            return identify(case.connection, case.provider, case.subject, facts)
        except WrongAccountError as fault:
            raise Refused(fault.reason) from None
