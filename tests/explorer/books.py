"""What really happened, and what must never have: the invariants of contract 5, 7 and 8, checked against true books."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.simulated_server import Family
from token_refresh.core.connection import LEASE, STATUS, SUFFIX
from token_refresh.core.incident.events import CONSENT_OVERDUE, INVALID_GRANT, RECOVERED, Event
from token_refresh.core.provider.definition import Provider
from token_refresh.core.status import parse_lease, parse_status
from token_refresh.core.token_endpoint.outcome import Refreshed, TokenOutcome, UnknownOutcome

if TYPE_CHECKING:
    from tests.explorer.scheduler import Actor
    from tests.explorer.stage import Member, Stage

ACCESS = "-access-token"


@dataclass(eq=False, slots=True)
class Sent:
    """One exchange: who sent what under which lease, and what became of it."""

    member: Member
    token: str
    name: str
    holder: str
    committed: str = ""  # the refresh token that the provider issued for it, if any
    outcome: TokenOutcome | None = None
    delivered: bool = False


@dataclass(eq=False)
class Books:
    """True books of one schedule. `faults` tells what was violated, in the order of discovery."""

    stage: Stage
    faults: list[str] = field(default_factory=list)
    diary: list[tuple[float, str]] = field(default_factory=list)
    disabled: set[str] = field(default_factory=set)
    excused: dict[str, str] = field(default_factory=dict)  # by connection: why its grant could not be kept
    events: list[Event] = field(default_factory=list)
    _grants: dict[str, list[tuple[int, str]]] = field(default_factory=dict)  # by connection: version, first token
    _sent: list[Sent] = field(default_factory=list)
    _memory: dict[str, set[Member]] = field(default_factory=dict)  # by refresh token: who has been told it
    _floor: dict[str, dict[str, int]] = field(default_factory=dict)  # by instance: `connection_version` at its begin
    _frozen: set[str] = field(default_factory=set)

    # -- what happens --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._sent.clear()
        self.diary.clear()

    def blame(self, words: str) -> None:
        if words not in self.faults:
            self.faults.append(words)
            self.stage.note(f"!!! {words}")

    def note_consent(self, name: str, token: str, version: int) -> None:
        self._grants.setdefault(name, []).append((version, token))
        self.stage.note(f"version {version} of {name} holds {_short(token)}, a grant of its own")

    def note_run(self, member: str) -> None:
        self._floor[member] = {name: self._access_version(name) for name in self._grants}

    def note_report(self, member: str, report: Any) -> None:
        rows = ", ".join(f"{w['name']} {w['outcome']} ({w['reason']})" for w in report.document()["connections"])
        self.stage.note(f"{member}'s run ends: {rows}")

    def note_sent(self, member: Member, token: str, provider: Provider) -> Sent:
        family = self.stage.server.family(token)
        assert family
        name = family.name.partition(",")[0]
        sent = Sent(member, token, name, self._holder(name))
        if provider.rotates:
            self._judge_sending(sent, family)
        self._judge_version(sent)
        self._sent.append(sent)
        return sent

    def note_answered(self, sent: Sent, outcome: TokenOutcome) -> None:
        sent.outcome = outcome
        family = self._family(sent.token)
        reason = getattr(outcome, "reason", "")
        self.stage.note(
            f"{sent.member.name} sends {_short(sent.token)}: {type(outcome).__name__} {reason} "
            f"(the provider: {'alive' if family.alive else 'dead'}, newest {_short(family.tokens[-1])})"
        )
        if family.tokens[-1] != sent.token:
            sent.committed = family.tokens[-1]
        if isinstance(outcome, UnknownOutcome) and sent.committed and not self._is_known(sent.committed):
            self.excused[sent.name] = "the reply was lost"

    def note_delivered(self, sent: Sent) -> None:
        sent.delivered = True
        if isinstance(sent.outcome, Refreshed) and sent.outcome.refresh_token is not None:
            token = sent.outcome.refresh_token.reveal()
            self._memory.setdefault(token, set()).add(sent.member)
            if self._family(token).alive:
                self.excused.pop(sent.name, None)

    def note_added(self, member: Member, secret_id: str, number: int, payload: bytes) -> None:
        if secret_id.endswith(SUFFIX):
            text = payload.decode()
            self.stage.note(f"{member.name} stores {_short(text)} as version {number} of {secret_id}")
            return
        document = json.loads(payload)
        self.stage.note(f"{member.name} stores an access token of version {document['connection_version']}")
        if document["expires_at"] <= self.stage.clock():
            self.blame(f"{member.name} published an access token that had run out")

    def note_destroyed(self, member: Member, secret_id: str, version: int) -> None:
        self.stage.note(f"{member.name} destroys version {version} of {secret_id}")
        name = secret_id.removesuffix(SUFFIX)
        for number, token in self._grants.get(name, ()):
            is_newest = number == max(n for n, _ in self._grants[name])
            if secret_id.endswith(SUFFIX) and number == version and is_newest:
                copies = [v.payload.decode() for v in self._versions(name)[number:] if v.state != "DESTROYED"]
                if not any(s.token == token for s in self._sent) and token not in copies and number > 1:
                    self.blame(f"{member.name} destroyed version {number} of {name}, which somebody else had added")

    def note_event(self, member: Member, event: Event) -> None:
        self.stage.note(f"{member.name} publishes {event.type} for {event.subject} ({event.data.get('reason', '')})")
        self.events.append(event)
        name = event.subject
        if event.type != INVALID_GRANT or name not in self._grants or event.data.get("reason") == "never_consented":
            return
        version = int(str(event.data.get("version", 0)))
        payloads = self._versions(name)
        if not 0 < version <= len(payloads):
            return
        family = self._family(payloads[version - 1].payload.decode())
        if family.alive and self._is_known(family.tokens[-1]):
            self.blame(f"the owner of {name} was asked for a grant that lives")

    def note_death(self, member: Member) -> None:
        """Between the provider's commit and our durable write the only copy is in the dying process."""
        self.stage.note(f"*** {member.name} dies")
        for sent in self._sent:
            family = self._family(sent.token)
            token = family.tokens[-1]
            if sent.member is member and sent.committed == token and not self._is_stored(sent.name, token):
                if not (self._memory.get(token, set()) - {member}):
                    self.excused[sent.name] = f"{member.name} died with the only copy"
        for holders in self._memory.values():
            holders.discard(member)

    def note_frozen(self, actor: Actor) -> None:
        self._frozen.add(actor.host.name if actor.host else "")

    # -- what must hold at once ------------------------------------------------------------------------------------------

    def _judge_sending(self, sent: Sent, family: Family) -> None:
        lease = parse_lease(self._notes(sent.name).get(LEASE))
        now = self.stage.clock()
        if not lease or not lease.holder:
            self.blame(f"{sent.member.name} sent a single-use token without a lease")
        elif lease.until <= now:
            self.blame(f"{sent.member.name} sent a single-use token although the lease was over")
        mine = [s for s in self._sent if s.token == sent.token and s.holder == sent.holder]
        if mine and (len(mine) > 1 or not isinstance(mine[0].outcome, UnknownOutcome)):
            self.blame(f"{sent.member.name} sent one token twice under one lease")
        if sent.token == family.tokens[-1]:
            return
        # It has been rotated already.
        newer = family.tokens[family.tokens.index(sent.token) + 1 :]
        if any(self._is_stored(sent.name, t) for t in newer):
            self.blame(f"{sent.member.name} sent a token whose successor was stored")
            return
        before = [s for s in self._sent if s.token == sent.token]
        if any(s.member is sent.member and s.holder == sent.holder for s in before):
            return  # the one repetition, judged above
        holders = set().union(*(self._memory.get(t, set()) for t in newer))
        in_flight = {s.member for s in before if not s.delivered and not s.member.dead}
        gone = {m for m in holders | in_flight if m.dead or m.name in self._frozen}
        if holders | in_flight == gone:
            if newer and not self._is_known(newer[-1]):
                self.excused.setdefault(sent.name, "the only copy was in a frozen instance")
            if gone and any(not m.dead for m in gone):
                self.excused.setdefault(sent.name, "the only copy was in a frozen instance")
        else:
            names = " and ".join(sorted(m.name for m in (holders | in_flight) - gone))
            self.blame(f"{sent.member.name} sent a token whose successor is in the memory of {names}")

    def _judge_version(self, sent: Sent) -> None:
        versions = [n for n, v in enumerate(self._versions(sent.name), 1) if v.payload.decode() == sent.token]
        floor = self._floor.get(sent.member.name, {}).get(sent.name, 0)
        if versions and max(versions) < floor and self._versions(sent.name)[floor - 1].state == "ENABLED":
            self.blame(
                f"{sent.member.name} sent version {max(versions)} although the access token is of version {floor}"
            )

    # -- what must hold in the end ---------------------------------------------------------------------------------------

    def judge(self) -> Sequence[str]:
        """Judge how it ended, after the quiet day."""
        for name in self._grants:
            self._judge_connection(name)
        return self.faults

    def _judge_connection(self, name: str) -> None:
        family = self.wanted(name)
        newest = self._versions(name)[-1].payload.decode()
        told = [e for e in self.events if e.subject == name and e.type == INVALID_GRANT]
        of_this = {e.id for e in told if self._is_of(e, name, family)}
        if family.alive and newest == family.tokens[-1]:
            if name not in self.disabled:
                self._judge_health(name)
            return
        if not family.revoked_by_owner and name not in self.excused:
            where = "is not the newest version" if self._is_stored(name, family.tokens[-1]) else "is stored nowhere"
            self.blame(
                f"the grant of {name} lives at the provider and {where}"
                if family.alive
                else f"the grant of {name} was killed by us"
            )
        if name in self.disabled:
            return
        if len(of_this) != 1:
            self.blame(f"the dead grant of {name} was reported {len(of_this)} times")
        elif not family.revoked_by_owner and name in self.excused:
            reasons = {str(e.data["reason"]) for e in told if self._is_of(e, name, family)}
            if reasons != {"lost_rotation"}:
                self.blame(f"the loss of {name} was reported as {' and '.join(sorted(reasons))}")

    def _judge_health(self, name: str) -> None:
        notes = self._notes(name)
        status, lease = parse_status(notes.get(STATUS)), parse_lease(notes.get(LEASE))
        if status:
            self.blame(f"{name} is well and its status says {status.state} ({status.reason})")
        if lease and lease.holder:
            self.blame(f"the lease of {name} was never released")
        document = self._document(name)
        if not document or document["expires_at"] <= self.stage.clock():
            self.blame(f"{name} is well and has no valid access token")
        elif int(document["connection_version"]) != len(self._versions(name)):
            self.blame(f"the access token of {name} is not of the newest version")
        is_open, heard = False, set[str]()
        for event in self.events:
            if event.subject != name or event.id in heard or event.type == CONSENT_OVERDUE:
                continue
            heard.add(event.id)
            if event.type == RECOVERED and not is_open:
                self.blame(f"{name} has recovered from nothing")
            is_open = event.type != RECOVERED
        if is_open:
            self.blame(f"nobody heard that {name} has recovered")

    # -- looking things up -----------------------------------------------------------------------------------------------

    def names(self) -> Sequence[str]:
        return tuple(self._grants)

    def has_valid_token(self, name: str) -> bool:
        document = self._document(name)
        return document is not None and document["expires_at"] > self.stage.clock() + 600

    def newest_given(self, name: str) -> int:
        return max(self._grants[name])[0]

    def wanted(self, name: str) -> Family:
        """Return the grant that was given last."""
        return self._family(max(self._grants[name])[1])

    def _family(self, token: str) -> Family:
        family = self.stage.server.family(token)
        assert family
        return family

    def _is_of(self, event: Event, name: str, family: Family) -> bool:
        version = int(str(event.data.get("version", 0)))
        payloads = self._versions(name)
        return 0 < version <= len(payloads) and payloads[version - 1].payload.decode() in family.tokens

    def _versions(self, name: str) -> list[Any]:
        return list(self.stage.cloud.secrets[name + SUFFIX].versions)

    def _notes(self, name: str) -> dict[str, str]:
        return dict(self.stage.cloud.secrets[name + SUFFIX].record.annotations)

    def _holder(self, name: str) -> str:
        lease = parse_lease(self._notes(name).get(LEASE))
        return lease.holder if lease else ""

    def _is_stored(self, name: str, token: str) -> bool:
        return any(v.payload.decode() == token and v.state == "ENABLED" for v in self._versions(name))

    def _is_known(self, token: str) -> bool:
        """Tell whether we have the token: stored, or in the memory of an instance that lives."""
        name = self._family(token).name.partition(",")[0]
        return self._is_stored(name, token) or bool(self._memory.get(token))

    def _document(self, name: str) -> dict[str, Any] | None:
        versions = [v for v in self.stage.cloud.secrets[name + ACCESS].versions if v.state == "ENABLED"]
        document = json.loads(versions[-1].payload) if versions else None
        assert document is None or isinstance(document, dict)
        return document

    def _access_version(self, name: str) -> int:
        document = self._document(name)
        return int(document["connection_version"]) if document else 0


def _short(token: str) -> str:
    return token.removeprefix("CANARY-refresh-")
