"""The status page of a stack with connections in every state, in a real browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import requests
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from infra.local.demo.samples import Sample, Secrets
from infra.local.stack import Stack
from tests.worlds.browser import launch, watched
from tests.worlds.standings import declare_one_of_each
from token_refresh.core.connection import SUFFIX

OWNER = "ada@example.com"
ALIVE = "alive"


@dataclass
class StatusWorld:
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


@contextmanager
def status_world() -> Iterator[StatusWorld]:
    """Run a stack with connections in every state, and a browser beside it; no log may hold a secret."""
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
        yield StatusWorld(stack, secrets, browser)
        browser.close()
        said = stack.log()
    for secret in ("ticket=", "CANARY"):
        assert secret not in said


def row(page: Page, name: str) -> Locator:
    return page.locator(f'.row[data-name="{name}"]')


def names(page: Page) -> list[str]:
    return page.locator(".row:visible h3").all_inner_texts()


@contextmanager
def desk(browser: Browser) -> Iterator[BrowserContext]:
    """Sit down at a desk in Tokyo, with a clipboard."""
    with watched(browser, viewport={"width": 1280, "height": 900}, timezone_id="Asia/Tokyo") as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield context
