"""Which rows are shown, in which order, and what is said of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from token_refresh.core.overview.row import QUIET, Row, Standing

STANDINGS: Final = tuple(Standing)
PAGE: Final = 50
_MOST: Final = 2000  # rows of one answer
_IN_A_GROUP: Final = 5
_IN_A_FOLD: Final = 25
BY_STANDING: Final = "state"
SORTS: Final = {
    BY_STANDING: "Urgency",
    "name": "Name",
    "owner": "Owner",
    "provider": "Provider",
    "expires": "Token expiry",
    "since": "Longest in this state",
}
ATTENTION: Final = "attention"


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for: words, one client's incident, an order, and how many rows.

    `state` is a standing or `attention`; `cannot_keep_fresh` finds all that it is true of, however else they stand.
    """

    state: str = ""
    words: str = ""
    incident: str = ""
    sort: str = BY_STANDING
    size: int = PAGE

    @property
    def is_plain(self) -> bool:
        """Tell whether nothing was asked for: then troubles come first, and what is well is folded away."""
        return not (self.state or self.words.strip() or self.incident) and self.sort == BY_STANDING


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together; `total` counts those that are not shown, too.

    `incident` is the one of a client that they share, `fold` the standing for which they are folded away.
    """

    rows: tuple[Row, ...]
    total: int
    incident: str | None = None
    fold: Standing | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What is shown. `found` is None where nothing was asked for, else the number of rows that fit."""

    groups: tuple[Group, ...]
    found: int | None
    counts: tuple[tuple[str, int], ...]
    attention: int
    total: int
    pending: int


def parse_query(state: str, words: str, incident: str, sort: str, size: str) -> Query:
    """Read what an address asks for; nonsense reads as nothing."""
    number = int(size) if size.isascii() and size.isdigit() and len(size) < 6 else PAGE  # noqa: PLR2004
    return Query(
        state=state if state in (*STANDINGS, ATTENTION) else "",
        words=words[:200],
        incident=incident[:100],
        sort=sort if sort in SORTS else BY_STANDING,
        size=max(PAGE, min(number, _MOST)),
    )


def needs_attention(row: Row) -> bool:
    """Tell whether a person ought to look at it."""
    return row.standing not in QUIET


def select(rows: Iterable[Row], query: Query) -> list[Row]:
    """Return the rows that were asked for, in the order that was asked for."""
    words = query.words.lower().split()
    chosen = [r for r in rows if _fits(r, query) and all(w in _text(r) for w in words)]
    return sorted(chosen, key=lambda row: _key(row, query.sort))


def build_listing(rows: Sequence[Row], query: Query) -> Listing:
    """Arrange the rows: what needs attention first, by client incident; what is well and what is paused folded away."""
    counts = Counter[str](row.standing for row in rows)
    counts[Standing.CANNOT_KEEP_FRESH] = sum(row.cannot_keep_fresh for row in rows)
    chosen = select(rows, query)
    groups = _arrange(chosen, query.size) if query.is_plain else (Group(tuple(chosen[: query.size]), len(chosen)),)
    return Listing(
        groups=groups,
        found=None if query.is_plain else len(chosen),
        counts=tuple((s, counts[s]) for s in STANDINGS if counts[s]),
        attention=sum(map(needs_attention, rows)),
        total=len(rows),
        pending=sum(row.reading.pending for row in rows),
    )


def headline(listing: Listing) -> str:
    """Say in one line how things stand."""
    if listing.attention:
        return f"{listing.attention:,} of {listing.total:,} connections need{'s' * (listing.attention == 1)} attention"
    if listing.pending:
        return f"{listing.total:,} connections"
    some_are_healthy = any(standing == Standing.HEALTHY for standing, _ in listing.counts)
    return "All connections are healthy" if some_are_healthy else "Nothing needs attention"


def find_last_run(rows: Iterable[Row]) -> float:
    """Return the last moment at which a run has done anything at all; 0 = no trace of one."""
    return max((row.last_run_at for row in rows), default=0.0)


def is_silent(rows: Sequence[Row], now: float, run_every: float) -> bool:
    """Tell whether no run comes any more: something is overdue, and nothing was done since two runs ought to have."""
    return any(row.overdue for row in rows) and now > find_last_run(rows) + 2 * run_every


def _arrange(rows: Sequence[Row], size: int) -> tuple[Group, ...]:
    """Group what needs attention by the incident that it shares, then fold away what does not."""
    sharing: dict[str, list[Row]] = {}
    single: list[Row] = []
    for row in filter(needs_attention, rows):
        (sharing.setdefault(row.incident, []) if row.incident else single).append(row)
    single += [shared[0] for shared in sharing.values() if len(shared) == 1]
    groups = [
        Group(tuple(shared[:_IN_A_GROUP]), len(shared), incident=incident)
        for incident, shared in sharing.items()
        if len(shared) > 1
    ][: size // _IN_A_GROUP]
    if single:
        single.sort(key=lambda row: _key(row, BY_STANDING))
        groups.append(Group(tuple(single[:size]), len(single)))
    for standing in QUIET:
        quiet = [row for row in rows if row.standing == standing]
        if quiet:
            groups.append(Group(tuple(quiet[:_IN_A_FOLD]), len(quiet), fold=standing))
    return tuple(groups)


def _fits(row: Row, query: Query) -> bool:
    if query.incident and row.incident != query.incident:
        return False
    if query.state == ATTENTION:
        return needs_attention(row)
    if query.state == Standing.CANNOT_KEEP_FRESH:
        return row.cannot_keep_fresh
    return not query.state or row.standing == query.state


def _text(row: Row) -> str:
    c = row.connection
    return f"{c.name} {c.owner or ''} {c.provider} {row.reason or ''}".lower()


def _key(row: Row, sort: str) -> tuple[object, ...]:
    rank = STANDINGS.index(row.standing)
    first: object = {
        "owner": (row.connection.owner or "\uffff").lower(),
        "provider": row.connection.provider,
        "expires": row.expires_at if row.expires_at is not None else float("inf"),
        "since": row.since or float("inf"),
        BY_STANDING: rank,
    }.get(sort, "")
    return (first, row.name, rank, row.connection.secret_id)
