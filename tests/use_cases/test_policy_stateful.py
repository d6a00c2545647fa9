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
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.fakes.instance import Crash, FakeStore, FrozenClock
from tests.fakes.simulated_instance import PROVIDERS, SETTINGS, Instance
from tests.fakes.simulated_server import Sent, SimulatedServer
from token_refresh.core.connection import LEASE, STATUS
from token_refresh.core.incident.events import CONSENT_OVERDUE, INVALID_GRANT, RECOVERED, Event
from token_refresh.core.incident.incident import recovered_id
from token_refresh.core.status import NEEDS_CONSENT, Status, parse_lease, parse_status
from token_refresh.core.trigger import Trigger
from token_refresh.core.units import DAY
from token_refresh.errors import PublishError, StoreUnavailable

pytestmark = pytest.mark.timeout(int(os.environ.get("STATEFUL_SECONDS", "300")))

# Many of one client, so that the breaker has something to do; one of each other kind.
CONNECTIONS = {
    **{f"strict-{n}": "strict" for n in range(4)},
    "lenient-text": "lenient",
    "plain": "google",
}
NAMES = tuple(CONNECTIONS)
# A call at which time passes so that no client can keep the grant: between the look at the clock and the deed, or while
# the reply is on its way.
UNAVOIDABLE = (("exchange", "before"), ("exchange", "after"), ("add", "before"))
OPERATIONS = ("list_connections", "get", "access", "add", "destroy", "annotate", "publish", "exchange")


class TokenRefresh(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = FrozenClock()
        self.server = SimulatedServer(self.clock)
        self.server.grace = {"lenient": 300.0}
        self.seed = FakeStore(self.clock)
        self.cloud = self.seed.cloud
        self.topic_is_down = False
        self.events: list[Event] = []
        self.sent: list[tuple[str, Sent]] = []  # with the lease's holder at that moment
        self.excused_losses: set[str] = set()
        self.may_repeat = False  # a crash, a lost answer or a race: the same event may come again
        self.is_racing = False
        self.tokens: dict[str, str] = {}  # of each owner's last consent
        for name, provider in CONNECTIONS.items():
            self.tokens[name] = self.server.consent(name)
            notes = {"token-refresh.format": "text"} if name.endswith("text") else {}
            self.seed.create_connection(name, self.tokens[name], provider=provider, annotations=notes)
        self.clock.advance(DAY)  # by now everybody has heard of them
        self.instances = [Instance(self), Instance(self)]

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
        if kind != "foreseen":
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

    @rule(who=st.integers(0, 1))
    def an_instance_is_replaced(self, who: int) -> None:
        self.excused_losses |= self.instances[who].unsaved.keys()
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

    # -- what must hold ------------------------------------------------------------------------------------------------

    def watch(self, sent: Sent) -> None:
        """Contract 7: a single-use token is sent under a lease with time left, and once unless the answer was lost."""
        family = self.server.family(sent.token)
        assert family
        if sent.outcome:
            self._note_answer(family.name, sent)
        elif sent.provider.rotates and not sent.is_late:
            lease = parse_lease(self.notes(family.name).get(LEASE))
            assert lease, "a single-use token was sent without a lease"
            assert lease.holder, "a single-use token was sent without a lease"
            assert lease.until - self.clock() >= 2 * SETTINGS.http_timeout + 2
            before = [s.outcome for holder, s in self.sent if (holder, s.token) == (lease.holder, sent.token)]
            assert before in ([], ["UnknownOutcome"]), "one token was spent twice under one lease"

    def _note_answer(self, name: str, sent: Sent) -> None:
        lease = parse_lease(self.notes(name).get(LEASE))
        self.sent.append((lease.holder if lease else "", sent))
        if self.server.mode == "lost_after":
            self.excused_losses.add(name)

    def hear(self, event: Event) -> None:
        """Contract 5 and 8: nothing is said twice, and no owner is asked before a second refusal confirms the first."""
        is_repeated = event.id in {e.id for e in self.events}
        assert self.may_repeat or not is_repeated, f"{event.type} of {event.subject} was published twice"
        if event.type == INVALID_GRANT and event.data["reason"] != "never_consented" and not self.is_racing:
            self._check_confirmed(event)
        self.events.append(event)

    def _check_confirmed(self, event: Event) -> None:
        """An incident that is over, and could not be told before, is told together with its end."""
        mine = self.status(event.subject)
        assert mine
        is_confirmed = mine.since - mine.refused_at >= SETTINGS.confirm_after
        is_over = mine.state != NEEDS_CONSENT and self._was_refreshed(event.subject)
        assert is_confirmed or is_over, "an owner was asked after one bad moment"

    def _was_refreshed(self, name: str) -> bool:
        """Tell whether the last answer of the provider was an access token."""
        mine = [s for _, s in self.sent if (family := self.server.family(s.token)) and family.name == name]
        return mine[-1].outcome == "Refreshed"

    def note_crash(self) -> None:
        """Between the provider's commit and our durable write the only copy is in the dying process."""
        for name in NAMES:
            family = self.server.family(self.tokens[name])
            assert family
            if family.tokens[-1] not in self.stored(name):
                self.excused_losses.add(name)

    @invariant()
    def no_living_grant_is_lost(self) -> None:
        for name in NAMES:
            family = self.server.family(self.tokens[name])
            assert family
            if family.revoked_by_owner or name in self.excused_losses:
                continue
            assert family.alive, f"the grant of {name} was destroyed by us"
            here = {i.unsaved.get(name) for i in self.instances}
            assert family.tokens[-1] in self.stored(name) | here, f"the grant of {name} was lost by us"

    @invariant()
    def owners_are_asked_only_for_what_the_server_has_called_dead_twice(self) -> None:
        for name in NAMES:
            status = self.status(name)
            if status and status.state == NEEDS_CONSENT:
                token = self.seed.cloud.secrets[f"{name}-refresh-token"].versions[status.version - 1].payload.decode()
                assert self.server.deaths_told.get(token, 0) >= 2

    def teardown(self) -> None:
        """Everything works again: within two days all is well, and everybody has been told."""
        self.server.mode, self.cloud.stale, self.topic_is_down = "ok", {}, False
        for seconds in (1, 130, 130, 3700, 61, 3700, DAY + 1, 130, DAY + 1, 130, 1):
            self.clock.advance(seconds)
            self.run(0, force=False, clean=False, names=None)
        for name in NAMES:
            family = self.server.family(self.tokens[name])
            assert family
            if family.alive and family.tokens[-1] in self.stored(name):
                self._check_health(name)
            else:
                status = self.status(name)
                assert status, name
                assert status.state == NEEDS_CONSENT, status
                assert self._is_incident_open(name), f"the owner of {name} was never told"
        if all(self.status(name) is None for name in NAMES):
            for provider in PROVIDERS:
                self._check_client(f"oauth-client-{provider.name}")

    def _check_health(self, name: str) -> None:
        assert self.status(name) is None, f"{name} is well and says {self.status(name)}"
        lease = parse_lease(self.notes(name).get(LEASE))
        assert not (lease and lease.holder), f"the lease of {name} was not released"
        facts = self.instances[0].runner.visitor.memory.reread(
            next(c for c in self.instances[0].runner.directory.list() if c.name == name)
        )
        assert facts
        assert facts.is_valid(self.clock())
        assert not self._is_incident_open(name), f"nobody heard that {name} has recovered"

    def _check_client(self, client: str) -> None:
        """Each incident of a client has had its one recovery."""
        mine = [e for e in self.events if e.subject == client]
        ended = {e.id for e in mine if e.type == RECOVERED}
        assert ended == {recovered_id(e.id) for e in mine if e.type != RECOVERED}

    def _is_incident_open(self, subject: str) -> bool:
        is_open, heard = False, set[str]()
        for event in self.events:
            if event.subject != subject or event.id in heard or event.type == CONSENT_OVERDUE:
                continue
            heard.add(event.id)
            assert event.type != RECOVERED or is_open, f"{subject} has recovered from nothing"
            is_open = event.type != RECOVERED
        return is_open

    def notes(self, name: str) -> dict[str, str]:
        return self.seed.annotations(f"{name}-refresh-token")

    def stored(self, name: str) -> set[str]:
        return {payload.decode() for payload in self.seed.payloads(f"{name}-refresh-token").values()}

    def status(self, name: str) -> Status | None:
        return parse_status(self.notes(name).get(STATUS))


TestTokenRefresh = TokenRefresh.TestCase
TestTokenRefresh.settings = settings(
    max_examples=int(os.environ.get("STATEFUL_EXAMPLES", "300")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
