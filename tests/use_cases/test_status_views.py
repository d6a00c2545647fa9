"""What the status page costs, and how it looks again."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from tests.worlds.consent_store import NAME, SECRET
from tests.worlds.consents import CANARIES, DEAD, NOW, ConsentWorld
from tests.worlds.status_page import FIELDS, HOUR, JSON, asked, give_token, listed, make_healthy, page, refreshed, words
from token_refresh.core.overview.listing import ATTENTION
from token_refresh.core.overview.row import Standing
from token_refresh.core.status import State, render_status
from token_refresh.errors import StoreDenied
from token_refresh.overview import FRESH_SECONDS, Overview
from token_refresh.settings import Settings
from token_refresh.web.status_view import WORDS

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def metadata_reads(world: ConsentWorld) -> list[str]:
    return [operation for operation, _ in world.store.calls if operation != "access"]


# -- cheap -------------------------------------------------------------------------------------------------------------


def test_a_view_of_any_number_of_connections_is_one_list_and_accesses(world: ConsentWorld) -> None:
    for number in range(30):
        world.store.declare(f"c{number}-refresh-token")
        if number % 2:
            refreshed(world, ago=60, name=f"c{number}")
    world.store.calls.clear()
    page(world)
    assert metadata_reads(world) == ["list_connections"]
    world.store.calls.clear()
    listed(world)
    assert metadata_reads(world) == ["list_connections"]
    assert {s for op, s in world.store.calls if op == "access"} <= {f"c{n}-access-token" for n in range(30)} | {
        f"{NAME}-access-token"
    }


def test_a_page_that_looks_again_is_served_from_what_was_read_a_moment_ago(world: ConsentWorld) -> None:
    make_healthy(world)
    asked(world, "view=page")
    world.store.calls.clear()
    world.clock.advance(FRESH_SECONDS - 1)
    asked(world, "view=page")
    assert world.store.calls == []
    world.clock.advance(2)
    asked(world, "view=page")
    # The token is not due: it is not read again.
    assert world.store.calls == [("list_connections", "")]
    world.clock.advance(700)
    asked(world, "view=page")
    assert world.store.calls[1:] == [("list_connections", ""), ("access", f"{NAME}-access-token")]


def test_who_asks_is_told_what_is_now(world: ConsentWorld) -> None:
    make_healthy(world)
    assert listed(world)[0]["state"] == "healthy"
    world.store.note("status", render_status(DEAD))
    assert listed(world)[0]["state"] == "needs_consent"


def test_but_not_more_often_than_once_a_second_and_who_asks_waits_for_it(world: ConsentWorld) -> None:
    make_healthy(world)
    began = world.clock.now
    overview = Overview(
        world.store,
        world.publisher,
        world.providers,
        world.tickets,
        Settings(),
        world.clock,
        lambda: world.clock.now,
        world.clock.advance,
    )
    for _ in range(21):
        overview.look()
    assert world.clock.now == began, "a person who clicks does not wait"
    for number in range(100):
        assert len(overview.look().rows) == 1 + number, "what has just been declared is there"
        world.store.create(f"new-{number}-refresh-token", labels={"token-refresh": "enabled"})
    assert metadata_reads(world).count("list_connections") == 121
    assert world.clock.now - began == 100
    world.clock.advance(FRESH_SECONDS + 1)
    overview.look()
    assert world.clock.now - began == 100 + FRESH_SECONDS + 1


def test_those_who_ask_while_one_looks_wait_for_a_look_that_began_after_they_asked(world: ConsentWorld) -> None:
    overview = world.status._overview
    inside, go_on = threading.Event(), threading.Event()
    listings = 0

    def on_call(operation: str) -> None:
        nonlocal listings
        if operation == "list_connections":
            listings += 1
            if listings == 1:
                inside.set()
                go_on.wait(10)

    world.store.on_call = on_call
    threads = [threading.Thread(target=overview.look)]
    threads[0].start()
    assert inside.wait(10)
    arrived = overview._begun
    threads += [threading.Thread(target=overview.look) for _ in range(8)]
    for thread in threads[1:]:
        thread.start()
    assert arrived == 1
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert 2 <= listings <= 9


def test_what_cannot_be_read_in_time_is_read_by_the_next_look(world: ConsentWorld) -> None:
    for number in range(5):
        world.store.declare(f"c{number}-refresh-token")
        refreshed(world, ago=60, name=f"c{number}")
    overview = world.status._overview
    view = overview.look(seconds=0)
    assert [r.reading.pending for r in view.rows].count(True) == 6
    assert all(r.state == "healthy" for r in view.rows if r.name != NAME)
    assert not any(r.reading.pending for r in overview.look(may_be_old=True, seconds=60).rows)


def test_json_waits_until_all_is_read(world: ConsentWorld) -> None:
    make_healthy(world)
    world.status._overview.look(seconds=0)
    assert listed(world)[0]["access_token_expires_at"] == NOW + 1800


# -- alive -------------------------------------------------------------------------------------------------------------


def test_a_page_that_knows_all_there_is_gets_no_rows_again(world: ConsentWorld) -> None:
    first = asked(world, "view=page")
    assert "gmail-alice" in first["html"]
    world.clock.advance(100)
    again = asked(world, f"view=page&seen={first['digest']}")
    assert "html" not in again
    assert (again["digest"], again["as_of"]) == (first["digest"], NOW + 100)
    world.store.note("owner", "new@example.com")
    world.clock.advance(100)
    assert "new@" in asked(world, f"view=page&seen={first['digest']}")["html"]


def test_but_new_signatures_before_its_own_end(world: ConsentWorld) -> None:
    first = asked(world, "view=page")
    world.clock.advance(7 * HOUR)
    assert "html" in asked(world, f"view=page&seen={first['digest']}")


def test_one_row_is_read_now_by_one_read_and_one_access(world: ConsentWorld) -> None:
    make_healthy(world)
    before = asked(world, f"view=row&connection={NAME}")
    world.store.calls.clear()
    refreshed(world, ago=0)
    world.store.calls.clear()
    after = asked(world, f"view=row&connection={NAME}")
    assert world.store.calls == [("get", SECRET), ("access", f"{NAME}-access-token")]
    assert before["mark"] != after["mark"]
    assert (after["said"], after["good"]) == ("Refreshed.", True)
    # The page's next look knows it, too.
    world.store.calls.clear()
    assert f'data-mark="{after["mark"]}"' in asked(world, "view=page")["html"]


def test_one_connection_as_json_and_as_a_page(world: ConsentWorld) -> None:
    (row,) = asked(world, f"connection={NAME}")["connections"]
    assert row.keys() == FIELDS
    assert words(page(world, f"?connection={NAME}")).count("Details") == 1
    for query in ("connection=nobody", "view=row&connection=nobody"):
        answer = world.browser.get(f"/status?{query}", headers=JSON)
        assert (answer.status_code, answer.get_json()["error"]) == (404, "unknown_connection")
    assert world.browser.get("/status?connection=nobody").status_code == 404


def test_twins_are_shown_by_their_name_and_a_deleted_one_is_gone(world: ConsentWorld) -> None:
    world.store.declare("twin")
    world.store.declare("twin-refresh-token")
    assert [row["state"] for row in asked(world, "connection=twin")["connections"]] == ["healthy"]
    states = [row["state"] for row in asked(world, "")["connections"] if row["name"] == "twin"]
    assert sorted(states) == ["healthy", "misconfigured"], "the one with the suffix is the connection"
    asked(world, "")
    del world.store.cloud.secrets[SECRET]
    assert world.browser.get(f"/status?connection={NAME}", headers=JSON).status_code == 404


def test_the_history_of_versions_comes_on_demand(world: ConsentWorld) -> None:
    give_token(world)
    world.store.put(SECRET, "canary-new-refresh-token")
    world.store.set_state(SECRET, 1, "DESTROYED")
    said = re.sub(r"<[^>]+>", " ", asked(world, f"view=history&connection={NAME}")["html"])
    assert f"Versions of {SECRET}" in said
    assert "destroyed" in said
    assert not any(canary in said for canary in CANARIES)
    for _ in range(20):
        world.store.put(SECRET, "x")
    assert "And 12 older ones." in asked(world, f"view=history&connection={NAME}")["html"]
    world.store.faults.fail("list_versions", StoreDenied("permission denied"), times=10**6)
    html = asked(world, f"view=history&connection={NAME}")["html"]
    assert "They cannot be listed" in html
    assert "access-token" not in html
    assert asked(world, "view=history&connection=nobody")["html"].strip() == ""


def test_filter_and_search_work_for_json_too(world: ConsentWorld) -> None:
    world.store.declare("other-refresh-token", owner="other@example.com")
    assert [r["name"] for r in asked(world, "q=other@")["connections"]] == ["other"]
    assert [r["name"] for r in asked(world, "state=needs_consent")["connections"]] == [NAME]


def test_every_state_is_a_standing_and_every_standing_has_its_words() -> None:
    assert set(State) < set(Standing)
    assert set(WORDS) == {*Standing, ATTENTION}


def test_a_fault_while_the_page_is_streamed_is_said_in_it(world: ConsentWorld) -> None:
    """The head has been sent with 200 by then."""
    release = threading.Event()
    real = world.store.list_connections

    def slow() -> Any:
        release.wait(10)
        return real()

    world.store.list_connections = slow  # type: ignore[method-assign]
    world.store.down = True
    response = world.browser.get("/status", buffered=False)
    release.set()
    assert response.status_code == 200
    assert "The connections cannot be read" in words(response.get_data(as_text=True))
