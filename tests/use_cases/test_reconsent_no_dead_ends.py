"""After a consent, and after a refusal: what the browser may do next, and that it is offered."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.worlds.consents import BASE, CODE, DEAD, ISSUER, NAME, NOW, OWNER, SECRET, ConsentWorld, is_saved, title
from token_refresh.consent.answers import Asker
from token_refresh.core.status import parse_status, render_status
from token_refresh.core.token_endpoint.outcome import ClientRejected, ErrorDetail

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def press(page: Any, browser: FlaskClient, url: str = "") -> Any:
    """Press the page's only button, as a browser would."""
    text = page.get_data(as_text=True)
    form = re.search(r"<form method=\"post\"(?: action=\"([^\"]*)\")?>(.*?)</form>", text, re.DOTALL)
    assert form, text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[2]))
    target = html.unescape(form[1] or url).removeprefix(BASE)
    return browser.post(target, data={k: html.unescape(v) for k, v in fields.items()})


# -- afterwards ------------------------------------------------------------------------------------------------------


def test_the_browser_is_sent_to_a_clean_address_that_may_be_reloaded(world: ConsentWorld) -> None:
    world.start()
    asked = {"code": CODE, "state": world.endpoint.ask["state"], "iss": ISSUER}
    answer = world.browser.get("/callback", query_string=asked)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{BASE}/done/{NAME}")
    for _ in range(3):
        page = world.browser.get(f"/done/{NAME}")
        assert is_saved(page)
        assert OWNER in page.get_data(as_text=True).replace("<wbr>", "")


def test_the_page_says_what_it_has_looked_at(world: ConsentWorld) -> None:
    world.store.create(f"{NAME}-access-token", "old")
    assert title(world.consent()) == "Saved. The first token is being fetched."
    world.store.add(f"{NAME}-access-token", b"new")
    page = world.browser.get(f"/done/{NAME}")
    assert title(page) == "Connected"
    assert "data-next" not in page.get_data(as_text=True)


def test_the_first_token_of_all_is_seen_too(world: ConsentWorld) -> None:
    world.store.create(f"{NAME}-access-token")
    assert title(world.consent()) == "Saved. The first token is being fetched."
    world.store.add(f"{NAME}-access-token", b"new")
    assert title(world.browser.get(f"/done/{NAME}?look=1")) == "Connected"


def test_the_page_looks_again_by_itself_some_times_and_then_lets_the_owner_go(world: ConsentWorld) -> None:
    look, delays = "0", []
    text = world.consent().get_data(as_text=True)
    while found := re.search(r'data-next="(\d+)" data-delay="(\d+)"', text):
        assert int(found[1]) == int(look) + 1
        assert f'<noscript><meta http-equiv="refresh" content="{found[2]};url=?look={found[1]}"></noscript>' in text
        look = found[1]
        delays.append(int(found[2]))
        text = world.browser.get(f"/done/{NAME}?look={look}").get_data(as_text=True)
    assert 5 <= len(delays) <= 12
    assert sum(delays) >= 60
    assert "you will hear of it if you are needed again" in text


def test_trouble_on_the_way_to_the_first_token_is_told_in_the_owners_words(world: ConsentWorld) -> None:
    world.consent()
    rejected = render_status(DEAD).replace("needs_consent", "rejected").replace("revoked_or_expired", "invalid_client")
    world.store.note("status", rejected)
    page = world.browser.get(f"/done/{NAME}?look=2")
    assert title(page) == "Saved"
    assert "does not accept this service at the moment" in page.get_data(as_text=True)


def test_news_that_the_topic_has_not_taken_yet_is_no_trouble(world: ConsentWorld) -> None:
    world.publisher.down = True
    world.consent()
    page = world.browser.get(f"/done/{NAME}?look=2")
    assert title(page) == "Saved. The first token is being fetched."


def test_one_look_reads_metadata_once_and_no_token(world: ConsentWorld) -> None:
    world.store.create(f"{NAME}-access-token", "old")
    world.consent()
    for look in range(12):
        world.store.calls.clear()
        world.browser.get(f"/done/{NAME}?look={look}")
        assert [what for what, _ in world.store.calls] in (["list_versions"], ["get"])


def test_a_paused_connection_says_so(world: ConsentWorld) -> None:
    world.store.put_label("paused")
    page = world.consent()
    assert title(page) == "Saved"
    assert "paused at the moment" in page.get_data(as_text=True)


def test_a_function_that_may_not_look_does_not_pretend(world: ConsentWorld) -> None:
    world.store.faults.fail("list_versions", times=99)
    page = world.consent()
    assert is_saved(page)
    assert "data-next" not in page.get_data(as_text=True)


def test_nobody_else_sees_the_page_after_a_consent(world: ConsentWorld) -> None:
    world.consent()
    world.store.calls.clear()
    page = world.new_browser().get(f"/done/{NAME}")
    assert (page.status_code, title(page)) == (403, "Nothing to show here")
    assert OWNER not in page.get_data(as_text=True)
    assert world.browser.get("/done/another").status_code == 403
    assert world.store.calls == []


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


# -- a new link ------------------------------------------------------------------------------------------------------


def expired(world: ConsentWorld) -> str:
    link = world.link()
    world.clock.now += world.settings.consent_ticket_ttl + 1
    return link


def ask(world: ConsentWorld, link: str) -> Any:
    page = world.browser.get(link)
    assert (page.status_code, title(page)) == (403, "This link has expired")
    return press(page, world.browser, link)


def test_an_owner_with_an_expired_link_is_sent_a_new_one_once_an_hour(world: ConsentWorld) -> None:
    link = expired(world)
    page = ask(world, link)
    assert (page.status_code, title(page)) == (200, "A new link is on its way")
    (event,) = world.publisher.events
    assert (event.type, event.subject) == ("consent_overdue", NAME)
    fresh = str(event.data["consent_url"]).removeprefix(BASE)
    assert world.open(fresh).status_code == 200
    status = parse_status(world.store.annotation("status"))
    assert status is not None
    assert (status.state, status.owed) == ("needs_consent", ())
    world.clock.now += 3599
    world.reconsent = world.instance()
    assert title(ask(world, link)) == "A new link was sent a short time ago"
    assert len(world.publisher.events) == 1
    world.clock.now += 2
    assert title(ask(world, link)) == "A new link is on its way"
    assert len({event.id for event in world.publisher.events}) == 2


def test_asking_for_a_link_reveals_nothing(world: ConsentWorld) -> None:
    text = ask(world, expired(world)).get_data(as_text=True)
    assert OWNER not in text
    assert "ticket=" not in text


@pytest.mark.parametrize(
    "status",
    [None, "rejected", "unavailable", "revoked_by_operator"],
)
def test_what_does_not_wait_for_its_owner_needs_no_link(world: ConsentWorld, status: str | None) -> None:
    link = expired(world)
    text = render_status(DEAD)
    changed = {
        "revoked_by_operator": text.replace("revoked_or_expired", "revoked_by_operator"),
        "rejected": text.replace("needs_consent", "rejected"),
        "unavailable": text.replace("needs_consent", "unavailable"),
    }
    world.store.note("status", changed[status] if status else None)
    assert title(ask(world, link)) == "Nothing is needed"
    assert world.publisher.events == []


def test_a_link_of_the_first_edition_asks_for_a_new_one(world: ConsentWorld) -> None:
    old = world.tickets._first_edition.dumps([NAME, 7])
    page = ask(world, f"/consent/{NAME}?ticket={old if isinstance(old, str) else old.decode()}")
    assert title(page) == "A new link is on its way"


def test_a_link_that_the_topic_does_not_take_is_owed(world: ConsentWorld) -> None:
    link = expired(world)
    world.publisher.down = True
    ask(world, link)
    status = parse_status(world.store.annotation("status"))
    assert status is not None
    assert [event_id.partition(".")[0] for event_id in status.owed] == ["consent_overdue"]


def test_a_forged_or_foreign_ticket_asks_for_nothing(world: ConsentWorld) -> None:
    link = expired(world)
    world.store.calls.clear()
    for wrong in (f"/consent/{NAME}?ticket=x", link.replace(NAME, "gmail-bob"), f"/consent/{NAME}"):
        assert world.browser.post(wrong, data={"send": "link"}).status_code == 403
    assert world.store.calls == []
    assert world.publisher.events == []


def test_a_connection_that_is_gone_needs_no_link(world: ConsentWorld) -> None:
    link = expired(world)
    del world.store.cloud.secrets[SECRET]
    assert ask(world, link).status_code == 404


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
