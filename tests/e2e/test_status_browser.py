"""The status page in a real browser: it can be left open, on a phone and on a desk, by day and by night.

Pictures of it are kept in build/screenshots.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from infra.local.processes.functions import Function
from tests.peers import axe
from tests.worlds.browser import look_at, watched
from tests.worlds.depth import IN_CI
from tests.worlds.standings import declare
from tests.worlds.status_in_browser import ALIVE, StatusWorld, desk, names, row, status_world

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world() -> Iterator[StatusWorld]:
    with status_world() as world:
        yield world


@pytest.fixture
def context(world: StatusWorld) -> Iterator[BrowserContext]:
    with desk(world.browser) as context:
        yield context


@pytest.fixture
def page(world: StatusWorld, context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto(world.url)
    expect(page.locator("h1")).to_contain_text("attention")
    return page


def test_the_head_tells_the_project_and_the_readers_own_zone(world: StatusWorld, page: Page) -> None:
    expect(page.locator(".place")).to_contain_text(f"Project {world.stack.project}")
    expect(page.locator(".place")).to_contain_text("Secrets global")
    expect(page.locator(".zone")).to_have_text("Asia/Tokyo")
    expect(page).to_have_title(re.compile(r"^\(15\) Connections · "))


def test_a_view_costs_two_lists_and_accesses(world: StatusWorld, context: BrowserContext) -> None:
    world.stack.secret_manager.calls.clear()
    page = context.new_page()
    page.goto(world.url)
    expect(page.locator("h1")).to_contain_text("attention")
    calls = Counter(call.rpc for call in world.stack.secret_manager.calls)
    assert calls.pop("AccessSecretVersion") >= 50
    assert calls == {"ListSecrets": 2}


def test_trouble_comes_first_by_incident_and_what_is_well_is_folded(page: Page) -> None:
    incident = page.locator(".incident")
    expect(incident.locator("h2")).to_contain_text("oauth-client-crm")
    expect(incident.locator(".row")).to_have_count(5)
    short = row(page, "short-lived")
    expect(short.locator(".badge")).to_have_text("Cannot be kept fresh")
    expect(short.locator(".why")).to_contain_text("until the schedule runs more often")
    incident.get_by_text("Show all 7").click()
    expect(page.locator(".found")).to_contain_text("7 of 58 connections share this incident.")
    assert "incident=" in page.url
    page.go_back()
    expect(page.locator(".incident .row")).to_have_count(5)
    assert not row(page, "mailbox-001").is_visible()
    page.locator(".fold[data-fold=healthy] > summary").click()
    expect(row(page, "mailbox-001")).to_be_visible()
    assert "open=healthy" in page.url
    page.reload()
    expect(row(page, "mailbox-001")).to_be_visible()


def test_filter_search_and_sort_stand_in_the_address(page: Page) -> None:
    page.get_by_role("link", name="Healthy 4").click()
    expect(page.locator(".row")).to_have_count(41)
    page.get_by_placeholder("Find").press_sequentially("mailbox person1")
    expect(page.locator(".found")).to_contain_text("11 of 58")
    assert page.evaluate("document.activeElement.className") == "find"
    page.get_by_label("Sort by").select_option("name")
    assert all(part in page.url for part in ("state=healthy", "q=mailbox+person1", "sort=name"))
    page.reload()
    expect(page.locator(".found")).to_contain_text("11 of 58")
    expect(page.get_by_placeholder("Find")).to_have_value("mailbox person1")
    assert names(page) == sorted(names(page))
    page.get_by_placeholder("Find").fill("nothing of that name")
    expect(page.locator(".nothing")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.locator(".incident")).to_be_visible()
    assert "?" not in page.url


def test_refresh_now_shows_its_result_in_the_row_and_loses_nothing(world: StatusWorld, page: Page) -> None:
    page.get_by_placeholder("Find").fill(ALIVE)
    expect(page.locator(".row")).to_have_count(1)
    alive = row(page, ALIVE)
    alive.get_by_text("Details").click()
    expect(alive.locator("table").first).to_contain_text(f"Versions of {ALIVE}-refresh-token")
    alive.get_by_role("button", name="Refresh now").press("Enter")
    expect(alive.locator(".result")).to_have_text(re.compile("requested"))
    expect(alive.locator(".result")).to_have_text("Refreshed.", timeout=30_000)
    expect(page.locator(".said")).to_have_text(f"{ALIVE}: Refreshed.")
    assert world.secrets.latest(f"{ALIVE}-access-token")
    assert alive.locator(".all").get_attribute("open") is not None
    expect(page.get_by_placeholder("Find")).to_have_value(ALIVE)
    assert page.evaluate("document.activeElement.textContent") == "Refresh now"


def test_a_refresh_that_is_refused_says_so_in_the_row(page: Page) -> None:
    silent = row(page, "sheets-late")
    silent.get_by_role("button", name="Refresh now").click()
    # Its grant is missing.
    expect(silent.locator(".result")).to_have_text("Needs consent.", timeout=30_000)
    expect(silent.locator(".badge")).to_have_text("Needs consent")


def test_the_page_looks_again_by_itself(world: StatusWorld, context: BrowserContext) -> None:
    declare(world.secrets, "watched", refreshed_at=time.time() - 60)
    page = context.new_page()
    page.clock.install()
    page.goto(world.url + "?q=watched")
    expect(page.locator(".row .badge")).to_have_text("Healthy")
    left = page.locator(".life time")
    before = left.inner_text()
    page.clock.fast_forward(70_000)
    assert left.inner_text() != before
    assert re.fullmatch(r"\d+ min left", before)
    page.locator(".all > summary").click()
    page.locator(".find").focus()
    world.annotate("watched", format="odd")
    try:
        # What an instance has read it tells for fifteen seconds: another one takes its place.
        world.stack.functions["status"].restart()
        page.clock.fast_forward(31_000)
        expect(page.locator(".row .badge").first).to_have_text("Misconfigured", timeout=30_000)
    finally:
        world.annotate("watched", format="json")
    assert page.locator(".all").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.className") == "find"


def test_a_page_that_cannot_be_reached_says_so_and_comes_back(world: StatusWorld, context: BrowserContext) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto(world.url)
    page.route("**/*view=page*", lambda route: route.abort())
    page.clock.fast_forward(31_000)
    expect(page.locator(".asof")).to_contain_text("cannot be reached at the moment")
    page.unroute("**/*view=page*")
    page.clock.fast_forward(31_000)
    expect(page.locator(".content:not(.stale)")).to_be_visible()
    expect(page.locator(".cut")).to_have_count(0)


def test_what_is_known_of_a_connection_and_what_to_type(world: StatusWorld, page: Page) -> None:
    alice = row(page, "gmail-alice")
    expect(alice.locator(".next")).to_have_text(
        re.compile(
            r"^Waits for its owner; told (yesterday |\d+ \w+ )?\d\d:\d\d, reminder .*\. "
            r"Next try of the old grant: .*:\d\d\.$"
        )
    )
    alice.get_by_text("Details").click()
    inside = alice.locator(".inside")
    for fact in (
        "First failed",
        "Attempts",
        "6, the last one",
        "invalid_grant",
        "Its owner, a reminder",
        "docs/runbook.md",
    ):
        expect(inside).to_contain_text(fact)
    alice.locator(".command", has_text="Pause it").get_by_role("button", name="Copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == (
        f"gcloud secrets update gmail-alice-refresh-token --project={world.stack.project} "
        "--update-labels=token-refresh=paused"
    )
    links = {a.inner_text(): a.get_attribute("href") or "" for a in inside.locator("a[href^=https]").all()}
    assert all(href.startswith("https://console.cloud.google.com/") for href in links.values())
    assert {"gmail-alice-refresh-token", "oauth-client-google", "Logs of this connection"} <= links.keys()
    inside.get_by_text("On a page of its own").click()
    expect(page.locator("h1")).to_have_text("gmail-alice")
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator("table").first).to_be_visible()


def test_a_consent_link_is_copied_and_works(world: StatusWorld, page: Page) -> None:
    page.goto(f"{world.url}?q={ALIVE}")
    link = row(page, ALIVE).get_by_role("button", name="Copy consent link")
    link.press(" ")
    expect(row(page, ALIVE).locator(".copy")).to_have_text("Copied")
    page.goto(page.evaluate("navigator.clipboard.readText()"))
    expect(page.locator("h1")).to_contain_text(ALIVE)


def test_what_is_said_is_what_is_seen(page: Page) -> None:
    """Names for voice control and screen readers (WCAG 2.2, 2.5.3)."""
    for target in page.locator(".row :is(button, summary, a):visible").all():
        assert target.get_attribute("aria-label") is None
        describes = target.get_attribute("aria-describedby")
        assert describes is None or page.locator(f"[id='{describes}']").count() == 1


@pytest.mark.parametrize("address", ["", "?q=mail", "?connection=gmail-alice", "?connection=nobody"])
def test_everybody_can_use_it(world: StatusWorld, context: BrowserContext, address: str) -> None:
    page = context.new_page()
    page.goto(world.url + address)
    for details in page.locator(".row:visible .all:not([open]) > summary").all()[:3]:
        details.click()
    page.locator("[data-history]:has(table)").first.wait_for() if address in ("", "?q=mail") else None
    if not IN_CI:  # forty rows differ by their names alone: some of them show what all would
        page.evaluate(
            """for (const row of [...document.querySelectorAll('[data-name^="mailbox-"]')].slice(4)) row.remove()"""
        )
    found = look_at(page, "status" + re.sub(r"\W+", "-", address))
    if reason := axe.why_missing():
        pytest.skip(reason)
    assert found == []


def test_without_a_script_it_is_a_page_of_links_and_forms(world: StatusWorld) -> None:
    with watched(world.browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(world.url)
        expect(page.locator("h1")).to_contain_text("attention")
        page.get_by_role("link", name="Misconfigured").click()
        expect(page.locator(".found")).to_contain_text("1 of 5")
        page.goto(world.url)
        page.fill(".find", ALIVE)
        page.click(".go")
        expect(page.locator(".row")).to_have_count(1)
        page.locator(".row").get_by_role("button", name="Refresh now").click()
        expect(page.locator(".toast")).to_contain_text(ALIVE)
        assert f"q={ALIVE}" in page.url


def test_another_sites_page_cannot_press_refresh_now(world: StatusWorld, page: Page) -> None:
    form = row(page, "gmail-alice").locator("form")
    fields = {name: form.locator(f"input[name={name}]").input_value() for name in ("connection", "action")}
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    evil = f'<form method="post" action="{world.url}">{inputs}<button>win</button></form>'
    page.route("**/evil", lambda route: route.fulfill(body=evil, content_type="text/html"))
    page.goto(f"{world.stack.authorization_server.url}/evil")
    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.click("button")
    assert answer.value.status == 403


def test_without_a_signing_key_a_page_of_one_instance_is_good_at_the_next(
    world: StatusWorld, context: BrowserContext
) -> None:
    environment = {k: v for k, v in world.stack.environment.items() if not k.startswith("CONSENT_")}
    page = context.new_page()
    with Function("status", environment=environment, logs=world.stack.directory) as function:
        page.goto(function.url)
        function.restart()  # another key, if it had made one
        row(page, ALIVE).evaluate("row => row.closest('details')?.setAttribute('open', '')")
        row(page, ALIVE).get_by_role("button", name="Refresh now").click()
        expect(row(page, ALIVE).locator(".result")).to_have_text("Refreshed.", timeout=30_000)
        assert row(page, ALIVE).locator("a.copy").count() == 0
