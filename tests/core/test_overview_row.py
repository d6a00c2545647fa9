"""How a connection is shown: two troubles that no annotation tells of have names of their own."""

from __future__ import annotations

import pytest

from tests.worlds.overview_rows import NOW, build, fresh, status
from token_refresh.core.overview.row import Reading, Row, Rules
from token_refresh.core.status import Lease, State, render_lease, render_status


@pytest.mark.parametrize(
    ("row", "state", "standing", "overdue"),
    [
        pytest.param(build(fresh()), "healthy", "healthy", False, id="a fresh token"),
        pytest.param(build(fresh(2800)), "healthy", "healthy", False, id="due, and the next run comes soon"),
        pytest.param(build(fresh(3320)), "healthy", "overdue", True, id="due, and two runs have not come"),
        pytest.param(build(fresh(30_000)), "healthy", "overdue", True, id="run out six hours ago"),
        pytest.param(
            build(Reading(problem="denied")), "healthy", "unreadable", False, id="a token that cannot be read"
        ),
        pytest.param(build(fresh(10, 500)), "healthy", "cannot_keep_fresh", False, id="runs come too rarely"),
        pytest.param(build(fresh(1200, 500)), "healthy", "overdue", True, id="and none has come: overdue says more"),
        pytest.param(build(fresh(10, 500), state="paused"), "paused", "paused", False, id="paused, and too short"),
        pytest.param(build(Reading(pending=True)), "healthy", "healthy", False, id="not looked at yet"),
        pytest.param(build(), "healthy", "new", False, id="declared a minute ago"),
        pytest.param(build(created_at=NOW - 700), "healthy", "overdue", True, id="declared, and no run has come"),
        pytest.param(build(created_at=0), "healthy", "new", False, id="declared at an unknown time"),
        pytest.param(build(fresh(30_000), state="paused"), "paused", "paused", False, id="paused"),
        pytest.param(build(fresh(), format="xml"), "misconfigured", "misconfigured", False, id="an odd annotation"),
        pytest.param(
            build(fresh(30_000), status=render_status(status())),
            "needs_consent",
            "needs_consent",
            False,
            id="dead, which says more than overdue",
        ),
        pytest.param(
            build(fresh(), status=render_status(status(state=State.HEALTHY, reason="x", owed=("recovered.1",)))),
            "healthy",
            "healthy",
            False,
            id="healthy, with news still to be published",
        ),
    ],
)
def test_how_it_stands(row: Row, state: str, standing: str, *, overdue: bool) -> None:
    assert (row.state, row.standing, row.overdue) == (state, standing, overdue)
    assert row.as_json(None)["overdue"] is overdue
    assert row.as_json(None)["state"] == state


@pytest.mark.parametrize(("life", "too_short"), [(3600, False), (1300, False), (500, True)])
def test_a_token_too_short_for_the_schedule_is_said_to_be(life: float, *, too_short: bool) -> None:
    assert build(fresh(10, life)).cannot_keep_fresh is too_short


def test_it_is_due_when_the_runs_take_it_for_due() -> None:
    """Rarer runs refresh earlier: the default margin leaves room for one."""
    rare = build(fresh(2450), rules=Rules(refresh_before_expiry=900, run_every=900))
    assert rare.due_at is not None
    assert rare.due_at < NOW < (build(fresh(2450)).due_at or 0)
    assert not rare.cannot_keep_fresh


@pytest.mark.parametrize(
    ("row", "version"),
    [
        (build(), None),
        (build(fresh()), 1),
        (build(fresh(), lease=render_lease(Lease("", 0, 7))), 7),
        (build(status=render_status(status(version=3))), 3),
        (build(status=render_status(status(reason="never_consented", version=0))), 0),
    ],
    ids=["nothing is known", "the token's", "the lease's", "the status's", "never consented"],
)
def test_the_version_is_the_newest_that_anything_tells_of(row: Row, version: int | None) -> None:
    assert row.version == version
    assert row.as_json(None)["version"] == (version or 0)


@pytest.mark.parametrize(
    ("row", "ends_at"),
    [
        (build(fresh(60), provider="weekly"), NOW - 60 + 604_800),
        (build(provider="weekly"), None),
        (build(fresh(60), provider="from-consent"), None),
        (build(fresh(60)), None),
        (build(fresh(60), provider="unheard-of"), None),
    ],
    ids=["replaced by each refresh", "never refreshed", "counted from consent", "without an end", "no such provider"],
)
def test_the_end_of_a_refresh_token_that_each_refresh_replaces(row: Row, ends_at: float | None) -> None:
    assert row.grant_ends_at == ends_at


def test_an_attempt_changes_the_mark_and_nothing_else_does() -> None:
    before, after = status(attempts=1), status(attempts=2, tried_at=NOW)
    assert build(status=render_status(before)).mark == build(status=render_status(before)).mark
    assert build(status=render_status(before)).mark != build(status=render_status(after)).mark
    assert build(fresh(60)).mark != build(fresh(50)).mark


def test_a_providers_silence_has_many_names_and_one_remedy() -> None:
    silent = build(status=render_status(status(state=State.UNAVAILABLE, reason="http_503")))
    assert (silent.reason, silent.cause, silent.remedy) == ("http_503", "refresh_failing", "wait")
    assert silent.message == "The provider does not answer; the access token is about to run out."


def test_the_last_trace_of_a_run_is_a_refresh_or_an_attempt() -> None:
    assert build(fresh(60)).last_run_at == NOW - 60
    assert build(fresh(60), status=render_status(status(tried_at=NOW - 5))).last_run_at == NOW - 5
    assert build().last_run_at == 0


def test_a_healthy_connection_has_neither_incident_nor_remedy() -> None:
    row = build(fresh())
    assert (row.since, row.incident, row.remedy, row.next_attempt_at) == (None, None, None, row.due_at)
    shared = build(status=render_status(status(state=State.REJECTED, client_event_id="client_rejected.1.client")))
    assert shared.incident == "client_rejected.1.client"
    assert build(state="paused").next_attempt_at is None
