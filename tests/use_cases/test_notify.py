"""Who hears of what: owners what they must do, at their address alone; operators everything; each incident once."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.fakes.instance import FrozenClock
from tests.worlds.consent_store import NAME, SECRET, Secrets
from tests.worlds.consents import NOW, OWNER
from token_refresh.core.incident.events import EventType
from token_refresh.core.incident.message import House, Message
from token_refresh.core.incident.notice import Notice
from token_refresh.core.secrecy import Secret
from token_refresh.errors import OwnerUnreachable, StoreDenied, TokenRefreshError, Undeliverable
from token_refresh.instance.pace import Pace
from token_refresh.notify import Notifier, fill, read_urls
from token_refresh.words import load_words

pytestmark = pytest.mark.timeout(60)
BASE = "https://consent.example"
LINK = f"{BASE}/consent/gmail-alice?ticket=abc.def-_g"
OPERATORS = "json://operators.example/token-of-operators"
OWNERS = "mailto://user:password@smtp.example?to={owner}"
DAY = 86_400
HOUSE = House(load_words(), "Acme", "it@acme.example", "acme-prod", BASE, 604_800.0)


class FakeMessenger:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []
        self.broken: set[str] = set()
        self.strays: set[str] = set()

    def send(self, url: Secret, message: Message, owner: str | None = None) -> None:
        service = url.reveal().partition(":")[0]
        if service in self.broken:
            raise Undeliverable(f"{service} did not take the message")
        if service in self.strays:
            raise OwnerUnreachable(f"{service} would write to others, too")
        self.sent.append((f"{service} {owner}" if owner else url.reveal(), message))


class World:
    def __init__(self, urls: str = f"# people\n{OPERATORS}\n\n{OWNERS}\n") -> None:
        self.clock = FrozenClock(NOW)
        self.store = Secrets(self.clock)
        self.store.declare(SECRET, owner=OWNER)
        self.messenger = FakeMessenger()
        pace = Pace(5, self.clock, self.clock.sleep)
        self.notifier = Notifier(
            self.store, self.messenger, read_urls(Secret(urls)), pace, self.clock, HOUSE, {"acme": "Acme Mail"}
        )

    def tell(self, event_type: str, event_id: str = "id-1", **data: Any) -> list[str]:
        before = len(self.messenger.sent)
        self.notifier.tell(notice(event_type, event_id, **data))
        return [url for url, _ in self.messenger.sent[before:]]

    def body(self, url: str) -> str:
        """Return the last message sent there."""
        return [message.body for sent_to, message in self.messenger.sent if sent_to == url][-1]


def notice(event_type: str, event_id: str = "id-1", time: float | None = NOW, **data: Any) -> Notice:
    fields = {
        "connection": NAME,
        "connection_secret": SECRET,
        "provider": "acme",
        "reason": "revoked_or_expired",
        "consent_url": LINK,
        **data,
    }
    return Notice(event_id, EventType(event_type), NAME, {k: v for k, v in fields.items() if v is not None}, time)


@pytest.fixture
def world() -> World:
    return World()


TO_OWNER = f"mailto {OWNER}"


@pytest.mark.parametrize("event_type", ["invalid_grant", "consent_expiring", "consent_overdue", "recovered"])
def test_what_concerns_the_owner_goes_to_the_owner_and_the_operators(world: World, event_type: str) -> None:
    assert world.tell(event_type) == [OPERATORS, TO_OWNER]


@pytest.mark.parametrize(
    ("event_type", "reason"),
    [
        ("client_rejected", "invalid_client"),
        ("client_rejected", "misconfigured"),
        ("refresh_failing", "refresh_failing"),
        ("recovered", "invalid_client"),
        ("recovered", "http_503"),
    ],
)
def test_what_concerns_operators_never_goes_to_an_owner(world: World, event_type: str, reason: str) -> None:
    assert world.tell(event_type, reason=reason) == [OPERATORS]


def test_a_client_event_names_no_connection_and_goes_to_operators(world: World) -> None:
    assert world.tell("recovered", connection=None, connection_secret=None) == [OPERATORS]


def test_a_redelivery_is_sent_once_and_another_incident_again(world: World) -> None:
    assert len(world.tell("invalid_grant")) == 2
    assert world.tell("invalid_grant") == []
    assert len(world.tell("recovered", "id-2")) == 2
    assert len(world.tell("invalid_grant", "id-3")) == 2


def test_an_owner_reads_what_the_connection_is_and_what_it_is_for(world: World) -> None:
    world.store.note("title", "Invoices of Alice")
    world.store.note("purpose", "Sends your invoices to the bookkeeping.")
    world.tell("invalid_grant")
    body = world.body(TO_OWNER)
    for words in ("your Acme Mail account", "Sends your invoices to the bookkeeping.", OWNER, "Acme needs"):
        assert words in body
    assert world.messenger.sent[-1][1].title == "Invoices of Alice needs your permission"


# -- what does not arrive ----------------------------------------------------------------------------------------------


def test_what_was_not_delivered_raises_and_only_that_is_sent_again(world: World) -> None:
    world.messenger.broken = {"mailto"}
    with pytest.raises(Undeliverable, match="mailto did not take the message") as fault:
        world.tell("invalid_grant")
    for secret in ("password", "token-of-operators", OWNER, LINK):
        assert secret not in str(fault.value)
    world.messenger.broken = set()
    assert world.tell("invalid_grant") == [TO_OWNER]


def test_what_was_not_delivered_is_an_error_of_the_package() -> None:
    assert issubclass(OwnerUnreachable, Undeliverable)
    assert issubclass(Undeliverable, TokenRefreshError)


@pytest.mark.parametrize("owner", ["octocat", "12345", "CORP\\alice", "jürgen@exämple.de", "a@x.example, b@y.example"])
def test_an_owner_without_one_address_is_told_to_the_operators_and_acknowledged(world: World, owner: str) -> None:
    world.store.note("owner", owner)
    assert world.tell("invalid_grant") == [OPERATORS]
    assert "The owner was not told: The annotation token-refresh.owner is not one e-mail address." in world.body(
        OPERATORS
    )
    assert LINK in world.body(OPERATORS).split()


@pytest.mark.parametrize(("owner", "words"), [(None, "No owner is annotated"), ("*", "the first account to consent")])
def test_a_connection_that_names_no_person_is_the_operators_matter(world: World, owner: str | None, words: str) -> None:
    world.store.note("owner", owner)
    assert world.tell("invalid_grant") == [OPERATORS]
    assert words in world.body(OPERATORS)


def test_nothing_is_left_to_forward_when_it_is_over(world: World) -> None:
    world.store.note("owner", "octocat")
    assert world.tell("recovered") == [OPERATORS]
    assert "orward" not in world.body(OPERATORS)


def test_without_operators_an_owner_who_cannot_be_told_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    world = World(OWNERS)
    world.store.note("owner", "octocat")
    assert world.tell("invalid_grant") == []
    assert "is not one e-mail address" in caplog.text


def test_a_url_that_would_write_to_others_is_told_to_the_operators_and_acknowledged(world: World) -> None:
    world.messenger.strays = {"mailto"}
    assert world.tell("invalid_grant") == [OPERATORS, OPERATORS]
    assert "Mailto would write to others, too" in world.body(OPERATORS)
    assert world.messenger.sent[-1][1].title == f"{NAME}: its owner could not be told"
    assert world.tell("invalid_grant") == [], "a redelivery is not told again"


def test_an_owner_who_is_refused_for_a_day_is_told_to_the_operators_and_acknowledged(world: World) -> None:
    world.messenger.broken = {"mailto"}
    for hours in (0, 1, 23.9):
        world.clock.now = NOW + hours * 3600
        with pytest.raises(Undeliverable):
            world.tell("invalid_grant")
    assert len(world.messenger.sent) == 1
    world.clock.now = NOW + DAY
    assert world.tell("invalid_grant")[-1] == OPERATORS
    assert "Mailto did not take the message" in world.body(OPERATORS)
    assert LINK in world.body(OPERATORS).split()


def test_an_event_that_says_no_time_is_delivered_again(world: World) -> None:
    world.messenger.broken = {"mailto"}
    with pytest.raises(Undeliverable):
        world.notifier.tell(notice("invalid_grant", time=None))


def test_operators_who_cannot_be_told_are_tried_again_however_late(world: World) -> None:
    world.messenger.broken = {"json"}
    world.clock.now = NOW + 2 * DAY
    with pytest.raises(Undeliverable, match="json did not take the message"):
        world.tell("invalid_grant")


def test_operators_hear_of_it_even_when_the_owner_cannot_be_looked_up(world: World) -> None:
    world.store.down = True
    with pytest.raises(Undeliverable, match="the owner cannot be looked up"):
        world.tell("invalid_grant")
    assert [url for url, _ in world.messenger.sent] == [OPERATORS]
    world.store.down = False
    assert world.tell("invalid_grant") == [TO_OWNER]


def test_operators_hear_of_it_even_without_the_permission_to_look(world: World) -> None:
    world.store.faults.fail("get", StoreDenied("cannot read secret: permission denied"), times=10**6)
    with pytest.raises(Undeliverable, match="permission denied"):
        world.tell("invalid_grant")
    assert [url for url, _ in world.messenger.sent] == [OPERATORS]


def test_a_connection_that_is_gone_needs_nobody_but_operators(world: World) -> None:
    world.store.cloud.secrets.clear()
    assert world.tell("invalid_grant") == [OPERATORS]


def test_without_urls_for_owners_a_secret_that_cannot_be_read_holds_nothing_up() -> None:
    world = World(OPERATORS)
    world.store.down = True
    assert world.tell("invalid_grant") == [OPERATORS]


def test_a_burst_is_spread(world: World) -> None:
    for number in range(10):
        world.tell("invalid_grant", f"id-{number}")
    assert world.clock.now - NOW == pytest.approx(19 / 5)


def test_log_lines_have_no_url_and_no_link(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.tell("invalid_grant")
    world.messenger.broken = {"mailto"}
    world.clock.now = NOW + DAY
    world.tell("invalid_grant", "id-2")
    assert "invalid_grant" in caplog.text
    for secret in ("password", "token-of-operators", "ticket=", OWNER):
        assert secret not in caplog.text


# -- placeholders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event_type", "data", "filled"),
    [
        ("invalid_grant", {"severity": "critical"}, "?dedup=token-refresh-gmail-alice&s=critical&i=id-1"),
        (
            "recovered",
            {"incident": "invalid_grant.1", "severity": "info"},
            "?dedup=token-refresh-gmail-alice&s=info&i=invalid_grant.1",
        ),
        ("client_rejected", {}, "?dedup=token-refresh-gmail-alice&s=error&i=id-1"),
    ],
)
def test_a_url_may_name_subject_incident_and_severity(event_type: str, data: dict[str, Any], filled: str) -> None:
    world = World("pagerduty://key@token?dedup=token-refresh-{subject}&s={severity}&i={incident}")
    assert world.tell(event_type, **data) == [f"pagerduty://key@token{filled}"]


def test_an_events_facts_cannot_add_to_a_url() -> None:
    told = Notice(
        "i&x=1", EventType.INVALID_GRANT, "client:a&to=eve@example.com#{owner}?{incident}", {"severity": "x&y"}
    )
    url = fill(Secret("json://h?s={subject}&i={incident}&v={severity}&o={owner}"), told).reveal()
    assert url == (
        "json://h?s=client%3Aa%26to%3Deve%40example.com%23%7Bowner%7D%3F%7Bincident%7D&i=i%26x%3D1&v=warning&o={owner}"
    )
