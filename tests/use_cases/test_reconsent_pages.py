"""Pages, headers, cookies, paths and log lines of the consent workflow, and no secret in any of them."""

from __future__ import annotations

import logging

import pytest

from tests.worlds.consent_store import NAME
from tests.worlds.consents import CANARIES, CODE, ConsentWorld
from token_refresh.core.secrecy import Secret

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def test_log_lines_tell_the_steps_and_no_secret(world: ConsentWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "token_refresh")
    link = world.link()
    world.open(link)
    asked = world.start(link)
    world.finish()
    world.finish()
    fields = [getattr(record, "json_fields", {}) for record in caplog.records]
    steps = [one["step"] for one in fields if one.get("event") == "consent"]
    assert steps == ["page", "redirected", "granted", "already_done"]
    text = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (*CANARIES, asked["state"], asked["nonce"], link.partition("ticket=")[2]):
        assert secret not in text


def test_no_secret_reaches_a_page_a_header_an_event_or_an_annotation(world: ConsentWorld) -> None:
    link = world.link()
    world.open(link)
    world.start(link)
    world.finish()
    told = (
        "".join(world.seen)
        + str([event.data for event in world.publisher.events])
        + str(world.publisher.refresh_requests)
    )
    told += str([world.store.annotations(secret_id) for secret_id in world.store.cloud.secrets])
    for secret in (*CANARIES, link.partition("ticket=")[2]):
        assert secret not in told


def test_pages_allow_no_frame_no_referrer_no_cache_and_no_script_but_the_one_that_looks_again(
    world: ConsentWorld,
) -> None:
    done = world.consent()
    for page in (world.open(world.link(1)), world.finish(), done, world.open("/consent/x"), world.open("/nowhere")):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert ("script-src 'sha256-" in policy) == (page is done)
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Strict-Transport-Security"].startswith("max-age=")
        assert "camera=()" in page.headers["Permissions-Policy"]
        assert page.get_data(as_text=True).count("<script") == (page is done)


def test_the_session_cookie_is_for_this_browser_only(world: ConsentWorld) -> None:
    response = world.browser.post(world.link())
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age=3600" in cookie


def test_under_https_the_cookie_is_bound_to_the_host() -> None:
    world = ConsentWorld()
    secure = type(world.tickets)(Secret("k"), "https://consent.example", 60, world.clock)
    world.tickets = secure
    world.reconsent = world.instance()
    link = secure.url(NAME, 0)
    assert link is not None
    cookie = world.browser.post(link.removeprefix("https://consent.example")).headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie
    assert "Path=/" in cookie


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/consent/", 404),
        ("GET", "/elsewhere", 404),
        ("GET", "/consent/a/b", 404),
        ("PUT", "/consent/gmail-alice", 405),
        ("DELETE", "/callback", 405),
        ("POST", "/callback", 405),
        ("GET", "/consent/gmail-alice", 403),
        ("GET", "/callback", 403),
    ],
)
def test_other_paths_and_methods_are_refused(world: ConsentWorld, method: str, path: str, status: int) -> None:
    assert world.browser.open(path, method=method).status_code == status


def test_a_path_prefix_of_the_deployment_does_not_matter(world: ConsentWorld) -> None:
    assert world.open("/token-refresh-consent" + world.link()).status_code == 200


def test_the_error_page_shows_the_code_only_once_it_is_masked(world: ConsentWorld) -> None:
    page = world.consent(code="", error="access_denied", error_description="no " * 400)
    assert len(page.get_data(as_text=True)) < 20_000
    assert CODE not in page.get_data(as_text=True)
