"""Attacks on the links of the consent workflow: forged, swapped, expired, spent, of another key."""

from __future__ import annotations

import base64
import hashlib
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from tests.worlds.consent_pages import few, refused
from tests.worlds.consent_store import NAME, SECRET
from tests.worlds.consents import BASE, KEY, NOW, ConsentWorld, is_saved, title
from token_refresh.adapters.tickets import Tickets
from token_refresh.core.secrecy import Secret

pytestmark = pytest.mark.timeout(60)
NEW_KEY = "another-signing-key-of-32-characters"


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def test_a_link_scanner_that_follows_the_link_changes_nothing(world: ConsentWorld) -> None:
    for _ in range(3):
        assert world.open().status_code == 200
        assert world.browser.head(world.link()).status_code == 200
    assert world.is_untouched()
    assert world.store.journal == []
    assert world.consent().status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: f"/consent/{NAME}",
        lambda _: f"/consent/{NAME}?ticket=",
        lambda _: f"/consent/{NAME}?ticket=e30",
        lambda link: link[:-1],
        lambda link: link + "A",
        lambda link: link + "&ticket=x",
        lambda link: link.replace("ticket=", "ticket=A"),
        lambda _: f"/consent/{NAME}?ticket=" + "A" * 5000,
        lambda _: f"/consent/{NAME}?ticket=%00%ff%f0%9f%98%80",
        lambda link: link.replace(NAME, "gmail-bob"),
    ],
    ids=["none", "empty", "unsigned", "short", "long", "two", "changed", "huge", "no text", "another connection's"],
)
def test_a_forged_or_swapped_ticket_opens_nothing(world: ConsentWorld, spoil: Any, method: str) -> None:
    if spoil(world.link()).startswith("/consent/gmail-bob"):
        world.store.declare("gmail-bob-refresh-token", scopes="mail.read")
    page = world.browser.open(spoil(world.link()), method=method)
    assert refused(page)
    assert "gmail-" not in page.get_data(as_text=True)
    assert world.is_untouched()


def test_a_ticket_signed_with_another_key_or_for_another_purpose_opens_nothing(world: ConsentWorld) -> None:
    other = Tickets(Secret("another-key"), BASE, 1000, world.clock)
    link = other.url(NAME, 0)
    assert link is not None
    assert refused(world.open(link.removeprefix(BASE)))
    assert refused(world.open(f"/consent/{NAME}?ticket={world.tickets.action(NAME)}"))


def test_without_a_key_nothing_that_is_signed_with_nothing_is_accepted(world: ConsentWorld) -> None:
    keyless, other = (Tickets(Secret(""), BASE, 1000, world.clock) for _ in range(2))
    link = other.url(NAME, 0)
    assert link is not None
    world.tickets = keyless
    world.reconsent = world.instance()
    assert refused(world.open(link.removeprefix(BASE)))


def test_an_expired_ticket_opens_nothing(world: ConsentWorld) -> None:
    link = world.link()
    world.clock.now += world.settings.consent_ticket_ttl + 2
    assert title(world.open(link)) == "This link has expired"
    assert refused(world.browser.post(link))


def test_a_ticket_is_spent_by_the_consent_it_was_made_for(world: ConsentWorld) -> None:
    link = world.link()
    assert world.consent().status_code == 200
    other = world.new_browser()
    assert title(other.get(link)) == "This link has been used"
    assert refused(other.get(link))
    assert refused(other.post(link))
    assert world.open(world.link(1)).status_code == 200
    assert refused(world.open(world.link(2)))


@pytest.mark.parametrize("destroyed", [False, True], ids=["a newer version", "a newer version, destroyed"])
def test_versions_that_no_consent_has_added_spend_nothing(world: ConsentWorld, *, destroyed: bool) -> None:
    link = world.link()
    world.start(link)
    for number in (2, 3):
        world.store.add(SECRET, b'{"refresh_token": "rotated"}')
        if destroyed:
            world.store.destroy(SECRET, number)
    assert world.open(link).status_code == 200
    assert is_saved(world.finish())
    assert world.store.newest() == 4


def test_a_change_of_the_key_ends_neither_a_link_nor_a_consent_under_way(world: ConsentWorld) -> None:
    link = world.link()
    world.start(link)
    verifier = world.endpoint.ask["code_challenge"]
    world.use_key(f"{NEW_KEY}\n{KEY.reveal()}\n")
    assert world.open(link).status_code == 200
    assert is_saved(world.finish())
    sent = world.endpoint.redeemed[0]["code_verifier"].reveal()
    assert base64.urlsafe_b64encode(hashlib.sha256(sent.encode()).digest()).rstrip(b"=").decode() == verifier


def test_a_key_that_is_gone_verifies_nothing_and_the_first_of_several_signs(world: ConsentWorld) -> None:
    world.use_key(f"{NEW_KEY}\n{KEY.reveal()}")
    link = world.link(0)
    world.use_key(NEW_KEY)
    assert world.open(link).status_code == 200
    world.use_key(KEY.reveal())
    assert refused(world.open(link))


def test_a_link_of_the_first_edition_has_expired_and_is_not_forged(world: ConsentWorld) -> None:
    def sign(key: Secret, salt: str) -> str:
        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(NOW)

        options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        text = URLSafeTimedSerializer(key.reveal(), salt=salt, signer=Signer, signer_kwargs=options).dumps([NAME, 0])
        return f"/consent/{NAME}?ticket={text if isinstance(text, str) else text.decode()}"

    assert title(world.open(sign(KEY, "token-refresh.ticket"))) == "This link has expired"
    assert title(world.open(sign(Secret("another"), "token-refresh.ticket"))) == "This link is not complete"
    assert title(world.open(sign(KEY, "token-refresh.action"))) == "This link is not complete"


@few
@given(text=st.text(alphabet=string.printable + "é\u2028", max_size=300))
def test_no_text_is_a_ticket_and_none_breaks_the_page(text: str) -> None:
    world = ConsentWorld()
    page = world.browser.get(f"/consent/{NAME}", query_string={"ticket": text})
    assert refused(page)
