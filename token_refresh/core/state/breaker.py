"""The breaker: a burst of deaths of one client is the client's trouble until proven otherwise (contract 5).

While it holds, connections stay `suspect`, the operator hears once, and no owner is asked for consent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from token_refresh.core.state.verdict import Case, Verdict, doubling
from token_refresh.core.status import HEALTHY, NEEDS_CONSENT, SUSPECT, Status

MASS: str = "mass_invalid_grant"


@dataclass(frozen=True, slots=True)
class Hold:
    """A client whose deaths are held back until `until` (epoch seconds); `event_id` once announced."""

    until: float
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """One connection of a client that was tried in this run, or refreshed in the last hour."""

    client: str
    previous: Status | None
    died: bool
    refreshed: bool = False


def find_holds(statuses: Iterable[Status | None], now: float) -> dict[str, Hold]:
    """Find the clients that are being held, from what their connections remember."""
    holds: dict[str, Hold] = {}
    for status in statuses:
        if status and status.client and status.hold_until > now:
            known = holds.get(status.client)
            if known is None or status.hold_until > known.until:
                holds[status.client] = Hold(status.hold_until, status.client_event_id)
    return holds


def find_lifted(holds: Mapping[str, Hold], tried: Iterable[Tried], now: float) -> set[str]:
    """Find the held clients of which a held connection was refreshed: the client works after all."""
    return {
        t.client
        for t in tried
        if t.refreshed and t.client in holds and t.previous is not None and t.previous.hold_until > now
    }


def find_tripped(tried: Iterable[Tried], breaker_min: float) -> set[str]:
    """Find the clients of which at least `breaker_min` and at least half died.

    Counted are connections that were healthy or suspect before; those that have been held once are judged singly.
    """
    population: Counter[str] = Counter()
    deaths: Counter[str] = Counter()
    for t in tried:
        state = t.previous.state if t.previous else HEALTHY
        if state not in (HEALTHY, SUSPECT) or (t.previous and t.previous.hold_until):
            continue
        population[t.client] += 1
        deaths[t.client] += t.died
    return {c for c, dead in deaths.items() if dead >= breaker_min and dead * 2 >= population[c]}


def may_hold(case: Case) -> bool:
    """Tell whether a death can be held back: this grant was not given up before, and has not been held already."""
    previous = case.previous
    if previous is None:
        return True
    was_given_up = previous.state == NEEDS_CONSENT and previous.version == case.version
    return not was_given_up and not 0 < previous.hold_until <= case.now


def hold_back(case: Case, verdict: Verdict, hold: Hold) -> Verdict:
    """Turn a death into a suspicion that waits for the client to be settled."""
    previous = case.previous
    attempts = previous.attempts + 1 if previous and previous.reason == MASS else 1
    next_attempt_at = case.now + doubling(attempts)
    if case.now < hold.until < next_attempt_at:
        next_attempt_at = hold.until
    assert verdict.status is not None  # noqa: S101 - a death always has one
    status = replace(
        verdict.status,
        state=SUSPECT,
        reason=MASS,
        since=previous.since if previous and previous.reason == MASS else case.now,
        attempts=attempts,
        next_attempt_at=next_attempt_at,
        hold_until=hold.until,
        client_event_id=verdict.status.client_event_id or hold.event_id,
        client=case.client,
    )
    return Verdict(SUSPECT, MASS, status, is_death=True, detail=verdict.detail)


def lift(status: Status, now: float) -> Status:
    """End the hold of a connection that was not tried in this run: it is judged singly at the next one."""
    return replace(status, hold_until=now, next_attempt_at=now)
