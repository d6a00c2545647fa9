"""npm's `axe-core`: finds what keeps people who use a keyboard or a screen reader from using a page.

Held against WCAG 2.2 AA. What it cannot decide by itself (contrast on pictures, for one) it does not report here.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers import npm

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_RUN = """tags => axe.run(document, {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]}).then(
    found => found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${one.help}: ${node.html}`)))"""


@functools.cache
def why_missing() -> str:
    """Install axe-core if need be, and say why it cannot run here, for a skip; empty when it can."""
    return npm.why_missing(HERE)


def violations(page: Page) -> list[str]:
    """Look at the page as it is now; return one line for each element that breaks a rule."""
    if not page.evaluate("'axe' in window"):
        # By way of the debugger: the page's own policy allows no script of others.
        page.evaluate((npm.install(HERE) / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(_RUN, list(TAGS))
    return found
