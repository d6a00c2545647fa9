"""The same once more, and after a refusal: what the browser may do next, and that it is offered."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.worlds.consent_pages import press
from tests.worlds.consent_store import NAME
from tests.worlds.consents import BASE, DEAD, NOW, OWNER, ConsentWorld, is_saved, title
from token_refresh.consent.answers import Asker
from token_refresh.core.status import render_status
from token_refresh.core.token_endpoint.outcome import ClientRejected, ErrorDetail

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


# -- the same once more ----------------------------------------------------------------------------------------------


def test_the_same_answer_again_in_that_browser_is_already_done(world: ConsentWorld) -> None:
    world.consent()
    for _ in range(2):
        page = world.finish()
        assert (page.status_code, title(page)) == (200, "Already done")
        assert f'href="{BASE}/done/{NAME}"' in page.get_data(as_text=True)
    world.reconsent = world.instance()
    assert title(world.finish()) == "Already done"
    assert len(world.endpoint.redeemed) == 1
    assert world.store.newest() == 2


def test_the_link_that_this_browser_has_used_is_already_done_and_elsewhere_used(world: ConsentWorld) -> None:
    link = world.link()
    world.start(link)
    world.finish()
    assert title(world.open(link)) == "Already done"
    assert title(world.browser.post(link)) == "Already done"
    other = world.new_browser().get(link)
    assert (other.status_code, title(other)) == (403, "This link has been used")
    assert 'class="sign calm"' in other.get_data(as_text=True)


def test_of_two_tabs_in_one_browser_the_second_is_told_kindly(world: ConsentWorld) -> None:
    first = world.start()
    second = world.start()
    world.endpoint.ask = first
    assert is_saved(world.finish())
    world.endpoint.ask = second
    page = world.finish()
    assert (page.status_code, title(page)) == (200, "Already done")
    assert 'class="sign good"' in page.get_data(as_text=True)
    assert world.store.newest() == 2


@pytest.mark.parametrize("rotates", ["never", "always"])
def test_of_two_browsers_that_finish_at_once_one_wins(rotates: str) -> None:
    world = ConsentWorld(rotates_refresh_tokens=rotates)
    first, second = world.new_browser(), world.new_browser()
    first_ask = world.start(browser=first)
    second_ask = world.start(browser=second)
    pages: list[Any] = []

    def meanwhile() -> None:
        world.endpoint.on_redeem = None
        world.endpoint.ask = second_ask
        pages.append(world.finish(browser=second))
        world.endpoint.ask = first_ask

    world.endpoint.on_redeem = meanwhile
    world.endpoint.ask = first_ask
    pages.append(world.finish(browser=first))
    assert is_saved(pages[0])  # the second was faster, and the first had not taken the lease yet
    assert title(pages[1]) == "This link has been used"
    assert world.store.newest() == 2
    assert len(world.publisher.events) == 1
    assert world.store.annotation("consents") == "1"


def test_a_receipt_is_good_for_nothing_but_pages(world: ConsentWorld) -> None:
    world.start()
    name, session = world.cookie()
    world.finish()
    _, receipt = world.cookie()
    thief = world.new_browser()
    thief.set_cookie(name, receipt)
    assert title(thief.get(world.link(1))) == f"Renew access for {NAME}"  # a good ticket, and nothing more
    state = world.endpoint.ask["state"]
    assert thief.post(f"/consent/{NAME}", data={"state": state}).status_code == 403
    thief.set_cookie(name, session)
    assert title(world.finish(browser=thief)) == "This link has been used"
    assert len(world.endpoint.redeemed) == 1
    assert world.store.newest() == 2


# -- refusals and their buttons --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "button"),
    [
        (lambda w: w.endpoint.reply.update(refresh_token=None), "Start again"),
        (lambda w: w.endpoint.reply.update(scope="openid"), "Start again"),
        (lambda w: w.endpoint.claims.update(sub="mallory", email="mallory@example.com"), "Use another account"),
        (lambda w: w.endpoint.claims.update(nonce="other"), "Start again"),
    ],
    ids=["no refresh token", "fewer scopes", "another account", "nonce"],
)
def test_a_refusal_has_a_button_that_starts_again(world: ConsentWorld, spoil: Any, button: str) -> None:
    spoil(world)
    page = world.consent()
    assert f'type="submit">{button}</button>' in page.get_data(as_text=True)
    world.endpoint.reply, world.endpoint.claims = {}, {}
    again = press(page, world.browser)
    assert again.status_code == 303
    world.take(again)
    assert is_saved(world.finish())


def test_another_account_is_asked_for_as_the_provider_understands_it(world: ConsentWorld) -> None:
    world.endpoint.claims = {"sub": "mallory", "email": "mallory@example.com"}
    page = world.consent()
    text = page.get_data(as_text=True)
    assert OWNER in text
    assert "mallory" not in text
    world.take(press(page, world.browser))
    assert world.endpoint.ask["prompt"] == "login consent"


def test_starting_again_needs_the_browser_and_makes_no_ticket_younger(world: ConsentWorld) -> None:
    world.endpoint.reply = {"refresh_token": None}
    page = world.consent()
    state = world.endpoint.ask["state"]
    assert world.new_browser().post(f"/consent/{NAME}", data={"state": state}).status_code == 403
    assert world.browser.post("/consent/another", data={"state": state}).status_code == 403
    for _ in range(3):
        world.take(press(page, world.browser))
        world.clock.now += 3000
        page = world.finish()
    world.clock.now = NOW + world.settings.consent_ticket_ttl + 1
    assert title(press(page, world.browser)) == "This link has expired"


def test_a_page_that_took_too_long_starts_again(world: ConsentWorld) -> None:
    world.start()
    world.clock.now += 3602
    page = world.finish()
    assert title(page) == "That took too long"
    world.take(press(page, world.browser))
    assert is_saved(world.finish())


def test_no_page_shows_what_a_provider_says_and_the_log_has_it_under_the_pages_number(
    world: ConsentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "token_refresh")
    world.endpoint.outcome = ClientRejected("invalid_client", ErrorDetail("invalid_client", "call +1 555 0100 now"))
    text = world.consent().get_data(as_text=True)
    assert "0100" not in text
    reference = re.search(r"<code>([0-9a-f]{8})</code>", text)
    assert reference
    told = [getattr(record, "json_fields", {}) for record in caplog.records]
    (line,) = (one for one in told if one.get("reference") == reference[1])
    assert "call +1 555 0100 now" in line["detail"]
    world.endpoint.outcome = None
    world.start()
    page = world.finish(code="", error="server_error", error_description="visit evil.example")
    assert "evil.example" not in page.get_data(as_text=True)


def test_help_is_offered_where_there_is_somebody_to_ask(world: ConsentWorld) -> None:
    page = world.browser.get(f"/consent/{NAME}?ticket=x").get_data(as_text=True)
    assert 'href="mailto:help@example.com"' in page
    assert "Ask Example Inc." in page
    world.asker = Asker()
    world.reconsent = world.instance()
    assert "mailto" not in world.browser.get(f"/consent/{NAME}?ticket=x").get_data(as_text=True)


def test_without_a_name_the_contact_says_whom_to_tell(world: ConsentWorld) -> None:
    world.asker = Asker("", "help@example.com")
    world.reconsent = world.instance()
    world.store.note("scopes", None)
    assert "Tell help@example.com." in world.open().get_data(as_text=True)


@pytest.mark.parametrize("contact", ["javascript:alert(1)", "data:text/html,x", "call us: 1234", "a@b c"])
def test_a_contact_that_is_no_address_leads_nowhere(contact: str) -> None:
    assert Asker("Example", contact).contact_url == ""


# -- who asks --------------------------------------------------------------------------------------------------------


def test_the_page_says_who_asks_what_for_and_in_plain_words() -> None:
    world = ConsentWorld(name="google", title="Google")
    world.store.note("title", "Mail of the shop")
    world.store.note("purpose", "We read the orders that customers send.")
    world.store.note("scopes", "openid https://www.googleapis.com/auth/gmail.readonly custom.scope")
    client = {"client_id": "id-1", "client_secret": "s", "provider": "google"}
    world.store.put("oauth-client-acme", json.dumps(client))
    text = world.open().get_data(as_text=True).replace("<wbr>", "")
    for words in (
        "Example Inc. asks for your permission to work with Google on your behalf",
        "Mail of the shop",
        "We read the orders that customers send.",
        "Read your mail and settings in Gmail",
        "And 1 more",
        "help@example.com",
        f"<strong>{OWNER}</strong>",
    ):
        assert words in text
    details = text.partition("<details")[2].partition("</details>")[0]
    assert "gmail.readonly" in details
    assert "gmail.readonly" not in text.replace(details, "")


def test_anybody_is_told_what_it_means_to_be_first(world: ConsentWorld) -> None:
    world.store.note("owner", "*")
    text = world.open().get_data(as_text=True)
    assert "The one that you choose now is the one that counts from then on" in text
    assert "login_hint" not in world.start()


def test_a_rejected_connection_is_not_said_to_be_well(world: ConsentWorld) -> None:
    rejected = render_status(DEAD).replace("needs_consent", "rejected")
    world.store.note("status", rejected.replace("revoked_or_expired", "admin_policy_enforced"))
    text = world.open().get_data(as_text=True)
    assert "You can renew it at any time" not in text
    assert "Your organisation does not allow this service at the moment" in text


def test_the_payload_of_a_receipt_is_small_enough_for_a_cookie(world: ConsentWorld) -> None:
    world.store.note("title", "T" * 500)
    world.endpoint.claims = {"email": OWNER, "sub": "s" * 500}
    assert is_saved(world.consent())
    _, value = world.cookie()
    assert len(value) < 2000
