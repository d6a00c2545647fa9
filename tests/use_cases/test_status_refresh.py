"""Refresh now: by callers that are no browsers, without a key, and never by another site's page."""

from __future__ import annotations

from typing import Any

import pytest

from tests.worlds.consent_store import NAME
from tests.worlds.consents import ConsentWorld
from tests.worlds.status_page import page

pytestmark = pytest.mark.timeout(30)
JSON = {"Accept": "application/json"}


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"connection": NAME}},
        {"json": {"connection": NAME}, "headers": {"Authorization": "Bearer x"}},
        {"data": {"connection": NAME}, "headers": {"Authorization": "Bearer x", **JSON}},
    ],
    ids=["JSON", "JSON with a bearer token", "a form with a bearer token"],
)
def test_callers_that_are_no_browsers_need_no_token(world: ConsentWorld, request_: dict[str, Any]) -> None:
    response = world.browser.post("/status", **request_)
    assert (response.status_code, response.get_json()) == (202, {"requested": [NAME]})
    assert world.publisher.refresh_requests == [{"connections": [NAME], "force": True}]


@pytest.mark.parametrize("body", [{}, {"connection": 7}, [NAME], None])
def test_a_post_names_a_connection(world: ConsentWorld, body: object) -> None:
    assert world.browser.post("/status", json=body).status_code == 400
    assert world.browser.post("/status", data="{", content_type="application/json").status_code == 400


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_what_a_browser_sends_from_another_site_is_refused_however_it_looks(
    world: ConsentWorld, headers: dict[str, str]
) -> None:
    """A proxy on the operator's laptop adds its own bearer token to whatever a page makes the browser send."""
    bearer = {"Authorization": "Bearer x", **headers}
    assert world.browser.post("/status", data={"connection": NAME}, headers=bearer).status_code == 403
    assert world.browser.post("/status", json={"connection": NAME}, headers=bearer).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "http://localhost"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_without_a_key_that_all_instances_share_the_browsers_word_decides(
    world: ConsentWorld, headers: dict[str, str], status: int
) -> None:
    world.status = world.status_page(None)
    assert 'name="action"' not in page(world)
    assert world.browser.post("/status", data={"connection": NAME}, headers=headers).status_code == status


def test_the_browser_may_say_where_a_form_comes_from(world: ConsentWorld) -> None:
    assert world.browser.get("/status").headers["Referrer-Policy"] == "same-origin"


def test_what_is_asked_for_stays_in_the_address(world: ConsentWorld) -> None:
    form = {"connection": NAME, "action": world.tickets.action(NAME)}
    response = world.browser.post("/status?state=needs_consent&q=al&requested=x", data=form)
    assert response.headers["Location"] == f"?state=needs_consent&q=al&requested={NAME}"
