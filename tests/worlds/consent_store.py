"""The store and the topics of the consent tests: one connection, and a journal of what was written and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.fakes.faults import Faults
from tests.fakes.instance import FakePublisher
from tests.fakes.store import Cloud, FakeStore
from token_refresh.core.connection import LABEL, LABEL_PROVIDER, PREFIX, SecretRecord
from token_refresh.core.incident.events import Event
from token_refresh.errors import PublishError

NAME = "gmail-alice"
SECRET = f"{NAME}-refresh-token"


class Secrets(FakeStore):
    """Secret Manager with the few words that these tests need; `journal` has the writes and events in order."""

    def __init__(self, clock: Callable[[], float], cloud: Cloud | None = None, faults: Faults | None = None) -> None:
        super().__init__(clock, cloud, faults)
        self.journal: list[tuple[str, str]] = []
        self.before_annotate: list[Callable[[], None]] = []

    def declare(self, secret_id: str, payload: bytes | str | None = None, state: str = "enabled", **notes: str) -> None:
        """Declare a connection at `acme`; `notes` are its annotations."""
        labels = {LABEL: state, LABEL_PROVIDER: "acme"}
        self.create(secret_id, payload, labels=labels, annotations={PREFIX + k: v for k, v in notes.items()})

    def note(self, name: str, value: str | None) -> None:
        """Write an annotation of the connection as somebody else would."""
        self.set_annotations(SECRET, {PREFIX + name: value})

    def annotation(self, name: str) -> str | None:
        return self.annotations(SECRET).get(PREFIX + name)

    def newest(self) -> int:
        return len(self.cloud.secrets[SECRET].versions)

    def put_label(self, state: str) -> None:
        """Enable or pause the connection."""
        record = self.cloud.secrets[SECRET].record
        self.cloud.write(replace(record, labels={**record.labels, LABEL: state}))

    def forget_versions(self) -> None:
        self.cloud.secrets[SECRET].versions.clear()

    def set_payload(self, payload: bytes | str) -> None:
        """Replace the only version's payload."""
        self.forget_versions()
        self.put(SECRET, payload)

    @property
    def down(self) -> bool:
        return any(fault.operation == "*" for fault in self.faults.active)

    @down.setter
    def down(self, down: bool) -> None:
        self.faults.active.clear()
        if down:
            self.faults.fail("*", times=10**6)

    def add(self, secret_id: str, payload: bytes) -> int:
        number = super().add(secret_id, payload)
        self.journal.append(("add", secret_id))
        return number

    def annotate(self, record: SecretRecord, changes: Mapping[str, str | None]) -> SecretRecord:
        if self.before_annotate:
            self.before_annotate.pop(0)()
        written = super().annotate(record, changes)
        self.journal.append(("annotate", record.secret_id))
        return written


class Topics(FakePublisher):
    """The topics; `journal` is the store's."""

    def __init__(self, journal: list[tuple[str, str]], faults: Faults | None = None) -> None:
        super().__init__(faults)
        self._journal = journal
        self.refresh_topic_down = False

    def request_refresh(self, message: Mapping[str, object]) -> None:
        if self.refresh_topic_down:
            raise PublishError("cannot publish: the refresh topic is down")
        super().request_refresh(message)

    def publish(self, event: Event) -> None:
        super().publish(event)
        self._journal.append(("publish", event.type))
