"""What must hold: the invariants of contract 5, 7 and 8, checked against true books as a schedule goes on and ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.explorer.ledger import ACCESS, BESIDE, DIED, LATE, LOST, MARGIN, OUT, Ledger, Sent, short
from tests.fakes.simulated_server import Family
from tests.worlds.incidents import open_incidents
from token_refresh.core.connection import LEASE, STATUS, SUFFIX, SecretRecord
from token_refresh.core.incident.events import Event, EventType
from token_refresh.core.provider.definition import Provider
from token_refresh.core.status import parse_lease, parse_status
from token_refresh.core.token_endpoint.outcome import Refreshed, TokenOutcome, UnknownOutcome

if TYPE_CHECKING:
    from tests.explorer.instance import Member
    from tests.explorer.scheduler import Life


class Books(Ledger):
    """True books of one schedule."""

    # -- what happens --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._sent.clear()
        self.diary.clear()

    def note_consent(self, name: str, token: str, version: int) -> None:
        self._grants.setdefault(name, []).append((version, token))
        self.stage.note(f"version {version} of {name} holds {short(token)}, a grant of its own")

    def note_run(self, member: str) -> None:
        documents = {name: self._document(name) for name in self._grants}
        self._valid_until[member] = {name: d["expires_at"] for name, d in documents.items() if d}

    def note_report(self, member: Member, report: Any) -> None:
        rows = ", ".join(f"{w['name']} {w['outcome']} ({w['reason']})" for w in report.document()["connections"])
        self.stage.note(f"{member.name}'s run ends: {rows}")

    def note_end_of_run(self, member: Member) -> None:
        self._called_at[member.life] = self.stage.clock()

    def note_read(self, member: Member, secret_id: str, payload: bytes | None) -> None:
        self._count += 1
        if secret_id.endswith(SUFFIX):
            self._looked[member.life, secret_id.removesuffix(SUFFIX)] = self._count
        elif secret_id.endswith(ACCESS) and payload:
            self._note_document(member, secret_id, payload)

    def note_annotated(self, member: Member, record: SecretRecord) -> None:
        lease, status = parse_lease(record.annotations.get(LEASE)), parse_status(record.annotations.get(STATUS))
        if lease and lease.holder:
            self._holders.setdefault(lease.holder, member.life)
        if status and status.owed:
            left = self._valid_until.get(member.name, {}).get(record.secret_id.removesuffix(SUFFIX), 0)
            self._decided.setdefault(status.event_id, left - self.stage.clock())

    def note_sent(self, member: Member, token: str, provider: Provider) -> Sent:
        family = self.stage.server.family(token)
        assert family
        name = family.name.partition(",")[0]
        sent = Sent(member.life, token, name, self._holder(name), member.store.strikes.is_late)
        sent.is_excused = sent.is_late and not self._holds_lease(member.life, name)
        if provider.rotates:
            self._judge_sending(sent, family)
            if not sent.is_excused and not self._is_named(name, token):
                self.blame(f"{member.life.name} sent a token that its lease does not name")
        self._judge_version(sent)
        self._sent.append(sent)
        return sent

    def note_answered(self, sent: Sent, outcome: TokenOutcome, *, is_lost: bool) -> None:
        sent.outcome = outcome
        family = self._family(sent.token)
        reason = getattr(outcome, "reason", "")
        self.stage.note(
            f"{sent.life.name} sends {short(sent.token)}: {type(outcome).__name__} {reason} "
            f"(the provider: {'alive' if family.alive else 'dead'}, newest {short(family.tokens[-1])})"
        )
        if family.tokens[-1] != sent.token:
            sent.committed = family.tokens[-1]
        sent.is_lost = is_lost
        is_lost = is_lost or isinstance(outcome, UnknownOutcome)
        if is_lost and sent.committed and not self._is_known(sent.committed):
            self.excused[sent.name] = LOST

    def note_delivered(self, sent: Sent) -> None:
        sent.delivered = True
        # Frozen past its lease while the reply was on its way: who has taken over could not know.
        sent.is_excused = sent.is_excused or not self._holds_lease(sent.life, sent.name)
        if isinstance(sent.outcome, Refreshed) and sent.outcome.refresh_token is not None:
            token = sent.outcome.refresh_token.reveal()
            self._memory.setdefault(token, set()).add(sent.life)
            family = self._family(token)
            if family.alive and family is self.wanted(sent.name):
                self.excused.pop(sent.name, None)

    def note_added(self, member: Member, secret_id: str, number: int, payload: bytes) -> None:
        if secret_id.endswith(SUFFIX):
            text = payload.decode()
            name = secret_id.removesuffix(SUFFIX)
            self.stage.note(f"{member.name} stores {short(text)} as version {number} of {secret_id}")
            self._added[name, number] = member.life
            if member is self.stage.c:
                self._grants[name].append((number, text))
            elif member.store.strikes.is_late and not self._holds_lease(member.life, name):
                self._count += 1
                self._stored_late[text] = self._count
            return
        self._note_document(member, secret_id, payload)
        document = json.loads(payload)
        self.stage.note(f"{member.name} stores an access token of version {document['connection_version']}")
        if document["expires_at"] <= self.stage.clock() and not member.store.strikes.is_late:
            self.blame(f"{member.name} published an access token that had run out")

    def note_destroyed(self, member: Member, secret_id: str, version: int) -> None:
        self.stage.note(f"{member.name} destroys version {version} of {secret_id}")
        name = secret_id.removesuffix(SUFFIX)
        if version == len(self.stage.cloud.secrets[secret_id].versions):
            self.blame(f"{member.name} destroyed the newest version of {secret_id}")
        for number, token in self._grants.get(name, ()):
            is_newest = number == max(n for n, _ in self._grants[name])
            if secret_id.endswith(SUFFIX) and number == version and is_newest:
                copies = [v.payload.decode() for v in self._versions(name)[number:] if v.state != "DESTROYED"]
                if not any(s.token == token for s in self._sent) and token not in copies and number > 1:
                    self.blame(f"{member.name} destroyed version {number} of {name}, which somebody else had added")

    def note_event(self, member: Member, event: Event) -> None:
        self.stage.note(f"{member.name} publishes {event.type} for {event.subject} ({event.data.get('reason', '')})")
        self.events.append(event)
        self._tellers.setdefault(event.id, set()).add(member.life)
        name = event.subject
        if event.type == EventType.REFRESH_FAILING and not self._must_be_told(event):
            left = self._valid_until.get(member.name, {}).get(name, 0) - self.stage.clock()
            left = self._decided.get(event.id, left)
            if left > MARGIN / 2 and ("access", name + ACCESS) not in self.stage.denied:
                self.blame(f"{member.name} raised an alarm over {name}, whose access token was valid for {left:.0f} s")
        if event.type != EventType.INVALID_GRANT or event.data.get("reason") == "never_consented":
            return
        if name not in self._grants:
            return
        version = int(str(event.data.get("version", 0)))
        payloads = self._versions(name)
        if not 0 < version <= len(payloads):
            return
        family = self._family(payloads[version - 1].payload.decode())
        if family.alive and self._is_known(family.tokens[-1]):
            self.blame(f"the owner of {name} was asked for a grant that lives")

    def note_death(self, life: Life) -> None:
        """Between the provider's commit and our durable write the only copy is in the dying process."""
        self.stage.note(f"*** {life.name} dies")
        for sent in self._sent:
            token = self._family(sent.token).tokens[-1]
            others = self._memory.get(token, set()) - {life}
            is_here = sent.life is life and sent.committed == token
            if is_here and not others and not self._is_stored(sent.name, token):
                self.excused[sent.name] = DIED
        for holders in self._memory.values():
            holders.discard(life)
        notes = [self._notes(name).get(STATUS, "") for name in self._grants]
        for event_id, lives in self._tellers.items():
            if lives == {life} and not any(event_id in text for text in notes):
                self.forgotten.add(event_id)
            lives.discard(life)
        self.note_beside(life)

    def note_beside(self, life: Life) -> None:
        """Who takes over now cannot tell a person's grant from the token that was stored above it."""
        for name, grants in self._grants.items():
            versions, (given, _) = self._versions(name), max(grants)
            is_kept = versions[given - 1].state == "ENABLED"
            is_below = given == len(versions) - 1 and self._added.get((name, len(versions))) is life
            if is_kept and is_below and versions[-1].payload.decode() not in self.wanted(name).tokens:
                self.excused[name] = BESIDE

    def tokens_of(self, life: Life) -> set[str]:
        """Return the refresh tokens that an instance was told."""
        return {token for token, lives in self._memory.items() if life in lives}

    def note_termination(self, life: Life, at_hand: set[str]) -> None:
        """What an instance had when SIGTERM came is stored when it ends, unless another one has the lease."""
        for token in at_hand:
            family = self._family(token)
            name = family.name.partition(",")[0]
            lease = parse_lease(self._notes(name).get(LEASE))
            is_wanted = family.alive and token == family.tokens[-1] and family is self.wanted(name)
            is_wanted = is_wanted and name not in self.disabled
            is_held = lease is not None and lease.is_held(self.stage.clock())
            if is_wanted and not is_held and not self._is_known(token):
                self.blame(f"{life.name} ended with the only copy of a grant of {name}, which it could have stored")

    # -- what must hold at once ----------------------------------------------------------------------------------------

    def _judge_sending(self, sent: Sent, family: Family) -> None:
        who = sent.life.name
        if sent.is_excused:
            self.excused.setdefault(sent.name, LATE)
            return
        if not self._holds_lease(sent.life, sent.name):
            self.blame(f"{who} sent a single-use token without a lease that holds")
        before = [s for s in self._sent if s.token == sent.token]
        mine = [s for s in before if s.holder == sent.holder and s.life is sent.life]
        if mine and (len(mine) > 1 or not isinstance(mine[0].outcome, UnknownOutcome)):
            self.blame(f"{who} sent one token twice under one lease")
        newer = family.tokens[family.tokens.index(sent.token) + 1 :]
        stored = [t for t in newer if self._is_stored(sent.name, t)]
        looked = self._looked.get((sent.life, sent.name), 0)
        if stored and all(self._stored_late.get(t, 0) > looked for t in stored):
            self.excused.setdefault(sent.name, LATE)
        elif stored:
            self.blame(f"{who} sent a token whose successor was stored")
        elif newer and not mine:
            # It has been rotated already, and its successor is nowhere but in a memory or on its way there.
            knowing = {life for t in newer for life in self._memory.get(t, ())}
            knowing |= {s.life for s in before if not s.delivered and not s.is_lost and s.committed}
            alive = {life for life in knowing if not life.dead}
            out = self.stage.scheduler.out() if self.stage.scheduler else set()
            out |= {life for life in alive if self._is_neglected(life)}
            if any(s.is_excused and s.committed for s in before):
                out |= alive
            if alive - out:
                names = " and ".join(sorted(life.name for life in alive - out))
                self.blame(f"{who} sent a token whose successor is in the memory of {names}")
            elif alive:
                self.excused.setdefault(sent.name, OUT)

    def _judge_version(self, sent: Sent) -> None:
        if sent.is_late:
            return
        versions = [n for n, v in enumerate(self._versions(sent.name), 1) if v.payload.decode() == sent.token]
        floor = self._floor.get((sent.life, sent.name), 0)
        if versions and max(versions) < floor and self._versions(sent.name)[floor - 1].state == "ENABLED":
            self.blame(f"{sent.life.name} sent version {max(versions)} although the access token is of version {floor}")

    def _note_document(self, member: Member, secret_id: str, payload: bytes) -> None:
        self._floor[member.life, secret_id.removesuffix(ACCESS)] = int(json.loads(payload)["connection_version"])

    # -- what must hold in the end -------------------------------------------------------------------------------------

    def judge(self) -> Sequence[str]:
        """Judge how it ended, after the quiet day."""
        for name in self._grants:
            self._judge_connection(name)
        return self.faults

    def _judge_connection(self, name: str) -> None:
        family = self.wanted(name)
        newest = self._versions(name)[-1].payload.decode()
        told = [e for e in self.events if e.subject == name and e.type == EventType.INVALID_GRANT]
        of_this = {e.id for e in told if self._is_of(e, name, family)}
        if family.alive and newest == family.tokens[-1]:
            if name not in self.disabled:
                self._judge_health(name)
            return
        if self.excused.get(name) == BESIDE and family.alive and not self._is_known(family.tokens[-1]):
            self.blame(f"the grant of {name} that a person has added was thrown away, and nobody knew whose it was")
        if not family.revoked_by_owner and name not in self.excused:
            where = "is not the newest version" if self._is_stored(name, family.tokens[-1]) else "is stored nowhere"
            self.blame(
                f"the grant of {name} lives at the provider and {where}"
                if family.alive
                else f"the grant of {name} was killed by us"
            )
        if name in self.disabled or family.alive:
            return
        if len(of_this) != 1:
            self.blame(f"the dead grant of {name} was reported {len(of_this)} times")
        elif self.excused.get(name) in (LOST, DIED):
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
        is_open, faults = open_incidents(self.events, name)
        for fault in faults:
            self.blame(fault)
        if is_open := is_open - self.forgotten:
            self.blame(f"nobody heard that {name} has recovered from {' and '.join(sorted(is_open))}")
