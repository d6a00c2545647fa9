"""A link in many hands, machines included: nobody's page stands still for it, and neither does a refresh."""

from __future__ import annotations

import json
import re

import pytest

from tests.worlds.consent_store import NAME, SECRET
from tests.worlds.consents import BASE, DEAD, ISSUER, NOW, ConsentWorld, is_saved, title
from token_refresh.core.status import Lease, render_lease, render_status
from token_refresh.core.token_endpoint.outcome import GrantDead

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def reads(world: ConsentWorld) -> int:
    """Count the reads of metadata so far."""
    return sum(what in ("get", "list_versions", "created_at", "list_connections") for what, _ in world.store.calls)


@pytest.mark.parametrize("kind", ["dead", "never consented", "healthy"])
def test_a_view_reads_metadata_once(world: ConsentWorld, kind: str) -> None:
    if kind != "dead":
        world.store.note("status", None)
    if kind == "never consented":
        world.store.forget_versions()
    for method in ("GET", "POST"):
        world.store.calls.clear()
        assert world.browser.open(world.link(), method=method).status_code in (200, 303)
        assert reads(world) == 1


def test_a_view_reads_metadata_twice_where_the_secret_has_the_bare_name(world: ConsentWorld) -> None:
    world.store.declare("bare", "old-token", scopes="mail.read", owner="alice@example.com")
    assert world.open(world.link(0, "bare")).status_code == 200
    assert reads(world) == 2


def test_the_secret_with_the_suffix_is_the_connection_whatever_a_second_one_says(world: ConsentWorld) -> None:
    world.store.declare(NAME, "another-token", scopes="mail.read", owner="mallory@example.com")
    page = world.open()
    assert page.status_code == 200
    assert "mallory" not in page.get_data(as_text=True)
    assert is_saved(world.consent())
    assert world.store.newest() == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_views_of_one_ticket_are_limited_and_another_ticket_is_not(world: ConsentWorld, method: str) -> None:
    link = world.link()
    statuses = [world.browser.open(link, method=method).status_code for _ in range(40)]
    assert statuses.count(429) == 10
    world.store.calls.clear()
    answer = world.browser.open(link, method=method)
    assert (answer.status_code, title(answer)) == (429, "One moment, please")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert world.store.calls == []
    world.clock.now += 1
    assert world.browser.open(world.link(), method=method).status_code in (200, 303)
    world.clock.now += 60
    assert world.browser.open(link, method=method).status_code in (200, 303)


def test_views_of_all_tickets_together_leave_metadata_to_the_refresher(world: ConsentWorld) -> None:
    for _ in range(300):
        world.clock.now += 0.1
        world.browser.get(world.link())
    assert reads(world) <= 120
    assert world.browser.get(world.link()).status_code == 429


def test_what_has_no_good_ticket_or_state_counts_for_nothing(world: ConsentWorld) -> None:
    for n in range(500):
        assert world.browser.get(f"/consent/{NAME}?ticket=forged-{n}").status_code == 403
        assert world.browser.get(f"/callback?code=x&state=forged-{n}").status_code == 403
    assert world.store.calls == []
    assert world.open().status_code == 200


def test_one_ticket_sends_five_codes_an_hour_to_the_provider_and_takes_no_lease(world: ConsentWorld) -> None:
    world.endpoint.outcome = GrantDead("revoked_or_expired")
    link, statuses = world.link(), []
    for n in range(30):
        world.clock.now += 20
        world.start(link)
        statuses.append(world.finish(code=f"junk-{n}").status_code)
    assert len(world.endpoint.redeemed) == 5
    assert statuses == [403] * 5 + [429] * 25
    assert world.store.journal == []  # neither a lease nor anything else was written
    world.clock.now += 3600
    world.endpoint.outcome = None
    world.start(link)
    assert is_saved(world.finish())


def test_starting_again_does_not_begin_a_new_count(world: ConsentWorld) -> None:
    world.endpoint.outcome = GrantDead("revoked_or_expired")
    page = world.consent()
    for _ in range(10):
        world.clock.now += 30
        found = re.search(r'name="state" value="([^"]+)"', page.get_data(as_text=True))
        if not found:
            break
        world.take(world.browser.post(f"/consent/{NAME}", data={"state": found[1]}))
        page = world.finish()
    assert page.status_code == 429
    assert len(world.endpoint.redeemed) == 5


def test_callbacks_of_one_ticket_are_limited_before_anything_is_read(world: ConsentWorld) -> None:
    link = world.link()
    for _ in range(10):
        world.start(link)
        world.finish(code="", error="access_denied")
    world.start(link)
    world.store.calls.clear()
    page = world.finish(code="", error="access_denied")
    assert page.status_code == 429
    assert world.store.calls == []
    assert int(page.headers["Retry-After"]) > 0
    world.clock.now += 61
    assert title(world.finish(code="", error="access_denied")) == "You did not allow access"


def test_a_callback_with_a_bad_code_never_makes_a_run_wait(world: ConsentWorld) -> None:
    world.endpoint.outcome = GrantDead("revoked_or_expired")
    seen: list[str | None] = []
    world.endpoint.on_redeem = lambda: seen.append(world.store.annotation("lease"))
    world.consent()
    assert seen == [None]
    assert world.store.annotation("lease") is None
    assert world.is_untouched()


def test_a_good_code_is_exchanged_while_a_run_holds_the_lease(world: ConsentWorld) -> None:
    world.store.note("lease", render_lease(Lease("run", NOW + 100, 1)))
    seen: list[float] = []
    world.endpoint.on_redeem = lambda: seen.append(world.clock.now)
    world.consent()
    assert seen == [NOW]


def test_cookies_do_not_pile_up(world: ConsentWorld) -> None:
    for _ in range(60):
        world.clock.now += 61
        world.start()
        assert len(world.browser._cookies or {}) <= 5
    assert is_saved(world.finish())
    world.browser.set_cookie("consent-banner", "seen")
    world.browser.set_cookie("session", "of another page")
    world.clock.now += 61
    world.start(world.link(1))
    names = [cookie.key for cookie in (world.browser._cookies or {}).values()]
    assert {"consent-banner", "session"} <= set(names)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://evil.localhost"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": BASE}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Origin": BASE}, 303),
        ({"Origin": "null"}, 303),
        ({}, 303),
    ],
    ids=[
        "cross-site",
        "same-site",
        "origin",
        "null cross-site",
        "same-origin",
        "typed",
        "old",
        "old, null",
        "no browser",
    ],
)
def test_a_start_that_another_site_makes_is_refused(world: ConsentWorld, headers: dict[str, str], status: int) -> None:
    world.store.calls.clear()
    response = world.browser.post(world.link(), headers=headers)
    assert response.status_code == status
    assert ("Set-Cookie" in response.headers) == (status == 303)
    if status == 403:
        assert world.store.calls == []


def test_a_huge_form_is_not_read(world: ConsentWorld) -> None:
    response = world.browser.post(world.link(), data={"state": "x" * 100_000})
    assert response.status_code == 414


def test_a_rotation_between_page_and_answer_spends_nothing() -> None:
    world = ConsentWorld(rotates_refresh_tokens="always")
    link = world.link()
    world.start(link)
    for number in (2, 3):
        world.store.add(SECRET, json.dumps({"refresh_token": f"rotated-{number}"}).encode())
        world.store.note("lease", render_lease(Lease("", 0, number)))
        world.store.note("status", render_status(DEAD) if number == 2 else None)
    assert world.open(link).status_code == 200
    assert is_saved(world.finish())
    assert world.store.annotation("lease") == render_lease(Lease("", 0, 4))


def test_an_issuer_is_looked_at_before_the_count(world: ConsentWorld) -> None:
    link = world.link()
    for _ in range(8):
        world.clock.now += 10
        world.start(link)
        world.finish(iss=ISSUER + "/other")
    world.start(link)
    assert is_saved(world.finish())
