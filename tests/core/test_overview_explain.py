"""Why, since when, who was told, what happens next, what would mend it: in words, for people."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.worlds.overview_rows import NOW, build, fresh, status
from token_refresh.core.incident.events import build_event_id
from token_refresh.core.overview.explain import Explanation, Told, explain, find_reminder_after, say
from token_refresh.core.overview.row import Reading, Row
from token_refresh.core.status import STATES, render_status
from token_refresh.words import load_words

HOUR = 3600
DEAD = build_event_id("invalid_grant", "x")
REFUSED = build_event_id("client_rejected", "x") + ".client"


def hour(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%a %H:%M")


def explained(row: Row) -> Explanation:
    return explain(row, load_words(), project="some-project", run_every=300, now=NOW)


def ill(owner: str = "alice@example.com", **changes: Any) -> Row:
    return build(owner=owner, status=render_status(status(**changes)))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        pytest.param(build(fresh(60)), "Next refresh: ", id="healthy"),
        pytest.param(build(fresh(2800)), "Refreshed with the next run.", id="due"),
        pytest.param(build(), "Refreshed with the next run.", id="new"),
        pytest.param(build(fresh(9000)), "Refreshed by the next run that comes.", id="overdue"),
        pytest.param(build(fresh(10, 500)), "Next refresh: ", id="too short"),
        pytest.param(build(state="paused"), "Nothing, until its label says enabled.", id="paused"),
        pytest.param(build(format="xml"), "Refreshed with the next run.", id="odd, before a run has seen it"),
        pytest.param(ill(state="suspect"), "Only a second refusal", id="suspect"),
        pytest.param(
            ill(state="misconfigured", reason="misconfigured"), "works as soon as it is mended", id="misconfigured"
        ),
        pytest.param(
            ill(state="rejected", reason="invalid_client", next_attempt_at=NOW + 600),
            f"Next try: {hour(NOW + 600)}; at once when",
            id="rejected",
        ),
        pytest.param(
            ill(state="unavailable", reason="http_503", next_attempt_at=NOW - 1),
            "Next try: with the next run.",
            id="unavailable",
        ),
        pytest.param(
            ill(event_id=DEAD, since=NOW - 60),
            f"Waits for its owner; told {hour(NOW - 60)}, reminder {hour(NOW - 60 + 24 * HOUR)}.",
            id="waits for its owner",
        ),
        pytest.param(
            ill(event_id=DEAD, since=NOW - 30 * HOUR, reminded=24, next_attempt_at=NOW + 60),
            f"reminder {hour(NOW + 42 * HOUR)}. Next try of the old grant: {hour(NOW + 60)}.",
            id="reminded once",
        ),
        pytest.param(ill(event_id=DEAD, since=NOW - 25 * HOUR), "reminder with the next run.", id="a reminder is due"),
        pytest.param(ill(event_id=DEAD, owed=(DEAD,)), "has not left yet", id="the message has not left"),
        pytest.param(ill("octocat", event_id=DEAD), "; the operators were told ", id="an owner without an address"),
        pytest.param(
            ill(event_id=DEAD, since=NOW - 91 * 24 * HOUR, reminded=2088),
            f"told {hour(NOW - 91 * 24 * HOUR)}.",
            id="after the last reminder",
        ),
        pytest.param(
            ill(reason="never_consented", version=0, event_id=DEAD, next_attempt_at=NOW + 9),
            f"reminder {hour(NOW - 60 + 24 * HOUR)}.",
            id="never consented: there is nothing to try",
        ),
        pytest.param(
            ill(reason="admin_policy_enforced", event_id=DEAD), "Waits for an administrator", id="an administrator"
        ),
        pytest.param(ill(reason="revoked_by_operator"), "Nothing: an operator has revoked it", id="revoked on purpose"),
        pytest.param(ill(), "Waits for its owner.", id="nothing is known of a message"),
    ],
)
def test_what_happens_next(row: Row, sentence: str) -> None:
    assert sentence in say(explained(row).next, hour)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (build(fresh(60)), "It is refreshed in time."),
        (build(Reading(pending=True)), "Nothing is wrong with it."),
        (build(), "the next run fetches the first"),
        (build(fresh(9000)), "and no run has refreshed it."),
        (
            build(fresh(10, 300)),
            (
                "Runs come every 5 min (RUN_EVERY), and it is refreshed only 2.5 min before its token runs out: "
                "until the schedule runs more often, readers may find one that has run out."
            ),
        ),
        (
            build(fresh(10, 600), refresh_before_expiry="25"),
            "it is refreshed only 25 s before its token runs out: readers may find one that has run out.",
        ),
        (build(created_at=NOW - 9000), "no run has looked at it since it was declared"),
        (build(Reading(problem="permission denied on secret x")), "cannot be read: permission denied on secret x."),
        (ill(), "The provider no longer honours the grant: it was revoked or has expired."),
        (ill(state="misconfigured", reason="misconfigured", message="payload is empty"), "payload is empty"),
        (build(state="paused"), "never refreshed"),
    ],
)
def test_why(row: Row, sentence: str) -> None:
    assert sentence in say(explained(row).why, hour)


def test_who_was_told_and_when() -> None:
    row = ill(event_id=DEAD, client_event_id=REFUSED, owed=(REFUSED,), since=NOW - 80 * HOUR, reminded=72)
    assert explained(row).told == (
        Told("Its owner", "that consent is needed", NOW - 80 * HOUR),
        Told("The operators", "that the client or the configuration is refused", None),
        Told("Its owner", "a reminder", NOW - 56 * HOUR),
        Told("Its owner", "a reminder", NOW - 8 * HOUR),
    )
    assert explained(build(fresh())).told == ()
    assert explained(ill(reason="revoked_by_operator", event_id=DEAD)).told == ()


def test_an_incident_of_the_client_that_is_the_connections_own_is_told_once() -> None:
    told = explained(ill(state="rejected", reason="invalid_client", event_id=REFUSED, client_event_id=REFUSED)).told
    assert [one.who for one in told] == ["The operators"]
    assert [one.what for one in explained(ill(event_id="odd")).told] == ["that it has stopped working"]


@pytest.mark.parametrize(
    ("row", "do", "section"),
    [
        (build(fresh(9000)), "Scheduler job", "Runs have stopped"),
        (build(Reading(problem="x")), "service account may read it", ""),
        (build(state="paused"), "label back to enabled", ""),
        (
            build(fresh(10, 300)),
            (
                "Let runs come more often than every 2.5 min: in Terraform by the variable schedule, else by the "
                "Scheduler job and RUN_EVERY of every function."
            ),
            "An access token is about to run out",
        ),
        (ill(state="rejected", reason="invalid_client"), "client at the provider", "A client is rejected"),
        (ill(state="unavailable", reason="http_503"), "retried automatically", "Refreshing fails"),
        (ill(reason="revoked_by_operator"), "If it is needed again", "A connection needs consent"),
    ],
)
def test_what_would_mend_it(row: Row, do: str, section: str) -> None:
    fix = explained(row).fix
    assert fix is not None
    assert do in fix.do
    assert fix.section == section
    assert " " not in fix.anchor


@pytest.mark.parametrize(
    ("row", "do"),
    [
        pytest.param(
            build(fresh(10, 3600), refresh_before_expiry="120"),
            "RUN_EVERY of every function. A larger margin helps, if its provider allows it: "
            "token-refresh.refresh-before-expiry above RUN_EVERY.",
            id="a margin that somebody has set",
        ),
        pytest.param(
            build(fresh(10, 600), refresh_before_expiry="25"),
            "No schedule is often enough: Cloud Scheduler runs once a minute at most. A larger margin helps, if its "
            "provider allows it: token-refresh.refresh-before-expiry above RUN_EVERY, with runs more often than every "
            "5 min.",
            id="such a margin, under a minute, and half of the life is too short as well",
        ),
        pytest.param(
            build(fresh(10, 90)),
            "once a minute at most. Have its provider make tokens that live longer.",
            id="a life of which half is under a minute",
        ),
    ],
)
def test_what_would_keep_it_fresh(row: Row, do: str) -> None:
    fix = explained(row).fix
    assert fix is not None
    assert fix.do.endswith(do)


def test_what_is_well_needs_no_mending() -> None:
    assert explained(build(fresh())).fix is None


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_explained(state: str) -> None:
    explanation = explained(ill(state=state, reason="some_reason"))
    assert say(explanation.why, hour)
    assert say(explanation.next, hour)
    assert explanation.fix


def test_reminders_come_after_a_day_three_days_and_then_every_week_for_three_months() -> None:
    hours, seen = 0, []
    while (following := find_reminder_after(hours)) is not None:
        seen.append(hours := following)
    assert seen[:4] == [24, 72, 240, 408]
    assert all(later - earlier == 168 for earlier, later in itertools.pairwise(seen[1:]))
    assert 83 * 24 < seen[-1] <= 90 * 24


@pytest.mark.parametrize(
    ("row", "warning"),
    [
        (ill(owner=""), "It names no owner, so no consent is accepted"),
        (ill(owner="octocat"), "Its owner cannot be written to"),
        (ill(owner="a@example.com, b@example.com"), "Its owner cannot be written to"),
    ],
)
def test_what_will_stand_in_the_way(row: Row, warning: str) -> None:
    assert warning in (explained(row).warning or "")


@pytest.mark.parametrize(
    "row", [ill(), ill(owner="*"), build(fresh()), build(owner="", status=render_status(status()), subject="1")]
)
def test_nothing_stands_in_the_way(row: Row) -> None:
    assert explained(row).warning is None
