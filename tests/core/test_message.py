"""What people read: one line of title, plain words, the link, and never a provider's text for an owner."""

from __future__ import annotations

import pytest

from token_refresh.core.incident.events import REMEDIES, TYPES
from token_refresh.core.incident.message import build_message

NAME = "gmail-alice"
LINK = "https://consent.example/consent/gmail-alice?ticket=abc.def-_g"


@pytest.mark.parametrize("to_owner", [True, False], ids=["owner", "operators"])
@pytest.mark.parametrize("reason", [*REMEDIES, "something_new"])
@pytest.mark.parametrize("event_type", TYPES)
def test_every_event_has_a_message_with_a_title_of_one_line(event_type: str, reason: str, *, to_owner: bool) -> None:
    data = {"reason": reason, "provider": "acme", "connection": NAME, "consent_url": LINK}
    message = build_message(event_type, NAME, data, to_owner=to_owner)
    assert NAME in message.title
    assert "\n" not in message.title
    assert message.body.strip()
    assert message.good_news is (event_type == "recovered")


@pytest.mark.parametrize("event_type", ["invalid_grant", "consent_expiring", "consent_overdue"])
def test_owner_and_operators_get_reason_remedy_and_link(event_type: str) -> None:
    data = {"reason": "revoked_or_expired", "remedy": "reconsent", "consent_url": LINK}
    for to_owner in (True, False):
        body = build_message(event_type, NAME, data, to_owner=to_owner).body
        assert LINK in body.split()
        assert "allow" in body


def test_without_a_link_the_owner_is_told_whom_to_ask() -> None:
    assert "ask whoever runs this service" in build_message("invalid_grant", NAME, {}, to_owner=True).body


@pytest.mark.parametrize("link", ["javascript:alert(1)", "https://a b", "https://a\nb", 7, None, ""])
def test_what_is_no_link_is_not_sent_as_one(link: object) -> None:
    body = build_message("invalid_grant", NAME, {"consent_url": link}, to_owner=True).body
    assert "Open this link" not in body


def test_an_owner_never_reads_a_providers_text() -> None:
    data = {"reason": "revoked_or_expired", "message": "go to evil.example", "error_description": "evil.example"}
    assert "evil" not in build_message("invalid_grant", "mail", data, to_owner=True).body
    assert "evil" in build_message("invalid_grant", "mail", data, to_owner=False).body


def test_a_subject_cannot_break_out_of_the_title() -> None:
    message = build_message("invalid_grant", "a\r\nBcc: eve@example.com", {}, to_owner=False)
    assert "\n" not in message.title
    assert "\r" not in message.title


@pytest.mark.parametrize("value", [1_795_000_000, 1e30, float("inf"), float("nan"), True, "x", None])
def test_odd_times_break_nothing(value: object) -> None:
    assert build_message("refresh_failing", NAME, {"first_failed_at": value}, to_owner=False).body
