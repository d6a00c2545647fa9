"""An owner whose link has expired is sent a new one, and nobody learns anything by asking."""

from __future__ import annotations

from typing import Any

import pytest

from tests.worlds.consent_pages import press
from tests.worlds.consent_store import NAME, SECRET
from tests.worlds.consents import BASE, DEAD, OWNER, ConsentWorld, title
from token_refresh.core.status import parse_status, render_status

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


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
