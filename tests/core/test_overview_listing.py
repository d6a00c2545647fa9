"""Which rows are shown and in which order, and what is said of all of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.worlds.overview_rows import NOW, RULES, fresh, status
from token_refresh.core.connection import SecretRecord, parse_connection
from token_refresh.core.overview.listing import (
    Query,
    build_listing,
    find_last_run,
    headline,
    is_silent,
    parse_query,
    select,
)
from token_refresh.core.overview.row import Reading, Row, build_row
from token_refresh.core.status import render_status


def row(name: str, reading: Reading | None = None, *, label: str = "enabled", owner: str = "", **changes: Any) -> Row:
    notes = {"token-refresh.owner": owner}
    if changes:
        notes["token-refresh.status"] = render_status(status(**changes))
    record = SecretRecord(f"{name}-refresh-token", {"token-refresh": label}, notes, "e", NOW - 60)
    connection = parse_connection(record)
    assert connection is not None
    return build_row(connection, reading or Reading(), providers={}, rules=RULES, now=NOW)


REFUSED: dict[str, Any] = {
    "state": "rejected",
    "reason": "invalid_client",
    "client_event_id": "client_rejected.1.client",
}
ROWS = [
    row("well-b", fresh(60)),
    row("well-a", fresh(90), owner="zoe@example.com"),
    row("well-c", fresh(10, 400)),
    row("late", fresh(9000)),
    row("dead", reason="idle_expiry", since=NOW - 500),
    *(row(f"crm-{n}", **REFUSED) for n in range(7)),
    row("holiday", label="paused"),
    row("fresh-one"),
    row("hidden", Reading(problem="denied")),
]


def names(rows: Any) -> list[str]:
    return [r.name for r in rows]


def test_trouble_comes_first_by_incident_and_what_is_well_is_folded_away() -> None:
    listing = build_listing(ROWS, Query())
    shared, single, new, healthy, paused = listing.groups
    assert (shared.incident, names(shared.rows), shared.total) == (
        "client_rejected.1.client",
        ["crm-0", "crm-1", "crm-2", "crm-3", "crm-4"],
        7,
    )
    assert names(single.rows) == ["dead", "late", "hidden", "well-c"]
    assert [(g.fold, names(g.rows)) for g in (new, healthy, paused)] == [
        ("new", ["fresh-one"]),
        ("healthy", ["well-a", "well-b"]),
        ("paused", ["holiday"]),
    ]
    assert (listing.found, listing.attention, listing.total) == (None, 11, 15)
    assert dict(listing.counts)["rejected"] == 7
    assert headline(listing) == "11 of 15 connections need attention"


def test_an_incident_of_one_connection_is_no_group() -> None:
    (group,) = build_listing([row("crm", **REFUSED)], Query()).groups
    assert (group.incident, names(group.rows)) == (None, ["crm"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(state="healthy"), ["well-a", "well-b"]),
        (Query(state="attention", words="well"), ["well-c"]),
        (Query(state="attention", words="crm-1"), ["crm-1"]),
        (Query(words="  ZOE  example "), ["well-a"]),
        (Query(words="idle"), ["dead"]),
        (Query(words="well a"), ["well-a"]),
        (Query(words="nothing"), []),
        (Query(incident="client_rejected.1.client", words="6"), ["crm-6"]),
        (Query(state="healthy", sort="expires"), ["well-a", "well-b"]),
        (Query(state="healthy", sort="owner"), ["well-a", "well-b"]),
        (Query(state="needs_consent", sort="since"), ["dead"]),
        (Query(state="cannot_keep_fresh"), ["well-c"]),
    ],
)
def test_only_what_was_asked_for(query: Query, found: list[str]) -> None:
    assert names(select(ROWS, query)) == found


def test_what_cannot_be_kept_fresh_is_found_however_else_it_stands() -> None:
    rows = [*ROWS, row("dead-and-short", fresh(10, 400), reason="idle_expiry")]
    assert names(select(rows, Query(state="cannot_keep_fresh"))) == ["dead-and-short", "well-c"]
    assert dict(build_listing(rows, Query()).counts)["cannot_keep_fresh"] == 2


def test_an_order_of_ones_own_is_flat() -> None:
    (group,) = build_listing(ROWS, Query(sort="name")).groups
    assert names(group.rows) == sorted(names(ROWS))


def test_a_page_is_a_page() -> None:
    many = [row(f"c-{n:03}", reason="idle_expiry") for n in range(120)]
    for query in (Query(), Query(words="c-")):
        (group,) = build_listing(many, query).groups
        assert (len(group.rows), group.total) == (50, 120)
    (group,) = build_listing(many, Query(size=100)).groups
    assert len(group.rows) == 100
    incidents = [row(f"c-{n:03}", **{**REFUSED, "client_event_id": str(n // 2)}) for n in range(120)]
    assert len(build_listing(incidents, Query()).groups) == 10


@pytest.mark.parametrize(
    ("asked", "query"),
    [
        (("", "", "", "", ""), Query()),
        (("healthy", "a b", "i", "name", "200"), Query("healthy", "a b", "i", "name", 200)),
        (("attention", "", "", "state", "10"), Query("attention")),
        (("nonsense", "", "", "nonsense", "nonsense"), Query()),
        (("", "", "", "", "99999"), Query(size=2000)),
        (("", "", "", "", "9999999"), Query()),
    ],
)
def test_an_address_is_read_and_nonsense_in_it_is_nothing(asked: tuple[str, ...], query: Query) -> None:
    assert parse_query(*asked) == query


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([row("a", fresh(60))], "All connections are healthy"),
        ([row("a", fresh(60)), row("b", label="paused")], "All connections are healthy"),
        ([row("a", label="paused")], "Nothing needs attention"),
        ([row("a", fresh(9000))], "1 of 1 connections needs attention"),
        ([row("a", fresh(10, 400)), row("b", fresh(60))], "1 of 2 connections needs attention"),
        ([row("a", Reading(pending=True))], "1 connections"),
    ],
)
def test_the_headline(rows: list[Row], line: str) -> None:
    assert headline(build_listing(rows, Query())) == line


def test_no_run_is_said_only_where_nothing_was_done_at_all() -> None:
    late, silent = row("late", fresh(9000)), row("well", fresh(700))
    assert not is_silent([row("well", fresh(2000))], NOW, 300)  # nothing was due
    assert is_silent([late], NOW, 300)
    assert find_last_run([late]) == NOW - 9000
    assert is_silent([late, silent], NOW, 300)
    assert not is_silent([late, row("well", fresh(60))], NOW, 300)  # one is late, but runs do come
    assert not is_silent([late, row("dead", reason="idle_expiry", tried_at=NOW - 30)], NOW, 300)
