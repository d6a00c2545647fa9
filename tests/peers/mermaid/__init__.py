"""npm's `mermaid`: draws the diagrams of the pages as GitHub does."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers import npm

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
_DRAW = """text => {
    mermaid.initialize({startOnLoad: false});
    return mermaid.render("diagram", text).then(drawn => { document.body.innerHTML = drawn.svg; });
}"""


@functools.cache
def why_missing() -> str:
    """Install mermaid if need be, and say why it cannot run here, for a skip; empty when it can."""
    return npm.why_missing(HERE)


def draw(page: Page, diagram: str) -> None:
    """Draw a diagram on the page; raises Playwright's `Error` with mermaid's words for one that it cannot read."""
    page.set_content("<!doctype html><html lang=en><title>Diagram</title><body></body></html>")
    page.add_script_tag(path=npm.install(HERE) / "node_modules/mermaid/dist/mermaid.min.js")
    page.evaluate(_DRAW, diagram)
