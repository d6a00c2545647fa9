"""The status page in a real browser: a project without runs, an empty one, and one that may not be listed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from infra.local.demo.samples import Secrets
from infra.local.stack import Stack
from tests.worlds.browser import launch, look_at
from tests.worlds.standings import HOUR, declare
from tests.worlds.status_in_browser import desk

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with desk(browser) as context:
        yield context


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
