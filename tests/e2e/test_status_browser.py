"""The status page in a real browser: it can be left open, on a phone and on a desk, by day and by night.

Pictures of it are kept in build/screenshots.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from infra.local.demo.samples import Sample, Secrets
from infra.local.processes.functions import Function
from infra.local.stack import Stack
from tests.peers import axe
from tests.worlds.browser import launch, look_at, watched
from tests.worlds.depth import IN_CI
from tests.worlds.standings import HOUR, declare, declare_one_of_each
from token_refresh.core.connection import SUFFIX

pytestmark = [pytest.mark.timeout(300)]
OWNER = "ada@example.com"
ALIVE = "alive"


@dataclass
class World:
    stack: Stack
    secrets: Secrets
    browser: Browser

    @property
    def url(self) -> str:
        return self.stack.functions["status"].url

    def annotate(self, name: str, **notes: str) -> None:
        """Change annotations as a person does with gcloud."""
        with self.stack.secret_manager.client() as client:
            secret = client.get_secret(name=f"projects/{self.stack.project}/secrets/{name}{SUFFIX}")
            secret.annotations.update({f"token-refresh.{key}": value for key, value in notes.items()})
            client.update_secret(secret=secret, update_mask={"paths": ["annotations"]})


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with (
        Stack(functions=("refresh", "refresh_http", "status", "consent"), emulator=False) as stack,
        closing(Secrets(stack)) as secrets,
        sync_playwright() as playwright,
    ):
        stack.authorization_server.create_user(OWNER)
        secrets.declare_client("local")
        secrets.create("oauth-client-google")
        secrets.add("oauth-client-google", json.dumps({"client_id": "some-client", "client_secret": "CANARY-secret"}))
        secrets.declare(
            Sample(ALIVE, "", "local", OWNER, "local"), stack.authorization_server.create_grant("local", OWNER)
        )
        declare_one_of_each(secrets, time.time())
        requests.post(stack.functions["refresh_http"].url, json={"connections": [ALIVE]}, timeout=60).raise_for_status()
        browser = launch(playwright)
        yield World(stack, secrets, browser)
        browser.close()
        said = stack.log()
    for secret in ("ticket=", "CANARY"):
        assert secret not in said


@pytest.fixture
def context(world: World) -> Iterator[BrowserContext]:
    desk = {"width": 1280, "height": 900}
    with watched(world.browser, viewport=desk, timezone_id="Asia/Tokyo") as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield context


@pytest.fixture
def page(world: World, context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto(world.url)
    expect(page.locator("h1")).to_contain_text("attention")
    return page


def row(page: Page, name: str) -> Locator:
    return page.locator(f'.row[data-name="{name}"]')


def names(page: Page) -> list[str]:
    return page.locator(".row:visible h3").all_inner_texts()


def test_the_head_tells_the_project_and_the_readers_own_zone(world: World, page: Page) -> None:
    expect(page.locator(".place")).to_contain_text(f"Project {world.stack.project}")
    expect(page.locator(".place")).to_contain_text("Secrets global")
    expect(page.locator(".zone")).to_have_text("Asia/Tokyo")
    expect(page).to_have_title(re.compile(r"^\(15\) Connections · "))


def test_a_view_costs_two_lists_and_accesses(world: World, context: BrowserContext) -> None:
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


def test_refresh_now_shows_its_result_in_the_row_and_loses_nothing(world: World, page: Page) -> None:
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


def test_the_page_looks_again_by_itself(world: World, context: BrowserContext) -> None:
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


def test_a_page_that_cannot_be_reached_says_so_and_comes_back(world: World, context: BrowserContext) -> None:
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


def test_what_is_known_of_a_connection_and_what_to_type(world: World, page: Page) -> None:
    alice = row(page, "gmail-alice")
    expect(alice.locator(".next")).to_have_text(
        re.compile(
            r"^Waits for its owner; told (yesterday )?\d\d:\d\d, reminder .*\. Next try of the old grant: .*:\d\d\.$"
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


def test_a_consent_link_is_copied_and_works(world: World, page: Page) -> None:
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
def test_everybody_can_use_it(world: World, context: BrowserContext, address: str) -> None:
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


def test_without_a_script_it_is_a_page_of_links_and_forms(world: World) -> None:
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


def test_another_sites_page_cannot_press_refresh_now(world: World, page: Page) -> None:
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
    world: World, context: BrowserContext
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


@pytest.mark.usefixtures("world")
def test_no_run_is_said_with_what_to_do_about_it(context: BrowserContext) -> None:
    with Stack(functions=("status",), emulator=False) as stack, closing(Secrets(stack)) as secrets:
        for number in range(3):
            declare(secrets, f"late-{number}", refreshed_at=time.time() - (6 + number) * HOUR)
        page = context.new_page()
        page.goto(stack.functions["status"].url)
        expect(page.locator(".banner h2")).to_have_text(
            re.compile(r"^No run since (yesterday )?\d\d:\d\d: is the Scheduler on\?$")
        )
        expect(page.locator("h1")).to_have_text("3 of 3 connections need attention")
        page.locator(".banner").get_by_role("button", name="Copy").first.click()
        assert "gcloud scheduler jobs describe token-refresh" in page.evaluate("navigator.clipboard.readText()")
        assert look_at(page, "status-no-run") == []


@pytest.mark.usefixtures("world")
def test_an_empty_project_begins_with_three_commands_and_a_forbidden_one_says_so(context: BrowserContext) -> None:
    with Stack(functions=("status", "consent"), emulator=False) as stack:
        page = context.new_page()
        page.goto(stack.functions["status"].url)
        expect(page.locator("h1")).to_have_text("No connections yet")
        expect(page.locator("ol .command")).to_have_count(3)
        page.locator("ol").get_by_role("button", name="Copy").last.click()
        assert f"--project={stack.project}" in page.evaluate("navigator.clipboard.readText()")
        expect(page.locator(".empty")).to_contain_text("/callback")
        assert look_at(page, "status-empty") == []
        stack.secret_manager.faults.add(rpc="ListSecrets", code="PERMISSION_DENIED")
        answer = page.goto(stack.functions["status"].url)
        assert answer is not None
        assert answer.status == 503
        expect(page.locator("h1")).to_have_text("This page may not list the secrets")
        assert look_at(page, "status-forbidden") == []
