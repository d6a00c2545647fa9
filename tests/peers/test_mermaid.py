"""The diagrams of architecture.md, invalid-grant.md and which-one.md are drawn, and kept as pictures to look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Error, Page, sync_playwright

from tests.house.pages import blocks
from tests.peers import mermaid
from tests.worlds.browser import PICTURES, launch

pytestmark = pytest.mark.timeout(360)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    if reason := mermaid.why_missing():
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser.new_page(viewport={"width": 1000, "height": 1000})
        browser.close()


@pytest.mark.parametrize("name", ["architecture", "invalid-grant", "which-one"])
def test_a_diagram_is_drawn_with_all_its_words(page: Page, name: str) -> None:
    (diagram,) = blocks(f"docs/{name}.md", "mermaid")
    mermaid.draw(page, diagram)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    assert page.locator("svg").count() == 1
    assert page.locator("svg .node").count() >= 5
    assert "Syntax error" not in page.inner_text("body")


def test_what_is_no_diagram_is_not_drawn(page: Page) -> None:
    with pytest.raises(Error, match="Parse error"):
        mermaid.draw(page, "flowchart TD\n  A --> ")
