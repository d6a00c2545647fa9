"""What the status page says that no annotation tells: overdue, unreadable, no run, no permission, nothing there."""

from __future__ import annotations

import re

import pytest

from tests.worlds.consent_store import NAME
from tests.worlds.consents import OWNER, ConsentWorld
from tests.worlds.status_page import FIELDS, HOUR, JSON, asked, listed, make_healthy, page, refreshed, words
from token_refresh.errors import StoreDenied

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def late(world: ConsentWorld) -> None:
    world.store.note("status", None)
    refreshed(world, ago=7 * HOUR)


def test_six_hours_without_a_run_are_not_healthy(world: ConsentWorld) -> None:
    late(world)
    (row,) = listed(world)
    assert row.keys() == FIELDS
    assert (row["state"], row["reason"], row["overdue"]) == ("healthy", None, True)
    said = words(page(world))
    assert "1 of 1 connections needs attention" in said
    assert "No run since 18 Nov 2026, 04:06 UTC: is the Scheduler on?" in said
    assert "Overdue" in said
    assert "gcloud scheduler jobs describe token-refresh" in said


def test_where_runs_do_come_one_that_is_late_is_no_stopped_scheduler(world: ConsentWorld) -> None:
    late(world)
    world.store.declare("other-refresh-token", owner=OWNER)
    refreshed(world, ago=60, name="other")
    said = words(page(world))
    assert "Overdue" in said
    assert "is the Scheduler on?" not in said


def test_a_token_that_cannot_be_read_is_told_from_none(world: ConsentWorld) -> None:
    world.store.note("status", None)
    world.store.create(f"{NAME}-access-token")
    assert "none yet" in words(page(world))
    world.store.faults.fail("access", StoreDenied("permission denied"), times=10**6)
    said = words(page(world))
    assert "unknown (cannot be read)" in said
    assert "Cannot be read" in said
    assert "1 of 1 connections needs attention" in said
    assert [(r["state"], r["overdue"]) for r in listed(world)] == [("healthy", False)]


def test_a_newest_version_that_is_no_document_or_disabled_cannot_be_read(world: ConsentWorld) -> None:
    make_healthy(world)
    world.store.put(f"{NAME}-access-token", "canary-access-token")
    assert "secret gmail-alice-access-token holds something else" in words(page(world))
    assert "canary" not in page(world)
    world.store.set_state(f"{NAME}-access-token", 2, "DISABLED")
    assert "is disabled or destroyed" in words(page(world))


def test_a_token_too_short_for_the_schedule(world: ConsentWorld) -> None:
    world.store.note("status", None)
    refreshed(world, ago=10, life=400)
    (row,) = listed(world)
    assert (row["state"], row["cannot_keep_fresh"]) == ("healthy", True)
    said = words(page(world))
    assert "1 of 1 connections needs attention" in said
    assert "until the schedule runs more often, readers may find one that has run out" in said
    assert "Let runs come more often than every 3.33 min" in said
    assert "Healthy" not in said
    assert said.count("Cannot be kept fresh") == 2, "on the row, and to filter by"
    for state in ("attention", "cannot_keep_fresh"):
        assert [r["name"] for r in asked(world, f"state={state}")["connections"]] == [NAME]
    assert asked(world, "state=healthy")["connections"] == []
    assert asked(world, f"view=row&connection={NAME}")["said"] == "Refreshed.", "what the button was pressed for"


def test_project_and_region_are_in_the_head(world: ConsentWorld) -> None:
    html = page(world)
    assert re.search(r"<dt>Project</dt> <dd>some-project</dd>", html)
    assert re.search(r"<dt>Secrets</dt> <dd>global</dd>", html)


def test_no_permission_to_list_is_told_from_no_connections(world: ConsentWorld) -> None:
    world.store.faults.fail("list_connections", StoreDenied("cannot list secrets: permission denied"), times=10**6)
    response = world.browser.get("/status")
    assert response.status_code == 503
    said = words(response.get_data(as_text=True))
    assert "This page may not list the secrets" in said
    assert "serviceAccount:token-refresh-status@some-project.iam.gserviceaccount.com" in said
    answer = world.browser.get("/status", headers=JSON)
    assert (answer.status_code, answer.get_json()["error"]) == (503, "unavailable")


def test_an_empty_project_shows_the_three_commands_to_begin_with(world: ConsentWorld) -> None:
    world.store.cloud.secrets.clear()
    html = page(world)
    assert html.count('data-copy="gcloud secrets create') == 3
    assert html.count("--project=some-project") >= 3
    assert "http://localhost/callback" in words(html)
