"""Messages by the real Apprise to real servers on loopback: to exactly the owner, or not at all."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from apprise.plugins import pagerduty

from infra.local.mail import OPERATOR, Mail, MailServer
from tests.fakes.instance import FrozenClock
from tests.worlds.consent_store import NAME, SECRET, Secrets
from tests.worlds.consents import NOW
from token_refresh.adapters.messages import AppriseMessenger
from token_refresh.core.incident.events import EventType
from token_refresh.core.incident.message import House, Message
from token_refresh.core.incident.notice import Notice
from token_refresh.core.secrecy import Secret
from token_refresh.errors import OwnerUnreachable, Undeliverable
from token_refresh.instance.pace import Pace
from token_refresh.notify import Notifier, read_urls
from token_refresh.words import load_words

pytestmark = [
    pytest.mark.timeout(60),
    # Apprise loads its mail plugin with a module that Python 3.13 no longer has; it does without it there.
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]
BASE = "https://consent.example"
PLAIN_LINK = f"{BASE}/consent/gmail-alice?ticket=abc.def-_g"


def notifier(urls: str, owner: str | None, store: Secrets | None = None, name: str = "") -> Notifier:
    clock = FrozenClock(NOW)
    store = store or Secrets(clock)
    store.declare(SECRET, **({"owner": owner} if owner else {}))
    pace = Pace(100, clock, clock.sleep)
    house = House(load_words(), name, "", "p", BASE, 604_800.0)
    return Notifier(store, AppriseMessenger(name), read_urls(Secret(urls)), pace, clock, house, {})


def notice(event_type: str = "invalid_grant", event_id: str = "id-1", **data: Any) -> Notice:
    fields = {
        "connection": NAME,
        "connection_secret": SECRET,
        "provider": "acme",
        "reason": "revoked_or_expired",
        "consent_url": PLAIN_LINK,
        **data,
    }
    return Notice(event_id, EventType(event_type), NAME, fields, NOW)


def mails_to(owner: str, count: int = 2, name: str = "") -> list[Mail]:
    """Tell an owner by mail; answers every mail that left, in order."""
    with MailServer() as server:
        notifier(server.notify_urls, owner, name=name).tell(notice())
        return server.wait_for(count)


@pytest.mark.parametrize(
    ("owner", "recipient"),
    [
        ("alice@example.com", "alice@example.com"),
        ("alice+mail@example.com", "alice+mail@example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("first.last@sub.example.co.uk", "first.last@sub.example.co.uk"),
        ("a&b=c#d/e?f@example.com", "a&b=c#d/e?f@example.com"),
        ("info@exämple.de", "info@xn--exmple-cua.de"),
    ],
)
def test_a_mail_goes_to_exactly_the_annotated_address(owner: str, recipient: str) -> None:
    assert [mail.recipients for mail in mails_to(owner)] == [(OPERATOR,), (recipient,)]


@pytest.mark.parametrize(
    "owner",
    [
        "alice@example.com, mallory@evil.example",
        "alice@example.com;mallory@evil.example",
        "alice@example.com mallory@evil.example",
        "Bob <mallory@evil.example>",
        "alice@example.com&cc=mallory@evil.example",
        "alice@example.com%2Cmallory@evil.example",
        "mallory%evil.example@example.com",
        '"alice mallory"@example.com',
        "octocat",
        "jürgen@exämple.de",
    ],
)
def test_no_mail_leaves_to_what_is_not_one_address(owner: str) -> None:
    (mail,) = mails_to(owner, count=1)
    assert mail.recipients == (OPERATOR,)
    assert "The owner was not told" in mail.text
    assert PLAIN_LINK in mail.text.split()


@pytest.mark.parametrize(
    "more", ["&cc=boss@example.com", "&bcc=boss@example.com", "&to=boss@example.com", ",boss@x.example"]
)
def test_a_url_that_writes_to_others_as_well_is_not_used(more: str) -> None:
    with MailServer() as server:
        url = f"mailto://{server.address}?from=a@b.example&mode=insecure&to={{owner}}{more}"
        with pytest.raises(OwnerUnreachable, match="would write to others, too"):
            AppriseMessenger().send(Secret(url), Message("title", "body"), "alice@example.com")
        assert server.mails() == []


@pytest.mark.parametrize(
    ("url", "address", "is_reached"),
    [
        ("slack://xoxb-1234567890-1234567890-abcdefghijklmnopqrstuvwx/{owner}", "o'brien@example.com", True),
        ("slack://xoxb-1234567890-1234567890-abcdefghijklmnopqrstuvwx/{owner}/general", "a@example.com", False),
        ("mailto://u:p@smtp.example/ops@example.com?+X-Owner={owner}", "a@example.com", False),
        ("json://h.example/?:owner={owner}", "o'brien@example.com", True),
    ],
)
def test_other_services_write_to_exactly_the_owner_too(url: str, address: str, *, is_reached: bool) -> None:
    if is_reached:
        assert AppriseMessenger()._for_owner(Secret(url), address)
    else:
        with pytest.raises(OwnerUnreachable):
            AppriseMessenger()._for_owner(Secret(url), address)


def test_a_mail_has_text_and_html_with_the_same_link_and_says_who_asks() -> None:
    operators, owners = mails_to("alice@example.com", name="Acme Ünlimited")
    assert owners.subject == f"{NAME} needs your permission"
    assert PLAIN_LINK in owners.text.split()
    assert "Account to sign in with: alice@example.com\n" in owners.text
    assert "\n\n" in owners.text, "paragraphs stand apart in the text part as well"
    assert f'href="{PLAIN_LINK}"' in owners.html
    assert ">Allow access</a>" in owners.html
    assert owners.sender == "Acme Ünlimited <token-refresh@local.example>"
    assert "What to do" in operators.text


def test_a_link_that_is_not_ours_leaves_with_no_mail() -> None:
    with MailServer() as server:
        notifier(server.notify_urls, "alice@example.com").tell(notice(consent_url="http://phish.evil.example/login"))
        for mail in server.wait_for(2):
            assert "evil" not in mail.text + mail.html


def test_a_refused_owner_is_delivered_again_and_after_a_day_told_to_the_operators() -> None:
    with MailServer(refuses={"alice@example.com"}) as server:
        clock = FrozenClock(NOW)
        store = Secrets(clock)
        tell = notifier(server.notify_urls, "alice@example.com", store)
        with pytest.raises(Undeliverable, match="mailto did not take the message"):
            tell.tell(notice())
        assert [mail.recipients for mail in server.wait_for(1)] == [(OPERATOR,)]
        late = notifier_later(server.notify_urls, store, NOW + 86_400)
        late.tell(notice())
        mails = server.wait_for(3)
    assert [mail.recipients for mail in mails] == [(OPERATOR,)] * 3
    assert mails[-1].subject == f"{NAME}: its owner could not be told"


def notifier_later(urls: str, store: Secrets, now: float) -> Notifier:
    """Build another instance, later."""
    clock = FrozenClock(now)
    pace = Pace(100, clock, clock.sleep)
    house = House(load_words(), "", "", "p", BASE, 604_800.0)
    return Notifier(store, AppriseMessenger(), read_urls(Secret(urls)), pace, clock, house, {})


@pytest.mark.parametrize(
    "url", ["nonsense-secret", "unknown://secret", "mailto://u:secret@127.0.0.1:9?to={owner}&mode=insecure"]
)
@pytest.mark.parametrize("owner", [None, "secret-owner@example.com"])
def test_what_cannot_be_sent_says_so_without_the_url(
    url: str, owner: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Undeliverable) as fault:
        AppriseMessenger().send(Secret(url), Message("title", "body"), owner)
    assert "secret" not in str(fault.value)
    assert "secret" not in caplog.text


# -- PagerDuty ---------------------------------------------------------------------------------------------------------


@contextmanager
def pager() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve PagerDuty's Events API on loopback; yields its address and the events that arrived."""
    events: list[dict[str, Any]] = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v2/enqueue", events
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("event_type", "reason", "severity", "over"),
    [
        ("invalid_grant", "revoked_or_expired", "critical", "critical"),
        ("client_rejected", "invalid_client", "error", "info"),
    ],
)
def test_pagerduty_resolves_what_it_opened(
    event_type: str, reason: str, severity: str, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "pagerduty://key@token?action=map&dedup=token-refresh-{subject}&severity={severity}"
    with pager() as (address, events):
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", address)
        tell = notifier(url, None)
        tell.tell(notice(event_type, "id-1", reason=reason, severity=severity))
        # Recovered by a new consent: the access token is still to come, and the severity says so.
        tell.tell(notice("recovered", "id-2", reason=reason, severity=over, incident="id-1"))
    assert [(event["event_action"], event["dedup_key"]) for event in events] == [
        ("trigger", f"token-refresh-{NAME}"),
        ("resolve", f"token-refresh-{NAME}"),
    ]
    assert events[0]["payload"]["severity"] == severity
