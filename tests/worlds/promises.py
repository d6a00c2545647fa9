"""What must hold whatever happens in whatever order (contract 5 and 7): two instances, and a server with true books."""

from __future__ import annotations

from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.fakes.instance import FakeStore, FrozenClock
from tests.fakes.simulated_instance import PROVIDERS, SETTINGS, Instance
from tests.fakes.simulated_server import Sent, SimulatedServer
from tests.worlds.incidents import open_incidents
from token_refresh.core.connection import LEASE, STATUS
from token_refresh.core.incident.events import Event, EventType
from token_refresh.core.incident.incident import recovered_id
from token_refresh.core.status import Lease, State, Status, parse_lease, parse_status
from token_refresh.core.trigger import Trigger
from token_refresh.core.units import DAY

# Many of one client, so that the breaker has something to do; one of each other kind.
CONNECTIONS = {
    **{f"strict-{n}": "strict" for n in range(4)},
    "lenient-text": "lenient",
    "plain": "google",
}
NAMES = tuple(CONNECTIONS)


class Promises(RuleBasedStateMachine):
    """The world of the random walks, and what is promised of it; the walks themselves are the tests'."""

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
        self.excused_ends: set[str] = set()  # incidents that nobody alive knows of
        self.may_repeat = False  # a crash, a lost answer or a race: the same event may come again
        self.is_racing = False
        self.broken: list[str] = []  # promises that were broken within a call, where the product catches everything
        self.tokens: dict[str, str] = {}  # of each owner's last consent
        for name, provider in CONNECTIONS.items():
            self.tokens[name] = self.server.consent(name)
            notes = {"token-refresh.format": "text"} if name.endswith("text") else {}
            self.seed.create_connection(name, self.tokens[name], provider=provider, annotations=notes)
        self.clock.advance(DAY)  # by now everybody has heard of them
        self.instances = [Instance(self), Instance(self)]

    # -- what must hold ------------------------------------------------------------------------------------------------

    def watch(self, sent: Sent) -> None:
        """Contract 7: a single-use token is sent under a lease with time left, and once unless the answer was lost."""
        family = self.server.family(sent.token)
        assert family
        if sent.outcome:
            self._note_answer(family.name, sent)
        elif sent.provider.rotates and not sent.is_late:
            lease = parse_lease(self.notes(family.name).get(LEASE)) or Lease()
            before = [s.outcome for holder, s in self.sent if (holder, s.token) == (lease.holder, sent.token)]
            least = SETTINGS.http_timeout + 1 if before else 2 * SETTINGS.http_timeout + 2
            self.require(bool(lease.holder), "a single-use token was sent without a lease")
            self.require(lease.until - self.clock() >= least, "a single-use token was sent under a lease that ends")
            self.require(before in ([], ["UnknownOutcome"]), "one token was spent twice under one lease")

    def require(self, holds: bool, words: str) -> None:  # noqa: FBT001
        if not holds:
            self.broken.append(words)

    def _note_answer(self, name: str, sent: Sent) -> None:
        lease = parse_lease(self.notes(name).get(LEASE))
        self.sent.append((lease.holder if lease else "", sent))
        if self.server.mode == "lost_after":
            self.excused_losses.add(name)

    def hear(self, event: Event) -> None:
        """Contract 5 and 8: nothing is said twice, and no owner is asked before a second refusal confirms the first."""
        is_repeated = event.id in {e.id for e in self.events}
        self.require(self.may_repeat or not is_repeated, f"{event.type} of {event.subject} was published twice")
        if event.type == EventType.INVALID_GRANT and event.data["reason"] != "never_consented" and not self.is_racing:
            self._check_confirmed(event)
        self.events.append(event)

    def _check_confirmed(self, event: Event) -> None:
        """An incident that is over, and could not be told before, is told together with its end."""
        mine = self.status(event.subject)
        if mine is None or event.id not in mine.owed:  # its state could not be written
            self.require(self._was_refused_twice(event), "an owner was asked after one bad moment, from memory")
            return
        is_confirmed = mine.since - mine.refused_at >= SETTINGS.confirm_after
        is_over = mine.state != State.NEEDS_CONSENT and self._was_refreshed(event.subject)
        self.require(is_confirmed or is_over, "an owner was asked after one bad moment")

    def _was_refused_twice(self, event: Event) -> bool:
        """Tell whether the provider has called the grant dead twice, and long enough after another."""
        token = self._payload(event.subject, int(str(event.data["version"])))
        refused = [s.at for _, s in self.sent if s.token == token and s.outcome == "GrantDead"]
        return max(refused, default=0) - min(refused, default=0) >= SETTINGS.confirm_after

    def _was_refreshed(self, name: str) -> bool:
        """Tell whether the last answer of the provider was an access token."""
        mine = [s for _, s in self.sent if (family := self.server.family(s.token)) and family.name == name]
        return mine[-1].outcome == "Refreshed"

    def note_crash(self, dead: Instance) -> None:
        """Between the provider's commit and our durable write the only copy is in the dying process."""
        for name in NAMES:
            family = self.server.family(self.tokens[name])
            assert family
            if family.tokens[-1] not in self.stored(name):
                self.excused_losses.add(name)
        self.note_end(dead)

    def note_end(self, dead: Instance) -> None:
        """What an instance has told of a state that could not be written dies with it, unless another one told it."""
        notes = [text for name in NAMES if (text := self.notes(name).get(STATUS))]
        others = {e.id for i in self.instances if i is not dead for e in i.publisher.events}
        told = {e.id for e in dead.publisher.events} - others
        self.excused_ends |= {i for i in told if not any(i in text for text in notes)}

    @invariant()
    def nothing_was_broken_within_a_call(self) -> None:
        assert not self.broken

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
            if status and status.state == State.NEEDS_CONSENT:
                assert self.server.deaths_told.get(self._payload(name, status.version), 0) >= 2

    def teardown(self) -> None:
        """Everything works again: within two days all is well, and everybody has been told."""
        self.server.mode, self.cloud.stale, self.topic_is_down = "ok", {}, False
        for seconds in (1, 130, 130, 3700, 61, 3700, DAY + 1, 130, DAY + 1, 130, 1):
            self.clock.advance(seconds)
            for instance in self.instances:
                instance.faults.active.clear()
                instance.faults.interruption = None
                instance.run(Trigger())
        for name in NAMES:
            family = self.server.family(self.tokens[name])
            assert family
            if family.alive and family.tokens[-1] in self.stored(name):
                self._check_health(name)
            else:
                status = self.status(name)
                assert status, name
                assert status.state == State.NEEDS_CONSENT, status
                assert self._open_incidents(name), f"the owner of {name} was never told"
        if all(self.status(name) is None for name in NAMES):
            for provider in PROVIDERS:
                self._check_client(f"oauth-client-{provider.name}")

    def _check_health(self, name: str) -> None:
        assert self.status(name) is None, f"{name} is well and says {self.status(name)}"
        lease = parse_lease(self.notes(name).get(LEASE))
        assert not (lease and lease.holder), f"the lease of {name} was not released"
        for instance in self.instances:
            found = next(c for c in instance.runner.directory.list() if c.name == name)
            facts = instance.runner.visitor.memory.reread(found)
            assert facts
            assert facts.is_valid(self.clock())
        assert not self._open_incidents(name) - self.excused_ends, f"nobody heard that {name} has recovered"

    def _check_client(self, client: str) -> None:
        """Each incident of a client has had its one recovery."""
        mine = [e for e in self.events if e.subject == client]
        ended = {e.id for e in mine if e.type == EventType.RECOVERED}
        told = {e.id for e in mine if e.type != EventType.RECOVERED}
        assert ended | set(map(recovered_id, told & self.excused_ends)) == set(map(recovered_id, told))

    def _open_incidents(self, subject: str) -> set[str]:
        is_open, faults = open_incidents(self.events, subject)
        assert not faults
        return is_open

    def notes(self, name: str) -> dict[str, str]:
        return self.seed.annotations(f"{name}-refresh-token")

    def stored(self, name: str) -> set[str]:
        return {payload.decode() for payload in self.seed.payloads(f"{name}-refresh-token").values()}

    def _payload(self, name: str, version: int) -> str:
        return self.cloud.secrets[f"{name}-refresh-token"].versions[version - 1].payload.decode()

    def status(self, name: str) -> Status | None:
        return parse_status(self.notes(name).get(STATUS))
