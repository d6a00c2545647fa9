"""Whatever happens in whatever order, contract 5 and 7 hold: random triggers, faults, deaths, restarts and races.

Two instances work on the same secrets against a simulated authorization server that keeps its own books. Each of
their calls may fail with any exception, kill the instance, take any time, or be interrupted by a whole run of the other
one or by a person who adds a grant.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from google.api_core.exceptions import FailedPrecondition
from hypothesis import HealthCheck, settings
from hypothesis.stateful import precondition, rule

from tests.fakes.instance import Crash
from tests.worlds.depth import examples
from tests.worlds.promises import NAMES, Promises
from token_refresh.core.connection import LEASE, STATUS
from token_refresh.core.status import parse_lease
from token_refresh.core.trigger import Trigger
from token_refresh.core.units import DAY
from token_refresh.errors import PublishError, StoreDenied, StoreUnavailable

pytestmark = pytest.mark.timeout(int(os.environ.get("STATEFUL_SECONDS", "300")))

# A call at which time passes so that no client can keep the grant: between the look at the clock and the deed, or while
# the reply is on its way.
UNAVOIDABLE = (("exchange", "before"), ("exchange", "after"), ("add", "before"))
OPERATIONS = ("list_connections", "get", "access", "add", "destroy", "annotate", "publish", "exchange")


class TokenRefresh(Promises):
    # -- what happens --------------------------------------------------------------------------------------------------

    @rule(
        who=st.integers(0, 1),
        force=st.booleans(),
        clean=st.booleans(),
        names=st.none() | st.sets(st.sampled_from(NAMES), min_size=1),
    )
    def run(self, who: int, force: bool, clean: bool, names: set[str] | None) -> None:  # noqa: FBT001
        chosen = tuple(sorted(names)) if names is not None else None
        self._excuse_unsaved(300)
        self.instances[who].run(Trigger(connections=chosen, force=force, clean=clean))
        for instance in self.instances:
            instance.faults.active.clear()
            instance.faults.interruption = None
        self.is_racing = False

    @rule(who=st.integers(0, 1), seconds=st.sampled_from((61, 300, 3000)))
    def the_schedule_ticks(self, who: int, seconds: float) -> None:
        self.clock.advance(seconds)
        self.run(who, force=False, clean=False, names=None)

    @rule(seconds=st.sampled_from((1, 30, 61, 130, 400, 900, 3000, 3700, DAY + 1)))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(mode=st.sampled_from(("ok", "ok", "down", "lost_before", "lost_after", "bad_client", "lying")))
    def the_server_changes_its_mood(self, mode: str) -> None:
        self.server.mode = mode

    @rule(name=st.sampled_from(NAMES))
    def an_owner_revokes(self, name: str) -> None:
        self.server.revoke(self.tokens[name])

    @precondition(lambda self: not self.cloud.stale)
    @rule(name=st.sampled_from(NAMES))
    def an_owner_consents_again(self, name: str) -> None:
        self._consent(name)

    def _consent(self, name: str) -> None:
        self.tokens[name] = self.server.consent(name)
        self.seed.put(f"{name}-refresh-token", self.tokens[name])
        self.excused_losses.discard(name)

    @rule(is_down=st.booleans())
    def the_topic_fails(self, is_down: bool) -> None:  # noqa: FBT001
        self.topic_is_down = is_down

    @rule(seconds=st.sampled_from((0, 60, 600, 7200)), kinds=st.sets(st.sampled_from(("latest", "lists", "metadata"))))
    def reads_are_stale(self, seconds: float, kinds: set[str]) -> None:
        self.cloud.stale = dict.fromkeys(kinds, seconds) if seconds else {}
        self.may_repeat = self.may_repeat or bool(self.cloud.stale)

    @rule(name=st.sampled_from(NAMES), key=st.sampled_from((STATUS, LEASE)))
    def somebody_edits_an_annotation_into_nonsense(self, name: str, key: str) -> None:
        status = self.status(name)
        if key == STATUS and status:  # what it owed, and what it had announced, is gone with it
            return
        self.seed.set_annotations(f"{name}-refresh-token", {key: '{"holder": 7, "sta'})

    @rule(
        who=st.integers(0, 1),
        operation=st.sampled_from(OPERATIONS),
        when=st.sampled_from(("before", "after")),
        skip=st.integers(0, 6),
        times=st.sampled_from((1, 1, 2, 10_000)),
        kind=st.sampled_from(("foreseen", "a defect", "of Google's library")),
    )
    def a_call_will_fail(  # noqa: PLR0913, PLR0917 - a fault's fields
        self, who: int, operation: str, when: str, skip: int, times: int, kind: str
    ) -> None:
        if operation == "exchange" and (when == "after" or kind == "foreseen"):
            return
        error: Exception = PublishError("no answer") if operation == "publish" else StoreUnavailable("injected")
        if kind == "denied":
            error = StoreDenied("injected")
        elif kind != "foreseen":
            error = ValueError("injected") if kind == "a defect" else FailedPrecondition("injected")  # type: ignore[no-untyped-call]
        self.instances[who].faults.fail(operation, error, when=when, skip=skip, times=times)
        self.may_repeat = True

    @rule(
        who=st.integers(0, 1),
        operation=st.sampled_from((*OPERATIONS, "*")),
        when=st.sampled_from(("before", "after")),
        skip=st.integers(0, 30),
    )
    def a_call_will_be_the_last(self, who: int, operation: str, when: str, skip: int) -> None:
        self.instances[who].faults.fail(operation, Crash(), when=when, skip=skip)
        self.may_repeat = True

    @rule(
        who=st.integers(0, 1),
        operation=st.sampled_from(("add", "annotate")),
        when=st.sampled_from(("before", "after")),
        skip=st.integers(0, 3),
        times=st.sampled_from((1, 10_000)),
        kind=st.sampled_from(("foreseen", "denied", "a defect", "of Google's library")),
        seconds=st.sampled_from((3000, 3300)),
    )
    def a_write_fails_when_all_are_due(  # noqa: PLR0913, PLR0917 - a fault's fields
        self, who: int, operation: str, when: str, skip: int, times: int, kind: str, seconds: float
    ) -> None:
        self.clock.advance(seconds)
        self.a_call_will_fail(who, operation, when, skip, times, kind)
        self.run(who, force=False, clean=False, names=None)

    @precondition(lambda self: not self.cloud.stale)
    @rule(who=st.integers(0, 1), after=st.integers(0, 40), name=st.sampled_from(NAMES))
    def a_person_adds_a_grant_when_all_are_due(self, who: int, after: int, name: str) -> None:
        self.clock.advance(3000)
        self.a_person_will_add_a_grant_in_between(who, after, name)
        self.run(who, force=False, clean=False, names=None)

    @rule(who=st.integers(0, 1))
    def an_instance_is_replaced(self, who: int) -> None:
        self.excused_losses |= self.instances[who].unsaved.keys()
        self.note_end(self.instances[who])
        self.instances[who].start()

    @rule(
        who=st.integers(0, 1),
        after=st.integers(0, 40),
        force=st.booleans(),
        seconds=st.sampled_from((0, 0, 130, 4000)),
    )
    def the_other_one_will_run_in_between(self, who: int, after: int, force: bool, seconds: float) -> None:  # noqa: FBT001
        other = self.instances[1 - who]
        self._interrupt(who, after, seconds, lambda: other.run(Trigger(force=force)))

    @precondition(lambda self: not self.cloud.stale)
    @rule(who=st.integers(0, 1), after=st.integers(0, 40), name=st.sampled_from(NAMES))
    def a_person_will_add_a_grant_in_between(self, who: int, after: int, name: str) -> None:
        self._interrupt(who, after, 0, lambda: self._consent(name))

    def _interrupt(self, who: int, after: int, seconds: float, act: Callable[[], None]) -> None:
        one, other = self.instances[who], self.instances[1 - who]

        def interrupt(operation: str, when: str) -> None:
            if seconds and (operation, when) in UNAVOIDABLE:
                leases = {n: parse_lease(self.notes(n).get(LEASE)) for n in NAMES}
                self.excused_losses |= {n for n, lease in leases.items() if lease and lease.holder}
            self.clock.advance(seconds)
            self._excuse_unsaved(300)
            act()

        one.faults.calls_left = after
        one.faults.interruption, other.faults.interruption = interrupt, None
        self.may_repeat = self.is_racing = True

    def _excuse_unsaved(self, seconds: float) -> None:
        """An unsaved lease is honoured until its end, and not longer: some are called too late, or cannot mark it."""
        for instance in self.instances:
            for name in instance.unsaved:
                lease = parse_lease(self.notes(name).get(LEASE))
                if not lease or not lease.unsaved or lease.until < self.clock() + seconds:
                    self.excused_losses.add(name)


TestTokenRefresh = TokenRefresh.TestCase
TestTokenRefresh.settings = settings(
    max_examples=int(os.environ.get("STATEFUL_EXAMPLES", "0")) or examples(300),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
