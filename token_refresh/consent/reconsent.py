"""The use case of consent: a link, a page, the provider, and a new grant in the old one's place.

Four steps, each of which may come from a scanner, a stranger or a second tab. Nothing is changed before the last, and
there only after every check has held.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn, Protocol
from urllib.parse import urlsplit

from token_refresh.consent.redemption import Redemption
from token_refresh.consent.request import Case, Cases, Refused, check_unspent
from token_refresh.consent.save import ConnectionBusy, NewGrantSaver
from token_refresh.core.connection import STATUS, parse_connection
from token_refresh.core.consent.authorization import (
    Callback,
    CallbackError,
    build_authorization_url,
    is_issuer,
    parse_callback,
    requested_scopes,
)
from token_refresh.core.consent.refusals import REFUSALS
from token_refresh.core.consent.session import SESSION_SECONDS, Session, Ticket, TicketError
from token_refresh.core.incident.events import words_for
from token_refresh.core.status import NEEDS_CONSENT, parse_status
from token_refresh.errors import PublishError, StoreError
from token_refresh.instance.pace import Paces
from token_refresh.instance.recent import RecentKeys
from token_refresh.ports import Publisher

log = logging.getLogger("token_refresh")

# What providers answer when the owner presses "cancel" (RFC 6749, 4.1.2.1; LinkedIn; OpenID Connect Core, 3.1.2.6).
_DECLINED: Final = ("access_denied", "user_cancelled_login", "user_cancelled_authorize", "consent_required")
_TROUBLE: Final = ("server_error", "temporarily_unavailable")


@dataclass(frozen=True, slots=True)
class Page:
    """A page to show: `view` names the template, `facts` fill it, `ended` is the session's cookie that goes with it."""

    status: int
    view: str
    facts: Mapping[str, object] = field(default_factory=dict)
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the browser to the provider, with the session's cookie."""

    url: str = field(repr=False)
    session: Session


class Tickets(Protocol):
    """Links and sessions, signed."""

    @property
    def redirect_uri(self) -> str:
        """Return the redirect URI that is registered at the provider."""

    def read(self, ticket: str) -> Ticket:
        """Read a ticket; raises `TicketError`."""

    def begin(self, ticket: Ticket) -> Session:
        """Begin a consent in one browser."""

    def resume(self, state: str, cookies: Mapping[str, str]) -> Session:
        """Find the session in this browser's cookies; raises `TicketError`."""


class Reconsent:
    """The re-consent workflow; threads may share it."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the workflow
        self,
        cases: Cases,
        redemption: Redemption,
        publisher: Publisher,
        tickets: Tickets,
        deposit: NewGrantSaver,
        paces: Paces,
        clock: Callable[[], float],
    ) -> None:
        self._cases = cases
        self._redemption = redemption
        self._publisher = publisher
        self._tickets = tickets
        self._deposit = deposit
        self._paces = paces
        self._clock = clock
        self._used = RecentKeys(SESSION_SECONDS, clock)

    def page(self, name: str, ticket: str) -> Page:
        """Explain what is asked; changes nothing, so that a link scanner does no harm."""
        try:
            case = self._open(name, ticket)
        except (Refused, StoreError) as refused:
            return _refuse(refused)
        _log("page", case.connection.name)
        status = parse_status(case.connection.record.annotations.get(STATUS))
        waiting = status if status and status.state == NEEDS_CONSENT else None
        facts = {
            "connection": case.connection.name,
            "provider": case.provider.name,
            "host": urlsplit(case.authorization_url).hostname,
            "authorization_url": case.authorization_url,
            "owner": case.connection.owner,
            "scopes": case.connection.scopes,
            "why": words_for(waiting.reason) if waiting else None,
            "since": waiting.since if waiting else None,
            "is_first": case.version == 0,
        }
        return Page(200, "ask", facts)

    def start(self, name: str, ticket: str) -> Page | Redirect:
        """Send the owner to the provider, and bind what comes back to this browser."""
        try:
            case = self._open(name, ticket)
        except (Refused, StoreError) as refused:
            return _refuse(refused)
        session = self._tickets.begin(case.ticket)
        url = build_authorization_url(
            case.provider,
            case.authorization_url,
            client_id=case.client.client_id,
            redirect_uri=self._tickets.redirect_uri,
            scopes=requested_scopes(case.connection, case.provider),
            state=session.state,
            code_verifier=session.code_verifier,
            nonce=session.nonce,
            login_hint=case.connection.owner,
            values=case.values,
        )
        _log("redirected", case.connection.name)
        return Redirect(url, session)

    def finish(self, query: Sequence[tuple[str, str]], cookies: Mapping[str, str]) -> Page:
        """Take the provider's answer: check, exchange, check, store."""
        try:
            callback, session = self._resume(query, cookies)
        except Refused as refused:
            return _refuse(refused)
        try:
            page = self._grant(callback, session)
        except Refused as refused:
            page = _refuse(refused, session.ticket.connection)
            if refused.reason == "busy":  # nothing was sent: the same answer may be tried again
                return page
        except StoreError as fault:
            page = _refuse(fault, session.ticket.connection)
        return replace(page, ended=session.cookie.name)

    # -- what a ticket or a state is good for ------------------------------------------------------------------------

    def _open(self, name: str, text: str) -> Case:
        try:
            ticket = self._tickets.read(text)
        except TicketError as fault:
            raise Refused("expired_ticket" if fault.expired else "forged_ticket") from None
        if ticket.connection != name:
            raise Refused("forged_ticket")
        return self._cases.read(ticket)

    def _resume(self, query: Sequence[tuple[str, str]], cookies: Mapping[str, str]) -> tuple[Callback, Session]:
        try:
            callback = parse_callback(query)
            session = self._tickets.resume(callback.state, cookies)
        except CallbackError:
            raise Refused("forged_state") from None
        except TicketError as fault:
            raise Refused("expired_state" if fault.expired else "forged_state") from None
        return callback, session

    # -- the grant ---------------------------------------------------------------------------------------------------

    def _grant(self, callback: Callback, session: Session) -> Page:
        case = self._cases.read(session.ticket)
        connection = case.connection
        if callback.iss is not None and not is_issuer(callback.iss, case.issuer, case.authorization_url):
            raise Refused("wrong_issuer")
        if callback.code is None:
            _refuse_error(callback)
        if not self._used.add(session.state):
            raise Refused("forged_state")
        self._paces.wait(urlsplit(case.provider.token_url).netloc)
        try:
            with self._deposit.reserved(connection.secret_id, case.version) as reservation:
                check_unspent(parse_connection(reservation.record) or connection, case.ticket)
                redirect_uri = self._tickets.redirect_uri
                payload, subject = self._redemption.redeem(case, callback.code, callback, session, redirect_uri)
                try:
                    version = self._deposit.put(
                        reservation, connection, payload, subject=subject, rotates=case.provider.rotates
                    )
                except StoreError as fault:
                    raise Refused("not_stored", str(fault)) from None
        except ConnectionBusy:
            self._used.forget(session.state)
            raise Refused("busy") from None
        _log("granted", connection.name, version=version)
        self._request_refresh(connection.name, version)
        facts = {"connection": connection.name, "owner": connection.owner, "paused": connection.paused}
        return Page(200, "done", facts)

    def _request_refresh(self, name: str, version: int) -> None:
        try:
            self._publisher.request_refresh({"connections": [name], "versions": {name: version}})
        except PublishError as fault:
            log.warning("%s: no refresh was requested, the next run finds the new version: %s", name, fault)


def _refuse_error(callback: Callback) -> NoReturn:
    """Tell a refusal by the owner from trouble at the provider (RFC 6749, section 4.1.2.1)."""
    detail = ": ".join(part for part in (callback.error, callback.error_description) if part)
    if callback.error in _DECLINED:
        raise Refused("declined", detail)
    raise Refused("provider_error" if callback.error in _TROUBLE else "client_refused", detail)


def _refuse(refused: Refused | StoreError, name: str = "") -> Page:
    """Turn a refusal into its page; the log line has the reason, never what was refused."""
    if isinstance(refused, StoreError):
        refused = Refused("store_unavailable", str(refused))
        log.warning("consent: %s", refused.detail)
        shown_detail = ""
    else:
        shown_detail = refused.detail
    words = REFUSALS[refused.reason]
    name = refused.connection or name
    _log("refused", name, reason=refused.reason)
    facts = {"connection": name, "reason": refused.reason, "words": words, "detail": shown_detail}
    return Page(words.status, "refused", facts)


def _log(step: str, connection: str, **more: object) -> None:
    fields = {"event": "consent", "step": step, **({"connection": connection} if connection else {}), **more}
    log.info("consent: %s %s", step, connection, extra={"json_fields": fields})
