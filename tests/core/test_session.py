"""Tickets and sessions of a consent: what is told of them, and what is never printed."""

from __future__ import annotations

from token_refresh.core.consent.session import SESSION_SECONDS, Cookie, Session, Ticket, TicketError
from token_refresh.core.secrecy import Secret


def test_a_ticket_error_says_whether_time_has_passed() -> None:
    assert [str(TicketError()), str(TicketError(Ticket("gmail-alice", 0)))] == ["forged", "expired"]
    assert SESSION_SECONDS == 3600


def test_a_session_prints_no_secret() -> None:
    cookie = Cookie("name", "the-cookie", 60)
    session = Session(Ticket("mail", 1), "the-state", Secret("the-verifier"), "the-nonce", cookie)
    for secret in ("the-state", "the-verifier", "the-nonce", "the-cookie"):
        assert secret not in repr(session)
