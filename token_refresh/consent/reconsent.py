"""The use case of consent: a link, a page, the provider, and a new grant in the old one's place.

Steps, each of which may come from a scanner, a stranger or a second tab. Nothing is changed before the last, and there
only after every check has held. What the provider said comes before the lease: a caller without a new grant in hand
cannot hold up the refresher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn
from urllib.parse import quote, urlsplit

from token_refresh.consent.answers import Asker, Context, Page, Redirect, explain, log_step, refuse
from token_refresh.consent.limits import Limits
from token_refresh.consent.new_link import NewLink
from token_refresh.consent.progress import Progress
from token_refresh.consent.redemption import Redemption
from token_refresh.consent.request import Case, Cases, Refused
from token_refresh.consent.save import NewGrantSaver
from token_refresh.core.connection import ANYBODY
from token_refresh.core.consent.authorization import (
    Callback,
    CallbackError,
    build_authorization_url,
    is_issuer,
    parse_callback,
    prompt_for_account,
    requested_scopes,
)
from token_refresh.core.consent.session import SESSION_SECONDS, Receipt, Session, Ticket, TicketError
from token_refresh.errors import StoreError
from token_refresh.instance.pace import Paces
from token_refresh.instance.recent import RecentKeys
from token_refresh.ports import ConsentTickets

# What providers answer when the owner presses "cancel" (RFC 6749, 4.1.2.1; LinkedIn; OpenID Connect Core, 3.1.2.6).
_DECLINED = ("access_denied", "user_cancelled_login", "user_cancelled_authorize", "consent_required")
_TROUBLE = ("server_error", "temporarily_unavailable")


@dataclass(slots=True)
class Reconsent:
    """The re-consent workflow; threads may share it."""

    cases: Cases
    redemption: Redemption
    tickets: ConsentTickets
    saver: NewGrantSaver
    new_link: NewLink
    progress: Progress
    asker: Asker
    limits: Limits
    paces: Paces
    clock: Callable[[], float]
    used: RecentKeys = field(init=False)

    def __post_init__(self) -> None:
        self.used = RecentKeys(SESSION_SECONDS, self.clock)

    # -- the pages ---------------------------------------------------------------------------------------------------

    def page(self, name: str, ticket: str, cookies: Mapping[str, str]) -> Page:
        """Explain what is asked; changes nothing, so that a link scanner does no harm."""
        try:
            case = self._open(self._read(name, ticket))
        except (Refused, StoreError) as fault:
            return self._refuse(fault, Context(name), cookies)
        log_step("page", name)
        return Page(200, "ask", {**self.asker.facts(), **explain(case)})

    def start(
        self, name: str, ticket: str, cookies: Mapping[str, str], *, state: str = "", other_account: bool = False
    ) -> Page | Redirect:
        """Send the owner to the provider, and bind what comes back to this browser.

        With the `state` of a session that has ended in this browser it starts again.
        """
        try:
            case = self._open(self._read(name, ticket, state, cookies))
        except (Refused, StoreError) as fault:
            return self._refuse(fault, Context(name), cookies)
        session = self.tickets.begin(case.ticket)
        connection = case.connection
        url = build_authorization_url(
            case.provider,
            case.authorization_url,
            session,
            client_id=case.client.client_id,
            redirect_uri=self.tickets.redirect_uri,
            scopes=requested_scopes(connection, case.provider),
            login_hint=None if connection.owner == ANYBODY else connection.owner,
            values=case.values,
            prompt=prompt_for_account(case.provider) if other_account else None,
        )
        log_step("redirected", name)
        return Redirect(url, session.cookie, tuple(self.tickets.superfluous(cookies)))

    def send_link(self, name: str, ticket: str, cookies: Mapping[str, str], *, state: str = "") -> Page:
        """Have a new link sent to the owner of a connection that still waits, for a ticket whose time is over."""
        try:
            self._read(name, ticket, state, cookies, expired_too=True)
            self.limits.link(name)
            return self._refuse(Refused(self.new_link.send(self.cases.find(name))), Context(name), cookies)
        except (Refused, StoreError) as fault:
            return self._refuse(fault, Context(name), cookies)

    def done(self, name: str, cookies: Mapping[str, str], look: int) -> Page:
        """Say what has become of a consent that this browser has ended; may be reloaded."""
        receipts = self.tickets.receipts(name, cookies)
        if not receipts:
            return self._refuse(Refused("no_receipt"), Context(), cookies)
        try:
            self.limits.view(f"{name} {receipts[0].consents}")
            facts = self.progress.look(receipts[0], look)
        except (Refused, StoreError) as fault:
            return self._refuse(fault, Context(name), cookies)
        return Page(200, "done", {**self.asker.facts(), **facts})

    def finish(self, query: Sequence[tuple[str, str]], cookies: Mapping[str, str]) -> Page | Redirect:
        """Take the provider's answer: check, exchange, check, store."""
        try:
            callback = parse_callback(query)
        except CallbackError:
            return self._refuse(Refused("forged_state"), Context(), cookies)
        try:
            session = self.tickets.resume(callback.state, cookies)
        except TicketError:
            return self._without_session(callback.state, cookies)
        context = Context(session.ticket.connection, state=session.state)
        try:
            self.limits.callback(session.ticket)
            case = self.cases.read(session.ticket)
            context = replace(context, connection=case.connection, provider=case.provider)
            return self._grant(case, callback, session)
        except (Refused, StoreError) as fault:
            return self._end(fault, context, session, cookies)

    # -- what a ticket or a state is good for ------------------------------------------------------------------------

    def _read(
        self,
        name: str,
        text: str,
        state: str = "",
        cookies: Mapping[str, str] | None = None,
        *,
        expired_too: bool = False,
    ) -> Ticket:
        """Read a link's ticket, or that of a session which has ended in this browser; raises `Refused`."""
        try:
            ticket = self.tickets.again(state, cookies or {}) if state and not text else self.tickets.read(text)
        except TicketError as fault:
            if fault.ticket is None or fault.ticket.connection != name:
                raise Refused("forged_ticket") from None
            if not expired_too:
                raise Refused("expired_ticket") from None
            return fault.ticket
        if ticket.connection != name:
            raise Refused("forged_ticket")
        return ticket

    def _open(self, ticket: Ticket) -> Case:
        self.limits.view(ticket)
        return self.cases.read(ticket)

    def _without_session(self, state: str, cookies: Mapping[str, str]) -> Page:
        """Answer a callback whose session is not in this browser, or not any more."""
        receipt = self.tickets.receipt(state, cookies)
        if receipt is not None:
            return self._already_done(receipt)
        try:
            ticket = self.tickets.again(state, cookies)
        except TicketError:
            return self._refuse(Refused("forged_state"), Context(), cookies)
        return self._refuse(Refused("used_state"), Context(ticket.connection, state=state), cookies)

    # -- the grant ---------------------------------------------------------------------------------------------------

    def _grant(self, case: Case, callback: Callback, session: Session) -> Redirect:
        if session.is_over:
            raise Refused("expired_state")
        if callback.iss is None and case.provider.iss_required:
            raise Refused("wrong_issuer", "iss is missing (RFC 9207)")
        if callback.iss is not None and not is_issuer(callback.iss, case.issuer, case.authorization_url):
            raise Refused("wrong_issuer", "iss names another issuer (RFC 9207)")
        if callback.code is None:
            _refuse_error(callback)
        if not self.used.add(session.state):
            raise Refused("used_state")
        try:
            self.limits.exchange(case.ticket)
        except Refused:
            self.used.forget(session.state)
            raise
        self.paces[urlsplit(case.provider.token_url).netloc].wait()
        grant = self.redemption.redeem(case, callback.code, callback, session, self.tickets.redirect_uri)
        receipt = self.progress.begin(case, grant.account)
        try:
            receipt = replace(receipt, version=self.saver.save(case.connection, grant))
        except StoreError as fault:
            raise Refused("not_stored", str(fault)) from None
        log_step("granted", case.connection.name, version=receipt.version)
        cookie = self.tickets.give_receipt(session, receipt)
        return Redirect(f"{self.tickets.base_url}/done/{quote(case.connection.name, safe='')}", cookie)

    # -- answers -----------------------------------------------------------------------------------------------------

    def _end(self, fault: Refused | StoreError, context: Context, session: Session, cookies: Mapping[str, str]) -> Page:
        """Refuse, and leave the browser what it needs to start again."""
        if isinstance(fault, Refused) and fault.wait:  # nothing is spent: the same answer may be tried again
            return self._refuse(fault, replace(context, state=""), cookies)
        page = self._refuse(fault, context, cookies)
        if page.view != "refused" or isinstance(fault, Refused) and fault.reason == "used_state":
            return page  # the answer that came first has the last word on the cookie
        return replace(page, cookie=self.tickets.end(session))

    def _refuse(self, fault: Refused | StoreError, context: Context, cookies: Mapping[str, str]) -> Page:
        if isinstance(fault, Refused) and fault.reason == "forged_ticket":
            context = Context()  # what the address calls the connection is anybody's word
        if isinstance(fault, Refused) and fault.reason == "spent_ticket":
            for receipt in self.tickets.receipts(context.name, cookies):
                if receipt.consents == fault.consents:
                    return self._already_done(receipt)
        return refuse(fault, self.asker, context, self.tickets.base_url)

    def _already_done(self, receipt: Receipt) -> Page:
        log_step("already_done", receipt.connection)
        url = f"{self.tickets.base_url}/done/{quote(receipt.connection, safe='')}"
        return Page(200, "done", {**self.asker.facts(), **self.progress.already(receipt), "done_url": url})


def _refuse_error(callback: Callback) -> NoReturn:
    """Tell a refusal by the owner from trouble at the provider (RFC 6749, section 4.1.2.1)."""
    detail = ": ".join(part for part in (callback.error, callback.error_description) if part)
    if callback.error in _DECLINED:
        raise Refused("declined", detail)
    raise Refused("provider_error" if callback.error in _TROUBLE else "client_refused", detail)
