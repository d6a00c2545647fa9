"""From a dead grant to fresh tokens in two clicks, in a real browser, at two authorization servers nobody here wrote.

Each page's picture is kept in build/screenshots.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from infra.local.demo.samples import Sample, Secrets
from infra.local.mail import Mail
from infra.local.stack import EVENTS_SUBSCRIPTION, Stack
from tests.peers.oidc_provider import OidcProvider, why_missing

pytestmark = [pytest.mark.timeout(300)]
PICTURES = Path(__file__).resolve().parents[2] / "build" / "screenshots"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)
OWNER, OTHER, PASSWORD = "ada@example.com", "mallory@example.com", "demo"
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


@dataclass
class World:
    stack: Stack
    secrets: Secrets
    browser: Browser

    def declare(self, name: str, provider: str, *, dead: bool = True, scopes: str = "openid email profile") -> str:
        """Declare a connection with a client of its own; `dead` gives it a grant that has been revoked."""
        server = self.stack.authorization_server
        self.secrets.declare_client(name, rotates_refresh_tokens=provider.endswith("rotating"), scopes=scopes)
        refresh_token = ""
        if dead:
            refresh_token = server.create_grant(name, OWNER)
            server.revoke(refresh_token)
        self.secrets.declare(Sample(name, "", provider, OWNER, name), refresh_token)
        return refresh_token

    def run(self, name: str, **options: object) -> str:
        """Run one connection; return its outcome."""
        answer = requests.post(
            self.stack.functions["refresh_http"].url, json={"connections": [name], **options}, timeout=60
        )
        (one,) = answer.json()["connections"]
        return str(one["outcome"])

    def mail(self, name: str, subject: str, to: str = OWNER) -> Mail:
        """Wait for the owner's mail about a connection."""
        found: list[Mail] = []

        def arrived() -> bool:
            found[:] = [
                m for m in self.stack.mail.mails() if name in m.subject and subject in m.subject and to in m.recipients
            ]
            return bool(found)

        assert eventually(arrived), f"no mail {subject!r} about {name}"
        return found[0]

    def link(self, name: str) -> str:
        """Take the link from the owner's mail."""
        return next(word for word in self.mail(name, "needs your permission").text.split() if "/consent/" in word)

    def token(self, name: str) -> dict[str, Any]:
        """Wait for the access token, as a downstream job would."""
        assert eventually(lambda: self.secrets.latest(f"{name}-access-token")), f"{name} has no access token"
        document: dict[str, Any] = json.loads(self.secrets.latest(f"{name}-access-token") or "")
        return document

    def userinfo(self, access_token: str, url: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return requests.get(url or self.stack.authorization_server.userinfo_url, headers=headers, timeout=30)

    def events(self, seen: list[tuple[str, str]] = []) -> list[tuple[str, str]]:  # noqa: B006 - one topic, one list
        """List type and subject of all events so far."""
        messages = self.stack.pubsub.pull(EVENTS_SUBSCRIPTION)
        seen += [(m.attributes["ce-type"].split(".")[2], m.attributes["ce-subject"]) for m in messages]
        return seen

    def status(self, name: str) -> dict[str, Any]:
        answer = requests.get(self.stack.functions["status"].url, headers={"Accept": "application/json"}, timeout=30)
        return next(one for one in answer.json()["connections"] if one["name"] == name)


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        Stack(environment={"CONFIRM_AFTER": "0.5"}) as stack,
        closing(Secrets(stack)) as secrets,
        sync_playwright() as playwright,
    ):
        for owner in (OWNER, OTHER):
            stack.authorization_server.create_user(owner)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield World(stack, secrets, browser)
        browser.close()
        said = stack.log()
    for secret in ("ticket=", "state=", "code=", "code_verifier"):
        assert secret not in said


@pytest.fixture
def context(world: World) -> Iterator[BrowserContext]:
    context = world.browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(20_000)
    complaints: list[str] = []
    context.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    yield context
    context.close()
    # The browser itself reports every answer of 4xx or 5xx as an error; what a policy blocks it reports as well.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def picture(page: Page, name: str) -> None:
    """Keep pictures of a page as phones and desks show it, by day and by night."""
    for width in (375, 1440):
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 812 if width == 375 else 900})
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True, animations="disabled")
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{name} is wider than {width} px"


def sign_in(page: Page, who: str = OWNER) -> None:
    page.fill("input[name=username]", who)
    page.fill("input[name=password]", PASSWORD)
    page.click("button.go")


@pytest.mark.parametrize("provider", ["local-google", "local-rotating"])
def test_a_dead_grant_is_renewed_in_two_clicks(world: World, context: BrowserContext, provider: str) -> None:
    name = f"mail-{provider}"
    world.declare(name, provider)
    assert world.run(name) == "needs_consent"
    link = world.link(name)

    page = context.new_page()
    for _ in range(2):  # a scanner, then the owner
        page.goto(link)
    expect(page.locator("h1")).to_contain_text(f"Renew access for {name}")
    picture(page, "ask")
    page.click("button.primary")
    sign_in(page)
    page.click("button[name=allow]")
    expect(page.locator("h1")).to_have_text(f"Thank you, {name} is connected")
    picture(page, "done")

    document = world.token(name)
    assert world.userinfo(document["access_token"]).json()["email"] == OWNER
    assert eventually(lambda: ("recovered", name) in world.events())
    assert "nothing left for you to do" in world.mail(name, "connected again").text
    assert world.status(name)["state"] == "healthy"
    notes = world.secrets.annotations(f"{name}-refresh-token")
    assert "token-refresh.status" not in notes
    assert notes["token-refresh.subject"]
    assert world.run(name, force=True) == "refreshed"
    assert world.events().count(("invalid_grant", name)) == world.events().count(("recovered", name)) == 1

    page.goto(link)
    expect(page.locator("h1")).to_have_text("This link has been used")
    picture(page, "spent")


def test_the_first_consent_of_a_new_connection_takes_the_same_road(world: World, context: BrowserContext) -> None:
    world.declare("new-one", "local-google", dead=False)
    assert world.run("new-one") == "needs_consent"
    page = context.new_page()
    page.goto(world.link("new-one"))
    expect(page.locator("h1")).to_contain_text("Allow access for new-one")
    picture(page, "first")
    page.click("button.primary")
    sign_in(page)
    page.click("button[name=allow]")
    expect(page.locator("h1")).to_contain_text("is connected")
    assert world.userinfo(world.token("new-one")["access_token"]).ok


def test_another_account_fewer_scopes_and_a_cancel_leave_everything_as_it_was(
    world: World, context: BrowserContext
) -> None:
    old = world.declare("kept", "local-google")
    assert world.run("kept") == "needs_consent"
    link = world.link("kept")
    page = context.new_page()

    page.goto(link)
    page.click("button.primary")
    sign_in(page, OTHER)
    page.click("button[name=allow]")
    expect(page.locator("h1")).to_have_text("That was a different account")
    picture(page, "wrong-account")

    context.clear_cookies()
    page.goto(link)
    page.click("button.primary")
    sign_in(page)
    page.uncheck("input[value=profile]")
    page.click("button[name=allow]")
    expect(page.locator("h1")).to_have_text("Some permissions are missing")
    picture(page, "missing-scopes")

    page.goto(link)
    page.click("button.primary")
    page.click("button:has-text('Cancel')")
    expect(page.locator("h1")).to_have_text("You did not allow access")

    assert world.secrets.latest("kept-refresh-token") == old
    assert world.status("kept")["state"] == "needs_consent"

    page.goto(link)
    page.click("button.primary")
    page.click("button[name=allow]")
    expect(page.locator("h1")).to_contain_text("is connected")


def test_two_tabs_that_finish_at_once_store_one_grant(world: World, context: BrowserContext) -> None:
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
    titles = []
    for tab in (first, second):
        expect(tab.locator("h1")).to_have_text(re.compile("is connected|has been used|One moment"))
        titles.append(tab.locator("h1").inner_text())
    assert sum("is connected" in title for title in titles) == 1
    assert eventually(lambda: world.status("tabs")["state"] == "healthy")
    assert world.userinfo(world.token("tabs")["access_token"]).ok


def test_a_strict_server_with_single_use_tokens_is_served_as_well(world: World, context: BrowserContext) -> None:
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
        expect(page.locator("h1")).to_contain_text("strict is connected")

        document = world.token("strict")
        assert world.userinfo(document["access_token"], peer.userinfo_url).json()["email"] == OWNER
        assert world.run("strict", force=True) == "refreshed"
        stored = json.loads(world.secrets.latest("strict-refresh-token") or "")
        assert (stored["team"], stored["sub"]) == ("mine", OWNER)
        assert peer.is_alive(stored["refresh_token"])
