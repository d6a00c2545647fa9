"""From a dead grant to fresh tokens in two clicks, in a real browser, at two authorization servers nobody here wrote.

Each page's picture is kept in build/screenshots, small and large, by day and by night, and held against WCAG 2.2 AA.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from infra.local.demo.samples import Secrets
from infra.local.stack import Stack
from tests.peers.oidc_provider import OidcProvider, why_missing
from tests.worlds.browser import launch, look_at, watched
from tests.worlds.depth import IN_CI
from tests.worlds.owners import OTHER, OWNER, TTL, BrowserWorld, allow, eventually, expect_connected, sign_in

pytestmark = [pytest.mark.timeout(300)]
DESK = {"width": 1280, "height": 900}
PEER = """
[peer]
token_url = "{peer.token_url}"
authorization_url = "{peer.authorization_url}"
issuer = "{peer.issuer}"
client_auth = "client_secret_basic"
authorization_params = {{ prompt = "consent" }}
openid = true
rotates_refresh_tokens = "always"
subject = {{ from = "id_token" }}
"""


@pytest.fixture(scope="module")
def world() -> Iterator[BrowserWorld]:
    asks = {"CONSENT_NAME": "Example Inc.", "CONSENT_CONTACT": "help@example.com"}
    with (
        Stack(environment={"CONFIRM_AFTER": "0.5", **asks}, emulator=False) as stack,
        closing(Secrets(stack)) as secrets,
        sync_playwright() as playwright,
    ):
        for owner in (OWNER, OTHER):
            stack.authorization_server.create_user(owner)
        browser = launch(playwright)
        yield BrowserWorld(stack, secrets, browser)
        browser.close()
        said = stack.log()
    for secret in ("ticket=", "state=", "code=", "code_verifier"):
        assert secret not in said


@pytest.fixture
def context(world: BrowserWorld) -> Iterator[BrowserContext]:
    with watched(world.browser, viewport=DESK) as context:
        yield context


def picture(page: Page, name: str) -> None:
    """Keep pictures of a page, which must work for everybody."""
    assert look_at(page, name) == []


def heading(page: Page) -> str:
    return page.locator("h1").inner_text()


@pytest.mark.parametrize("provider", ["local-google", "local-rotating"])
def test_a_dead_grant_is_renewed_in_two_clicks(world: BrowserWorld, context: BrowserContext, provider: str) -> None:
    name = f"mail-{provider}"
    # The other provider's pages differ by its name: where one works they are looked at once.
    look = picture if IN_CI or provider == "local-google" else lambda *_: None
    world.declare(name, provider)
    assert world.run(name) == "needs_consent"
    link = world.link(name)

    page = context.new_page()
    for _ in range(2):  # a scanner, then the owner
        page.goto(link)
    expect(page.locator("h1")).to_contain_text(f"Renew access for {name}")
    look(page, "ask")
    allow(page)
    expect(page).to_have_url(re.compile(rf"/done/{name}$"))
    expect(page.locator(".facts")).to_contain_text(OWNER)
    expect_connected(page)
    look(page, "done")
    page.reload()
    expect_connected(page)
    page.go_back()  # to the provider or before, but never to the answer that was used
    assert "code=" not in page.url

    document = world.token(name)
    assert world.userinfo(document["access_token"]).json()["email"] == OWNER
    assert eventually(lambda: ("recovered", name) in world.events())
    assert "nothing left for you to do" in world.mail(name, "connected again").text
    assert world.status(name)["state"] == "healthy"
    notes = world.secrets.annotations(f"{name}-refresh-token")
    assert "token-refresh.status" not in notes
    assert notes["token-refresh.subject"]
    assert notes["token-refresh.consents"] == "1"
    assert world.run(name, force=True) == "refreshed"
    assert world.events().count(("invalid_grant", name)) == world.events().count(("recovered", name)) == 1

    page.goto(link)
    expect(page.locator("h1")).to_have_text("Already done")
    look(page, "already")
    page.click("a.primary")
    expect_connected(page)
    with watched(world.browser, viewport=DESK) as elsewhere:
        page = elsewhere.new_page()
        page.goto(link)
        expect(page.locator("h1")).to_have_text("This link has been used")
        look(page, "spent")


def test_the_first_consent_of_a_new_connection_takes_the_same_road(
    world: BrowserWorld, context: BrowserContext
) -> None:
    world.declare("new-one", "local-google", dead=False)
    world.annotate("new-one", title="Orders of the shop", purpose="We read the orders that your customers send.")
    assert world.run("new-one") == "needs_consent"
    page = context.new_page()
    page.goto(world.link("new-one", "Orders of the shop"))
    expect(page.locator("h1")).to_contain_text("Allow access for Orders of the shop")
    expect(page.locator(".lead").first).to_contain_text("Example Inc. asks for your permission")
    picture(page, "first")
    allow(page)
    expect_connected(page)
    assert world.userinfo(world.token("new-one")["access_token"]).ok


def test_a_link_survives_refreshes(world: BrowserWorld, context: BrowserContext) -> None:
    world.declare("healthy", "local-rotating", alive=True)
    assert world.run("healthy") == "refreshed"
    link = world.status("healthy")["consent_url"]
    page = context.new_page()
    page.goto(link)
    page.click("button.primary")
    for _ in range(2):
        assert world.run("healthy", force=True) == "refreshed"
    sign_in(page)
    page.click("button[name=allow]")
    expect_connected(page)


def test_another_account_fewer_scopes_and_a_cancel_lead_back_by_their_buttons(
    world: BrowserWorld, context: BrowserContext
) -> None:
    old = world.declare("kept", "local-google")
    assert world.run("kept") == "needs_consent"
    page = context.new_page()
    page.goto(world.link("kept"))
    allow(page, OTHER)
    expect(page.locator("h1")).to_have_text("That was a different account")
    expect(page.locator(".forward")).to_contain_text(f"Sign in with {OWNER}")
    picture(page, "wrong-account")

    context.clear_cookies(name="sessionid")  # "use another account" at the provider
    page.click("button.primary")
    sign_in(page)
    page.uncheck("input[value=profile]")
    page.click("button[name=allow]")
    expect(page.locator("h1")).to_have_text("Some permissions are missing")
    picture(page, "missing-scopes")

    page.click("button.primary")
    page.click("button:has-text('Cancel')")
    expect(page.locator("h1")).to_have_text("You did not allow access")
    picture(page, "declined")

    assert world.secrets.latest("kept-refresh-token") == old
    assert world.status("kept")["state"] == "needs_consent"

    page.click("button.primary")
    page.click("button[name=allow]")
    expect_connected(page)


def test_two_tabs_that_finish_at_once_store_one_grant(world: BrowserWorld, context: BrowserContext) -> None:
    world.declare("tabs", "local-rotating")
    assert world.run("tabs") == "needs_consent"
    first, second = context.new_page(), context.new_page()
    for tab in (first, second):
        tab.goto(world.link("tabs"))
        tab.click("button.primary")
        if tab is first:
            sign_in(tab)
    for tab in (first, second):
        tab.click("button[name=allow]", no_wait_after=True)
    for tab in (first, second):
        expect(tab.locator("h1")).to_have_text(re.compile("Saved|Connected|Already done|has been used"))
    titles = [heading(tab) for tab in (first, second)]
    assert sum(title.startswith(("Saved", "Connected")) for title in titles) == 1, titles
    assert eventually(lambda: world.status("tabs")["state"] == "healthy")
    assert world.userinfo(world.token("tabs")["access_token"]).ok
    assert world.secrets.annotations("tabs-refresh-token")["token-refresh.consents"] == "1"


def test_an_owner_who_comes_back_late_is_sent_a_new_link(world: BrowserWorld, context: BrowserContext) -> None:
    world.declare("late", "local-google")
    assert world.run("late") == "needs_consent"
    world.mail("late", "needs your permission")
    page = context.new_page()
    page.goto(world.link_of("late", age=TTL + 60))
    expect(page.locator("h1")).to_have_text("This link has expired")
    picture(page, "expired")
    page.click("button.primary")
    expect(page.locator("h1")).to_have_text("A new link is on its way")
    picture(page, "link-sent")
    assert eventually(lambda: ("consent_overdue", "late") in world.events())
    mails = [m for m in world.stack.mail.mails() if OWNER in m.recipients and "/consent/late?" in m.text]
    assert eventually(lambda: len([m for m in world.stack.mail.mails() if "/consent/late?" in m.text]) > 1), mails
    newest = [m for m in world.stack.mail.mails() if OWNER in m.recipients and "/consent/late?" in m.text][-1]
    page.goto(next(word for word in newest.text.split() if "/consent/late?" in word))
    allow(page)
    expect_connected(page)
    page.goto(world.link_of("late", age=TTL + 60))
    page.click("button.primary")
    expect(page.locator("h1")).to_have_text("Nothing is needed")
    picture(page, "nothing-needed")


def test_it_works_without_script(world: BrowserWorld) -> None:
    world.declare("scriptless", "local-google")
    with watched(world.browser, viewport=DESK, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(world.link_of("scriptless"))
        allow(page)
        expect_connected(page)


def test_what_can_go_wrong_looks_as_if_somebody_had_thought_of_it(world: BrowserWorld, context: BrowserContext) -> None:
    page = context.new_page()
    base = world.stack.environment["CONSENT_URL"]
    world.declare("nobody", "local-google")
    world.annotate("nobody", owner=None)
    for url, title, name in (
        (f"{base}/consent/x?ticket=broken", "This link is not complete", "forged"),
        (f"{base}/callback?code=a&state=b", "We cannot tell that it was you who asked", "foreign"),
        (f"{base}/elsewhere", "There is no such page", "no-page"),
        (f"{base}/done/x", "Nothing to show here", "no-receipt"),
        (world.link_of("nobody"), "This connection is not set up yet", "no-owner"),
    ):
        page.goto(url)
        expect(page.locator("h1")).to_have_text(title)
        expect(page.locator(".primary")).to_be_visible()
        picture(page, name)
    link = world.link_of("nobody")
    for _ in range(30):
        page.request.get(link)
    page.goto(link)
    expect(page.locator("h1")).to_have_text("One moment, please")
    picture(page, "too-often")


def test_a_strict_server_with_single_use_tokens_is_served_as_well(world: BrowserWorld, context: BrowserContext) -> None:
    if reason := why_missing():
        pytest.skip(reason)
    with OidcProvider(logs=world.stack.directory) as peer:
        file = Path(world.stack.environment["PROVIDERS_FILE"])
        file.write_text(file.read_text() + PEER.format(peer=peer))
        for function in ("refresh_http", "refresh", "consent", "status"):
            world.stack.functions[function].restart()
        redirect_uris = [f"{world.stack.environment['CONSENT_URL']}/callback"]
        peer.create_client("strict", "secret-of-strict", redirect_uris=redirect_uris)
        refresh_token = peer.create_grant("strict", OWNER)
        peer.revoke(refresh_token)
        world.secrets.create("oauth-client-peer")
        world.secrets.add("oauth-client-peer", '{"client_id": "strict", "client_secret": "secret-of-strict"}')
        world.secrets.create("strict-access-token")
        labels = {"token-refresh": "enabled", "token-refresh-provider": "peer"}
        notes = {"token-refresh.scopes": "openid offline_access email", "token-refresh.owner": OWNER}
        world.secrets.create("strict-refresh-token", labels, notes)
        world.secrets.add("strict-refresh-token", json.dumps({"refresh_token": refresh_token, "team": "mine"}))
        assert world.run("strict") == "needs_consent"

        page = context.new_page()
        page.goto(world.link("strict"))
        page.click("button.primary")
        page.fill("input[name=login]", OWNER)
        page.fill("input[name=password]", "any")
        page.click("button[type=submit]")
        page.click("button[type=submit]")
        expect_connected(page)

        document = world.token("strict")
        assert world.userinfo(document["access_token"], peer.userinfo_url).json()["email"] == OWNER
        assert world.run("strict", force=True) == "refreshed"
        stored = json.loads(world.secrets.latest("strict-refresh-token") or "")
        assert (stored["team"], stored["sub"]) == ("mine", OWNER)
        assert peer.is_alive(stored["refresh_token"])
