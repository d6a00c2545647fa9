"""The whole stack with owners in a real browser, two authorization servers that nobody here wrote, and their mail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
from playwright.sync_api import Browser, Page, expect

from infra.local.demo.samples import Sample, Secrets
from infra.local.mail import Mail
from infra.local.stack import EVENTS_SUBSCRIPTION, Stack
from token_refresh.adapters.tickets import Tickets
from token_refresh.core.secrecy import Secret

OWNER, OTHER, PASSWORD = "ada@example.com", "mallory@example.com", "demo"
TTL = 604_800


@dataclass
class BrowserWorld:
    stack: Stack
    secrets: Secrets
    browser: Browser

    def declare(
        self,
        name: str,
        provider: str,
        *,
        dead: bool = True,
        alive: bool = False,
        scopes: str = "openid email profile",
    ) -> str:
        """Declare a connection with a client of its own, and a grant that has been revoked, or not if `alive`."""
        server = self.stack.authorization_server
        self.secrets.declare_client(
            name, provider=provider, rotates_refresh_tokens=provider.endswith("rotating"), scopes=scopes
        )
        refresh_token = ""
        if dead:
            refresh_token = server.create_grant(name, OWNER)
            if not alive:
                server.revoke(refresh_token)
        self.secrets.declare(Sample(name, "", provider, OWNER, name), refresh_token)
        return refresh_token

    def annotate(self, name: str, **notes: str | None) -> None:
        """Change annotations as a person does with gcloud; None removes one."""
        with self.stack.secret_manager.client() as client:
            secret = client.get_secret(name=f"projects/{self.stack.project}/secrets/{name}-refresh-token")
            for key, value in notes.items():
                secret.annotations.pop(f"token-refresh.{key}", None)
                if value is not None:
                    secret.annotations[f"token-refresh.{key}"] = value
            client.update_secret(secret=secret, update_mask={"paths": ["annotations"]})

    def run(self, name: str, **options: object) -> str:
        """Run one connection until nothing is left to confirm; return its outcome."""
        end = time.monotonic() + 30
        while True:
            answer = requests.post(
                self.stack.functions["refresh_http"].url, json={"connections": [name], **options}, timeout=60
            )
            (one,) = answer.json()["connections"]
            # A first refusal is asked about again after CONFIRM_AFTER.
            if one["outcome"] != "suspect" or time.monotonic() > end:
                return str(one["outcome"])
            time.sleep(0.1)

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

    def link(self, name: str, title: str = "") -> str:
        """Take the link from the owner's mail, which calls the connection by its title."""
        return next(
            word for word in self.mail(title or name, "needs your permission").text.split() if "/consent/" in word
        )

    def link_of(self, name: str, consents: int = 0, *, age: float = 0) -> str:
        """Make a link as the functions do, `age` seconds ago."""
        environment = self.stack.environment
        key, url = Secret(environment["CONSENT_SIGNING_KEY"]), environment["CONSENT_URL"]
        link = Tickets(key, url, TTL, lambda: time.time() - age).url(name, consents)
        assert link
        return link

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


def sign_in(page: Page, who: str = OWNER) -> None:
    page.fill("input[name=username]", who)
    page.fill("input[name=password]", PASSWORD)
    page.click("button.go")


def allow(page: Page, who: str = OWNER) -> None:
    """Go from the page that asks to the page afterwards, by way of the provider."""
    page.click("button.primary")
    if page.locator("input[name=username]").count():
        sign_in(page, who)
    page.click("button[name=allow]")


def expect_connected(page: Page) -> None:
    """Wait for the page afterwards to see the first token by itself."""
    expect(page.locator("h1")).to_have_text("Connected", timeout=60_000)
