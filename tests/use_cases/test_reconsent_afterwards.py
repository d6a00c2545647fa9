"""After a consent: what the page has looked at, and what the browser may do next."""

from __future__ import annotations

import re

import pytest

from tests.worlds.consent_store import NAME
from tests.worlds.consents import BASE, CODE, DEAD, ISSUER, OWNER, ConsentWorld, is_saved, title
from token_refresh.core.status import render_status

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


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


def test_a_look_that_cannot_be_had_says_of_which_connection(world: ConsentWorld) -> None:
    world.consent()
    world.store.faults.fail("get", times=99)
    page = world.browser.get(f"/done/{NAME}?look=2")
    assert page.status_code == 503
    assert f'<p class="about">{NAME}</p>' in page.get_data(as_text=True)


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
