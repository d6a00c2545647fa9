"""What a browser does with a page of the consent workflow, and what a refusal looks like."""

from __future__ import annotations

import html
import re
from typing import Any

from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from tests.worlds.consents import BASE, is_saved

few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def press(page: Any, browser: FlaskClient, url: str = "") -> Any:
    """Press the page's only button, as a browser would."""
    text = page.get_data(as_text=True)
    form = re.search(r"<form method=\"post\"(?: action=\"([^\"]*)\")?>(.*?)</form>", text, re.DOTALL)
    assert form, text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[2]))
    target = html.unescape(form[1] or url).removeprefix(BASE)
    return browser.post(target, data={k: html.unescape(v) for k, v in fields.items()})


def refused(page: Any, status: int = 403) -> bool:
    text = page.get_data(as_text=True)
    has_button = 'class="primary"' in text
    return bool(page.status_code == status and "What to do now" in text and has_button and not is_saved(page))
