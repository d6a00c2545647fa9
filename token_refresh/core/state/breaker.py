"""The breaker: a burst of deaths of one client is the client's trouble until proven otherwise (contract 5).

A suspect is *unexplained* while no connection of its client has been refreshed since its first refusal. While so many
are unexplained, none of them is confirmed before its own hold has passed: nobody is held twice, or for ever. Nothing is
remembered but what the statuses and access tokens tell anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from token_refresh.core.incident.events import EventType
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import Verdict, suspect
from token_refresh.core.status import State, Status


@dataclass(frozen=True, slots=True)
class Death:
    """A grant that the provider called dead in this run."""

    situation: Situation
    verdict: Verdict

    @property
    def refused_at(self) -> float:
        """Return the first refusal."""
        return self.verdict.status.refused_at if self.verdict.status else self.situation.now

    @property
    def counts(self) -> bool:
        """Tell whether the grant was not given up before."""
        before = self.situation.status
        return not (before and before.state == State.NEEDS_CONSENT and before.version == self.situation.version)


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the deaths of one client come to: a verdict for each, in their order; `is_mass` = the client is in doubt."""

    verdicts: tuple[Verdict, ...]
    is_mass: bool


def is_suspicion(status: Status | None) -> bool:
    """Tell whether a status tells of a refusal that is not confirmed."""
    return status is not None and status.state in (State.SUSPECT, State.UNAVAILABLE) and status.refused_at > 0


def weigh(  # noqa: PLR0913 - deaths, their neighbours, and two settings
    deaths: Sequence[Death],
    neighbours: Iterable[Status],
    *,
    refreshed_at: float,
    now: float,
    breaker_min: float,
    breaker_hold: float,
) -> Weighed:
    """Weigh the deaths of one client together with its other suspects.

    `refreshed_at` is the last refresh of any connection of the client (epoch seconds, 0 = never seen).
    """
    refusals = [d.refused_at for d in deaths if d.counts]
    refusals += [s.refused_at for s in neighbours if is_suspicion(s)]
    unexplained = sum(refreshed_at <= at for at in refusals)
    is_burst = unexplained >= breaker_min

    def verdict_of(death: Death) -> Verdict:
        verdict, refused_at = death.verdict, death.refused_at
        is_held = is_burst and death.counts and refreshed_at <= refused_at and now < refused_at + breaker_hold
        if not is_held or verdict.announce != EventType.INVALID_GRANT:
            return verdict
        held = suspect(death.situation, verdict.reason, refused_at, verdict.detail)
        return replace(held, message="held back: many grants of this client died at once")

    return Weighed(tuple(map(verdict_of, deaths)), is_mass=is_burst and any(d.counts for d in deaths))
