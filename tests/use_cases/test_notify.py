"""Who hears of what: owners what they must do, operators everything, each incident once."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from infra.local.mail import MailServer
from tests.fakes.instance import FrozenClock
from tests.worlds.consents import NAME, NOW, OWNER, SECRET, Secrets
from token_refresh.adapters.messages import AppriseMessenger
from token_refresh.core.incident.message import Message, Undeliverable
from token_refresh.core.secrecy import Secret
from token_refresh.errors import BadRequest
from token_refresh.instance.pace import Pace
from token_refresh.notify import Notice, Notifier, parse_notice, read_urls

pytestmark = pytest.mark.timeout(60)
LINK = "https://consent.example/consent/gmail-alice?ticket=abc.def-_g"
OPERATORS = "json://operators.example/token-of-operators"
OWNERS = "mailto://user:password@smtp.example?to={owner}"


class FakeMessenger:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []
        self.broken: set[str] = set()

    def send(self, url: Secret, message: Message) -> None:
        service = url.reveal().partition(":")[0]
        if service in self.broken:
            raise Undeliverable(f"{service} did not take the message")
        self.sent.append((url.reveal(), message))


class World:
    def __init__(self, urls: str = f"# people\n{OPERATORS}\n\n{OWNERS}\n") -> None:
        self.clock = FrozenClock(NOW)
        self.store = Secrets(self.clock)
        self.store.declare(SECRET, owner=OWNER)
        self.messenger = FakeMessenger()
        pace = Pace(5, self.clock, self.clock.sleep)
        self.notifier = Notifier(self.store, self.messenger, read_urls(Secret(urls)), pace, self.clock)

    def tell(self, event_type: str, event_id: str = "id-1", **data: Any) -> list[str]:
        before = len(self.messenger.sent)
        self.notifier.tell(notice(event_type, event_id, **data))
        return [url for url, _ in self.messenger.sent[before:]]


def notice(event_type: str, event_id: str = "id-1", **data: Any) -> Notice:
    fields = {
        "connection": NAME,
        "connection_secret": SECRET,
        "provider": "acme",
        "reason": "revoked_or_expired",
        **data,
    }
    return Notice(event_id, event_type, NAME, {k: v for k, v in fields.items() if v is not None})


@pytest.fixture
def world() -> World:
    return World()


TO_OWNER = OWNERS.replace("{owner}", OWNER)


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


def test_what_was_not_delivered_raises_and_only_that_is_sent_again(world: World) -> None:
    world.messenger.broken = {"mailto"}
    with pytest.raises(Undeliverable, match="mailto did not take the message") as fault:
        world.tell("invalid_grant")
    for secret in ("password", "token-of-operators", OWNER, LINK):
        assert secret not in str(fault.value)
    world.messenger.broken = set()
    assert world.tell("invalid_grant") == [TO_OWNER]


def test_operators_hear_of_it_even_when_the_owner_cannot_be_looked_up(world: World) -> None:
    world.store.down = True
    with pytest.raises(Undeliverable, match="the owner cannot be looked up"):
        world.tell("invalid_grant")
    assert [url for url, _ in world.messenger.sent] == [OPERATORS]
    world.store.down = False
    assert world.tell("invalid_grant") == [TO_OWNER]


def test_a_connection_without_owner_is_the_operators_matter(world: World) -> None:
    world.store.note("owner", None)
    assert world.tell("invalid_grant") == [OPERATORS]


def test_a_connection_that_is_gone_needs_nobody_but_operators(world: World) -> None:
    world.store.cloud.secrets.clear()
    assert world.tell("invalid_grant") == [OPERATORS]


def test_without_urls_for_owners_no_secret_is_read() -> None:
    world = World(OPERATORS)
    world.store.down = True
    assert world.tell("invalid_grant") == [OPERATORS]


def test_an_address_cannot_add_parameters_to_the_url(world: World) -> None:
    world.store.note("owner", "eve@example.com&cc=mallory@example.com#x y")
    (url,) = [url for url in world.tell("invalid_grant") if url != OPERATORS]
    assert url.endswith("?to=eve@example.com%26cc%3Dmallory@example.com%23x%20y")


def test_a_burst_is_spread(world: World) -> None:
    for number in range(10):
        world.tell("invalid_grant", f"id-{number}")
    assert world.clock.now - NOW == pytest.approx(19 / 5)


def test_log_lines_have_no_url_and_no_link(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.tell("invalid_grant", consent_url=LINK)
    assert "invalid_grant" in caplog.text
    for secret in ("password", "token-of-operators", "ticket="):
        assert secret not in caplog.text


# -- how events arrive -----------------------------------------------------------------------------------------------

NATIVE = {
    "type": "dev.token-refresh.invalid_grant.v1",
    "id": "e-1",
    "subject": NAME,
    "source": "s",
    "specversion": "1.0",
}
PUBSUB = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "id": "m-1", "source": "topic"}


def wrapped(attributes: Mapping[str, str] | None = None, data: object = b'{"reason": "x"}') -> dict[str, Any]:
    marked = {f"ce-{name}": value for name, value in NATIVE.items()} if attributes is None else attributes
    body = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return {"message": {"attributes": marked, "data": body, "messageId": "m-1"}, "subscription": "s"}


@pytest.mark.parametrize(
    "data", [{"reason": "x"}, b'{"reason": "x"}', '{"reason": "x"}'], ids=["object", "bytes", "text"]
)
def test_a_native_event_is_read(data: object) -> None:
    assert parse_notice(NATIVE, data) == Notice("e-1", "invalid_grant", NAME, {"reason": "x"})


def test_a_wrapped_event_is_read() -> None:
    assert parse_notice(PUBSUB, wrapped()) == Notice("e-1", "invalid_grant", NAME, {"reason": "x"})


@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        ({**NATIVE, "type": "com.example.other"}, {}),
        ({**NATIVE, "type": "dev.token-refresh.invalid_grant.v2"}, {}),
        ({**NATIVE, "type": "dev.token-refresh.unheard_of.v1"}, {}),
        ({**NATIVE, "type": "x.dev.token-refresh.invalid_grant.v1"}, {}),
        (PUBSUB, wrapped({"eventType": "SECRET_ROTATE"})),
        (PUBSUB, {"message": {"data": ""}}),
        ({}, None),
    ],
    ids=["foreign", "a later version", "unknown", "prefixed", "secret manager's", "no attributes", "nothing"],
)
def test_what_is_no_event_of_ours_is_acknowledged(attributes: Any, data: Any) -> None:
    assert parse_notice(attributes, data) is None


@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        (NATIVE, b"{"),
        (NATIVE, b"[]"),
        (NATIVE, None),
        ({**NATIVE, "id": ""}, {}),
        ({**NATIVE, "subject": None}, {}),
        (PUBSUB, {}),
        (PUBSUB, wrapped(data="!")),
        (PUBSUB, wrapped(data=b"\xff")),
    ],
)
def test_an_event_of_ours_that_cannot_be_read_is_delivered_again(attributes: Any, data: Any) -> None:
    with pytest.raises(BadRequest):
        parse_notice(attributes, data)


# -- Apprise for real ------------------------------------------------------------------------------------------------


# Apprise loads its mail plugin with a module that Python 3.13 no longer has; it does without it there.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_a_mail_arrives_at_its_owner() -> None:
    with MailServer() as server:
        clock = FrozenClock(NOW)
        store = Secrets(clock)
        store.declare(SECRET, owner="alice+mail@example.com")
        urls = read_urls(Secret(server.notify_urls))
        notifier = Notifier(store, AppriseMessenger(), urls, Pace(100, clock, clock.sleep), clock)
        notifier.tell(notice("invalid_grant", consent_url=LINK, remedy="reconsent"))
        mails = {mail.recipients[0]: mail for mail in server.wait_for(2)}
    mail = mails["alice+mail@example.com"]
    assert mail.subject == f"{NAME} needs your consent"
    assert LINK in mail.text.split()
    assert len(mails) == 2


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "url", ["nonsense-secret", "unknown://secret", "mailto://u:secret@127.0.0.1:9?to=a@b.c&mode=insecure"]
)
def test_what_cannot_be_sent_says_so_without_the_url(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Undeliverable) as fault:
        AppriseMessenger().send(Secret(url), Message("title", "body"))
    assert "secret" not in str(fault.value)
    assert "secret" not in caplog.text
