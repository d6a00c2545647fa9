"""What people read: who asks and what for, until when, what to do; text and mail from the same words."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from token_refresh.core.incident.events import REMEDIES, EventType
from token_refresh.core.incident.message import About, House, Message
from token_refresh.core.incident.notice import Notice
from token_refresh.core.incident.operator_message import build_operator_message, build_unreached_message
from token_refresh.core.incident.owner_message import build_owner_message
from token_refresh.words import load_words

NOW = 1_796_000_000.0  # 30 November 2026, 00:53 UTC
NAME = "gmail-alice"
BASE = "https://consent.example"
LINK = f"{BASE}/consent/{NAME}?ticket=abc.def-_g"
HOUSE = House(
    load_words(), "Acme Finance", "it@acme.example", "acme-prod", BASE, 604_800.0, "https://wiki.example/runbook"
)
ABOUT = About("Invoices of Alice", "Sends your invoices to the bookkeeping.", "alice@example.com", "Google")
JARGON = re.compile(
    r"\b(grants?|tokens?|OAuth|clients?|consent screen|scopes?|session control|secret)\b", re.IGNORECASE
)
FOR_OWNERS = ("invalid_grant", "consent_expiring", "consent_overdue")


def notice(event_type: str = "invalid_grant", **data: Any) -> Notice:
    fields = {"reason": "revoked_or_expired", "provider": "google", "connection": NAME, "consent_url": LINK, **data}
    return Notice("e-1", EventType(event_type), NAME, {k: v for k, v in fields.items() if v is not None}, time=NOW)


def to_owner(event_type: str = "invalid_grant", house: House = HOUSE, about: About = ABOUT, **data: Any) -> Message:
    return build_owner_message(notice(event_type, **data), house, about, NOW)


def to_operators(event_type: str = "invalid_grant", **data: Any) -> Message:
    return build_operator_message(notice(event_type, **data), HOUSE, ABOUT, NOW)


class Reader(HTMLParser):
    """Reads a mail as a person does: its visible words, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.links, self._hidden = "", list[str](), False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("style", "title")
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not [value for name, value in attrs if name in ("src", "background")], "nothing is loaded"

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False
        self.words += " " if tag in ("p", "div", "h1") else ""

    def handle_data(self, data: str) -> None:
        self.words += "" if self._hidden else data


@pytest.mark.parametrize("reason", [*REMEDIES, "something_new"])
@pytest.mark.parametrize("event_type", EventType)
def test_operators_get_a_message_about_every_event(event_type: str, reason: str) -> None:
    message = to_operators(event_type, reason=reason)
    assert NAME in message.title
    assert "\n" not in message.title
    assert "Project: acme-prod" in message.body
    assert message.good_news is (event_type == "recovered")


@pytest.mark.parametrize("reason", [*REMEDIES, "something_new"])
@pytest.mark.parametrize("event_type", [*FOR_OWNERS, "recovered"])
def test_owners_get_a_message_without_jargon_about_every_event_of_theirs(event_type: str, reason: str) -> None:
    message = to_owner(event_type, reason=reason)
    assert "Invoices of Alice" in message.title
    assert "\n" not in message.title
    for text in (message.title, message.body, Reader(message.html).words):
        assert not JARGON.search(text.replace(LINK, ""))


@pytest.mark.parametrize("event_type", FOR_OWNERS)
def test_an_owner_reads_who_asks_what_for_which_account_and_until_when(event_type: str) -> None:
    body = to_owner(event_type, access_token_expires_at=NOW + 3000, first_failed_at=NOW - 7200).body
    assert "Acme Finance" in body.splitlines()[0]
    assert "your Google account" in body.splitlines()[0]
    assert "What it is for: Sends your invoices to the bookkeeping." in body
    assert "Account to sign in with: alice@example.com" in body
    assert "This link works until: 7 December 2026, 00:53 UTC (7 days after this message)" in body
    assert "it@acme.example" in body
    assert LINK in body.split()


def test_an_owner_reads_since_when_and_until_when_things_work() -> None:
    body = to_owner(access_token_expires_at=NOW + 3000, first_failed_at=NOW - 7200).body
    assert "Since: 29 November 2026, 22:53 UTC (2 hours before this message)" in body
    assert "Works until: 30 November 2026, 01:43 UTC (50 minutes after this message)" in body
    assert (
        "Stopped working: 29 November 2026, 23:53 UTC (60 minutes before"
        in to_owner(access_token_expires_at=NOW - 3600).body
    )


def test_an_owner_reads_when_a_permission_ends() -> None:
    message = to_owner("consent_expiring", message="its grant ends in about 7 days (2026-12-07 00:53 UTC): ask for it")
    assert message.title == "Invoices of Alice: your permission ends on 7 December"
    assert "The permission ends: 7 December 2026, 00:53 UTC (7 days after this message)" in message.body
    assert to_owner("consent_expiring").title == "Invoices of Alice: your permission ends soon"


@pytest.mark.parametrize(
    ("event_type", "reason", "label"),
    [
        ("invalid_grant", "revoked_or_expired", "Allow access"),
        ("invalid_grant", "reauth_required", "Sign in again"),
        ("consent_expiring", "consent_expiring", "Renew the permission"),
    ],
)
def test_the_button_says_what_it_does(event_type: str, reason: str, label: str) -> None:
    html = to_owner(event_type, reason=reason).html
    assert f">{label}</a>" in html
    assert set(Reader(html).links) == {LINK}


def test_text_and_mail_hold_the_same_words() -> None:
    message = to_owner(access_token_expires_at=NOW + 3000)
    words = set(re.findall(r"\w+", Reader(message.html).words))
    assert set(re.findall(r"\w+", message.body)) <= words


def test_without_names_the_owner_is_still_told_what_it_is() -> None:
    message = build_owner_message(notice(), House(load_words(), consent_url=BASE, ticket_ttl=3600), About(), NOW)
    assert message.title == f"{NAME} needs your permission"
    assert message.body.startswith(f"{NAME} needs your permission to go on using your account.")
    assert "the people who run this service" in message.body
    assert ": \n" not in message.body


def test_without_a_link_the_owner_is_told_whom_to_ask() -> None:
    body = to_owner(consent_url=None).body
    assert "Please ask it@acme.example for a link" in body
    assert "This link" not in body


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "http://phish.evil.example/login",
        "https://evil.example/consent/x?ticket=1",
        f"{BASE}.evil.example/consent/x?ticket=1",
        f"{BASE}/other/x?ticket=1",
        "http://consent.example/consent/x?ticket=1",
        f"{LINK} https://evil.example",
        f"{LINK}\nhttps://evil.example",
        f'{LINK}"><a href="https://evil.example',
        7,
        None,
        "",
    ],
)
@pytest.mark.parametrize("event_type", FOR_OWNERS)
def test_a_link_that_is_not_ours_is_passed_on_to_nobody(event_type: str, link: object) -> None:
    for message in (to_owner(event_type, consent_url=link), to_operators(event_type, consent_url=link)):
        assert "evil" not in message.body + message.html
        assert BASE not in message.body + message.html


def test_without_a_consent_url_no_link_is_ours() -> None:
    assert LINK not in to_owner(house=House(load_words())).body


def test_an_owner_never_reads_a_providers_text() -> None:
    data: dict[str, Any] = {
        "message": "go to evil.example",
        "error_description": "evil.example",
        "error": "evil.example",
    }
    owners = to_owner(**data)
    assert "evil" not in owners.title + owners.body + owners.html
    assert "evil" in to_operators(**data).body


@pytest.mark.parametrize("where", ["subject", "title", "purpose", "owner", "provider"])
def test_nothing_breaks_out_of_the_title_or_the_mail(where: str) -> None:
    evil = "a\r\nBcc: eve@example.com <script>alert(1)</script>"
    about = About(**{where: evil}) if where != "subject" else About()
    told = Notice("e-1", EventType.INVALID_GRANT, evil if where == "subject" else NAME, notice().data, time=NOW)
    for message in (build_owner_message(told, HOUSE, about, NOW), build_operator_message(told, HOUSE, about, NOW)):
        assert "\n" not in message.title
        assert "\r" not in message.title
        assert "<script" not in message.html


@pytest.mark.parametrize("value", [1e30, float("inf"), float("nan"), True, "x", None])
def test_odd_times_break_nothing(value: object) -> None:
    for message in (to_owner(first_failed_at=value), to_operators("refresh_failing", first_failed_at=value)):
        assert "Since" not in message.body
        assert "First failed" not in message.body


@pytest.mark.parametrize(
    ("event_type", "reason", "title"),
    [
        ("client_rejected", "invalid_client", f"{NAME}: the provider refuses the client"),
        ("client_rejected", "misconfigured", f"{NAME} cannot be used as it is configured"),
        ("client_rejected", "invalid_scope", f"{NAME}: the configuration has to be corrected"),
        ("client_rejected", "admin_policy_enforced", f"{NAME}: an administrator has to allow it"),
        ("client_rejected", "mass_invalid_grant", f"{NAME}: many grants of this client died at once"),
        ("client_rejected", "some_new_code", f"{NAME}: the provider refuses the client"),
        ("invalid_grant", "testing_mode_expiry", f"{NAME} died after seven days in Testing: publish the app"),
        ("invalid_grant", "revoked_or_expired", f"{NAME} needs its owner's consent"),
    ],
)
def test_operators_titles_fit_the_remedy(event_type: str, reason: str, title: str) -> None:
    assert to_operators(event_type, reason=reason).title == title


def test_operators_read_what_to_do_and_where() -> None:
    body = to_operators(reason="testing_mode_expiry").body
    assert "What to do: Publish the app first" in body
    assert "Where: https://console.cloud.google.com/auth/audience?project=acme-prod" in body
    assert "Runbook: https://wiki.example/runbook#a-connection-needs-consent" in body
    assert "Owner: alice@example.com" in body
    assert LINK in body.split()


def test_operators_of_a_client_read_which_connections() -> None:
    data = {"connection": None, "consent_url": None, "connections": 22, "connection_names": ["a", "b"]}
    body = to_operators("client_rejected", reason="invalid_client", **data).body
    assert "Connections: 22 (a, b and 20 more)" in body
    assert "Connections: 2 (a, b)" in to_operators("client_rejected", connection_names=["a", "b"]).body
    assert "Connections: 3\n" in to_operators("client_rejected", connections=3).body


@pytest.mark.parametrize("odd", [{"connections": True}, {"connection_names": "abc"}, {"connection_names": [1, None]}])
def test_odd_lists_of_connections_break_nothing(odd: dict[str, Any]) -> None:
    assert "Connections:" not in to_operators("client_rejected", **odd).body


def test_operators_read_that_an_account_is_not_verified() -> None:
    assert "Account: unverified" in to_operators("recovered", account="unverified").body


def test_operators_are_told_that_an_owner_was_not_reached() -> None:
    message = build_unreached_message(notice(), HOUSE, ABOUT, NOW, "The owner could not be told (mailto).")
    assert message.title == f"{NAME}: its owner could not be told"
    assert "The owner could not be told (mailto)." in message.body
    assert LINK in message.body.split()


def test_sentences_begin_with_a_capital() -> None:
    assert to_operators(message="connection gmail-alice: x").body.startswith("Connection gmail-alice: x")
