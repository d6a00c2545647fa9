"""The status page: every connection, its state, and two buttons that nobody else's page can press."""

from __future__ import annotations

import json
import re

import pytest

from tests.worlds.consent_store import NAME
from tests.worlds.consents import ACCESS_TOKEN, CANARIES, DEAD, NOW, OWNER, ConsentWorld
from tests.worlds.status_page import FIELDS, give_token, listed, make_healthy, page, words
from token_refresh.core.access_token import build_annotation, parse_facts
from token_refresh.core.status import STATES, Lease, State, Status, render_lease, render_status

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def test_a_connection_that_waits_for_its_owner(world: ConsentWorld) -> None:
    (row,) = listed(world)
    assert row.keys() == FIELDS
    assert (row["name"], row["provider"], row["owner"]) == (NAME, "acme", OWNER)
    assert (row["state"], row["reason"], row["since"]) == ("needs_consent", "revoked_or_expired", DEAD.since)
    assert (row["version"], row["access_token_expires_at"]) == (1, None)


def test_its_consent_link_works(world: ConsentWorld) -> None:
    (row,) = listed(world)
    assert world.open(row["consent_url"].removeprefix("http://localhost")).status_code == 200


def test_a_healthy_connection_has_a_consent_link_too(world: ConsentWorld) -> None:
    make_healthy(world)
    (row,) = listed(world)
    assert row.keys() == FIELDS
    assert (row["state"], row["reason"], row["since"], row["version"]) == ("healthy", None, None, 1)
    assert row["access_token_expires_at"] == NOW + 1800
    assert NOW < row["next_attempt_at"] < NOW + 1800
    assert world.open(row["consent_url"].removeprefix("http://localhost")).status_code == 200


def test_the_version_is_the_newest_that_metadata_knows(world: ConsentWorld) -> None:
    make_healthy(world)
    world.store.note("lease", render_lease(Lease("", 0, 7)))
    (row,) = listed(world)
    assert row["version"] == 7


def test_a_token_in_text_form_is_known_by_its_annotation(world: ConsentWorld) -> None:
    make_healthy(world)
    facts = parse_facts(world.store.access(f"{NAME}-access-token").payload)
    assert facts is not None
    world.store.create(f"{NAME}-access-token")
    world.store.add(f"{NAME}-access-token", ACCESS_TOKEN.encode())
    world.store.note("format", "text")
    world.store.note("access-token", build_annotation(facts))
    (row,) = listed(world)
    assert row["access_token_expires_at"] == NOW + 1800


def test_before_the_first_run_the_page_says_that_there_was_none(world: ConsentWorld) -> None:
    world.store.note("status", None)
    (row,) = listed(world)
    assert (row["state"], row["version"], row["overdue"]) == ("healthy", 0, False)
    assert "the next run fetches the first" in words(page(world))


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_shown(world: ConsentWorld, state: State) -> None:
    status = Status(state=state, reason="some_reason", since=NOW - 60, version=1, next_attempt_at=NOW + 60)
    world.store.note("status", render_status(status))
    (row,) = listed(world)
    assert (row["state"], row["reason"], row["next_attempt_at"]) == (state, "some_reason", NOW + 60)
    assert f'data-state="{state}"' in page(world)


def test_paused_twins_and_nonsense_are_shown_as_what_they_are(world: ConsentWorld) -> None:
    world.store.declare("paused-refresh-token", state="paused")
    world.store.declare("odd-refresh-token", format="xml")
    world.store.declare("twin-refresh-token")
    world.store.declare("twin")
    states = [(row["name"], row["state"]) for row in listed(world)]
    assert states == [
        (NAME, "needs_consent"),
        ("odd", "misconfigured"),
        ("twin", "misconfigured"),
        ("twin", "healthy"),
        ("paused", "paused"),
    ]
    assert "twin-refresh-token is it, so rename twin or remove its label" in page(world)


def test_an_owed_event_does_not_make_a_connection_ill(world: ConsentWorld) -> None:
    make_healthy(world)
    status = Status(state=State.HEALTHY, reason="x", since=NOW, version=1, owed=("recovered.1",))
    world.store.note("status", render_status(status))
    (row,) = listed(world)
    assert (row["state"], row["reason"], row["since"]) == ("healthy", None, None)


def test_the_refresh_tokens_life_is_shown_where_the_provider_limits_it() -> None:
    world = ConsentWorld(refresh_token_lifetime=90 * 86400)
    assert "End of the refresh token: 16 Feb 2027" in words(page(world, f"?connection={NAME}"))


def test_a_store_that_is_down_is_503(world: ConsentWorld) -> None:
    world.store.down = True
    assert world.browser.get("/status").status_code == 503


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("text/html;q=0.9, application/json;charset=utf-8", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("*/*", "text/html"),
        ("", "text/html"),
        ("application/json;q=0.4,text/html", "text/html"),
    ],
)
def test_json_for_those_who_ask_for_it(world: ConsentWorld, accept: str, kind: str) -> None:
    assert world.browser.get("/status", headers={"Accept": accept}).mimetype == kind


def test_no_token_is_ever_shown(world: ConsentWorld) -> None:
    give_token(world)
    shown = page(world) + json.dumps(listed(world))
    for secret in CANARIES:
        assert secret not in shown


def test_the_page_runs_its_own_script_and_nobody_elses(world: ConsentWorld) -> None:
    policy = world.browser.get("/status").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert re.search(r"script-src 'sha256-[^']+'; connect-src 'self';", policy)
    assert "form-action 'self';" in policy
    links = r'(href|data-copy)="(http://localhost/consent/|https://console\.cloud\.google\.com/|https://admin\.google\.com/)[^"]+"'
    assert "http" not in re.sub(links, "", page(world)).replace("http://www.w3.org/2000/svg", "").replace(
        "http%3A//www.w3.org/2000/svg", ""
    )


def test_markup_anywhere_is_text(world: ConsentWorld) -> None:
    world.store.note("owner", "<script>alert(1)</script>")
    status = Status(state=State.MISCONFIGURED, reason="<b>x</b>", since=NOW, message="<img src=x onerror=alert(1)>")
    world.store.note("status", render_status(status))
    text = page(world, "?requested=%3Cscript%3E")
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "<b>x" not in text


@pytest.mark.parametrize("since", [0, 1e18, -1.0])
def test_times_beyond_the_calendar_break_nothing(world: ConsentWorld, since: float) -> None:
    status = json.loads(render_status(DEAD))
    world.store.note("status", json.dumps({**status, "since": since, "next_attempt_at": 1e18}))
    assert NAME in page(world)
    assert world.open().status_code == 200


def test_without_connections_the_page_says_how_to_get_one(world: ConsentWorld) -> None:
    world.store.cloud.secrets.clear()
    assert "No connections yet" in page(world)
    assert listed(world) == []


@pytest.mark.parametrize(
    ("healthy", "headline"),
    [(True, "All connections are healthy"), (False, "1 of 1 connections needs attention")],
)
def test_the_headline_says_how_things_stand(world: ConsentWorld, headline: str, *, healthy: bool) -> None:
    if healthy:
        make_healthy(world)
    assert headline in page(world)


# -- refresh now -----------------------------------------------------------------------------------------------------


def action(world: ConsentWorld) -> str:
    found = re.search(r'name="action" value="([^"]+)"', page(world))
    assert found
    return found[1]


def test_refresh_now_asks_for_a_forced_refresh_and_comes_back(world: ConsentWorld) -> None:
    form = {"connection": NAME, "action": action(world)}
    response = world.browser.post("/status", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert (response.status_code, response.headers["Location"]) == (303, f"?requested={NAME}")
    assert world.publisher.refresh_requests == [{"connections": [NAME], "force": True}]
    assert "has been requested" in page(world, f"?requested={NAME}")


def test_refresh_now_answers_json_to_those_who_ask_for_it(world: ConsentWorld) -> None:
    form = {"connection": NAME, "action": action(world)}
    response = world.browser.post("/status", data=form, headers={"Accept": "application/json"})
    assert (response.status_code, response.get_json()) == (202, {"requested": [NAME]})


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=["cross-site", "a sibling", "another origin", "no origin"],
)
def test_another_sites_page_cannot_press_the_button(world: ConsentWorld, headers: dict[str, str]) -> None:
    form = {"connection": NAME, "action": action(world)}
    assert world.browser.post("/status", data=form, headers=headers).status_code == 403
    assert world.publisher.refresh_requests == []


@pytest.mark.parametrize("spoil", ["", "nonsense", "other", "ticket", "old"])
def test_the_button_needs_a_page_of_ours(world: ConsentWorld, spoil: str) -> None:
    token = {
        "other": world.tickets.action("another-connection"),
        "ticket": world.link().partition("ticket=")[2],
        "old": world.tickets.action(NAME),
    }.get(spoil, spoil)
    if spoil == "old":
        world.clock.now += 13 * 3600
    assert world.browser.post("/status", data={"connection": NAME, "action": token}).status_code == 403
    assert world.publisher.refresh_requests == []


def test_a_connection_that_does_not_exist_is_not_refreshed(world: ConsentWorld) -> None:
    form = {"connection": "nobody", "action": world.tickets.action("nobody")}
    assert world.browser.post("/status", data=form).status_code == 404


def test_a_topic_that_is_down_is_said_to_be(world: ConsentWorld) -> None:
    world.publisher.refresh_topic_down = True
    form = {"connection": NAME, "action": action(world)}
    assert world.browser.post("/status", data=form).status_code == 503


def test_other_methods_are_refused(world: ConsentWorld) -> None:
    assert world.browser.put("/status").status_code == 405
