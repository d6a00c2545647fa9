"""Debian's Chromium for tests of pages: how it is started, and pictures as phones and desks show them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.peers import axe

PICTURES = Path(__file__).resolve().parents[2] / "build" / "screenshots"
WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")
# Chromium heeds the last list only: what Playwright leaves out in such a place, the suggestions of the address bar, and
# the process that is kept ready for another site. Those are web applications of four hundred files, which begin with
# each context and take longer than the page tested.
UNUSED = (
    "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "SpareRendererForSitePerProcess",
    "ThirdPartyStoragePartitioning",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "WebUIOmniboxPopup",
)
FLAGS = (
    f"--disable-features={','.join(UNUSED)}",
    "--no-sandbox",
    "--disable-gpu",
    "--in-process-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)


def launch(playwright: Playwright) -> Browser:
    """Start the browser; skips where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    PICTURES.mkdir(parents=True, exist_ok=True)
    return playwright.chromium.launch(executable_path=chromium, args=FLAGS)


@contextmanager
def watched(browser: Browser, **options: object) -> Iterator[BrowserContext]:
    """Open a context whose pages must not complain in the console."""
    context = browser.new_context(**options)  # type: ignore[arg-type]  # passed through
    context.set_default_timeout(20_000)
    complaints: list[str] = []
    context.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    # The browser itself reports every answer of 4xx or 5xx as an error; what a policy blocks it reports as well.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def look_at(page: Page, name: str) -> list[str]:
    """Keep pictures of a page, small and large, by day and by night; return what breaks WCAG 2.2 AA in any of them."""
    found: list[str] = []
    for width in WIDTHS:
        for scheme in SCHEMES:
            page.set_viewport_size({"width": width, "height": 844 if width == WIDTHS[0] else 900})
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of SCHEMES
            page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True, animations="disabled")
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{name} is wider than {width} px"
            if not axe.why_missing():
                found += [f"{width} {scheme}: {line}" for line in axe.violations(page)]
    return found
