"""One run: list the connections, decide for each what to do now, do it, and tell the world what changed.

Two passes, because a verdict may depend on its neighbours: first every exchange, then, knowing how many grants of one
client died at once, the verdicts.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from token_refresh.core.connection import SUFFIX, Connection, is_secret_id, parse_connection
from token_refresh.core.trigger import Trigger
from token_refresh.errors import SecretMissing, StoreUnavailable, UnknownConnection
from token_refresh.ports import SecretStore
from token_refresh.run.report import Report
from token_refresh.run.verdicts import Verdicts
from token_refresh.run.visit import Worker
from token_refresh.settings import Settings

log = logging.getLogger("token_refresh")


@dataclass(frozen=True, slots=True)
class Runner:
    """Carry out runs. One for the instance's life; safe for threads."""

    store: SecretStore
    worker: Worker
    verdicts: Verdicts
    settings: Settings
    clock: Callable[[], float]
    clean: Callable[[Sequence[Connection]], int]

    def run(self, trigger: Trigger) -> Report:
        """Carry out a run.

        Raises `UnknownConnection` (nothing was run) and `StoreUnavailable` (the secrets cannot be listed, or every
        connection failed at Secret Manager: the caller should try again).
        """
        report = Report(uuid.uuid4().hex, is_whole=trigger.connections is None)
        began = self.clock()
        listed = self._list()
        chosen = self._choose(listed, trigger)
        if trigger.force:
            self.worker.known.forget_clients({c.client_secret_id for c in chosen})
        with ThreadPoolExecutor(max_workers=max(1, int(self.settings.refresh_workers))) as pool:
            report.works = list(pool.map(lambda c: self.worker.work(c, trigger), chosen))
            if not trigger.dry_run:
                self.verdicts.conclude(report.works, listed, pool)
        if trigger.clean and not trigger.dry_run:
            report.destroyed = self.clean([w.connection for w in report.works])  # as the run has left them
        report.log(began, self.clock())
        awake = [w for w in report.works if not w.connection.paused]
        if awake and all(w.reason == "secret_manager" for w in awake):
            raise StoreUnavailable("every connection failed at Secret Manager: try again")
        return report

    def _list(self) -> list[Connection]:
        connections = [c for r in self.store.list_connections() if (c := parse_connection(r))]
        return _mark_twins(connections)

    def _choose(self, listed: Sequence[Connection], trigger: Trigger) -> list[Connection]:
        if trigger.connections is None:
            return sorted(listed, key=lambda c: c.name)
        by_name: dict[str, list[Connection]] = defaultdict(list)
        for connection in listed:
            by_name[connection.name].append(connection)
        unknown = []
        for name in trigger.connections:
            if name not in by_name:
                found = self._find(name)
                if found:
                    by_name[name].append(found)
                else:
                    unknown.append(name)
        if unknown and not trigger.only_known:
            raise UnknownConnection("no such connection: " + ", ".join(n[:255] for n in unknown))
        for name in unknown:
            log.info("ignored: %s is no connection", name[:255])
        chosen = [c for name in trigger.connections for c in by_name[name]]
        return [c for c in chosen if trigger.secret_id in (None, c.secret_id)]

    def _find(self, name: str) -> Connection | None:
        """Look at the secret itself: lists are eventually consistent, and a new connection may not be on them."""
        for secret_id in (name + SUFFIX, name):
            if not is_secret_id(secret_id):
                continue
            try:
                connection = parse_connection(self.store.get(secret_id))
            except SecretMissing:
                continue
            if connection and connection.name == name:
                return connection
        return None


def _mark_twins(connections: list[Connection]) -> list[Connection]:
    """Two secrets that yield one name: neither is the connection."""
    names = Counter(c.name for c in connections)
    secrets = {n: sorted(c.secret_id for c in connections if c.name == n) for n, k in names.items() if k > 1}
    return [
        replace(c, problem=f"secrets {' and '.join(secrets[c.name])} both declare this connection: rename one")
        if c.name in secrets
        else c
        for c in connections
    ]
