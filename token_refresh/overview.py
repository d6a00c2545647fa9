"""Every connection and how it stands, for people to look at. Reads metadata and access-token documents, never a grant.

One view costs the calls of one list (two ListSecrets), and accesses of access-token documents; views that a page makes
by itself share one for `FRESH_SECONDS`. A view that a person asks for is made anew, up to once a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from token_refresh.connections.directory import Directory, is_suffixed
from token_refresh.core.connection import Connection, parse_connection
from token_refresh.core.overview.place import Place
from token_refresh.core.overview.row import Reading, Row, Rules, build_row
from token_refresh.core.provider.definition import Provider
from token_refresh.core.state.timing import margins
from token_refresh.errors import SecretMissing, StoreDenied, StoreError
from token_refresh.instance.readings import Readings
from token_refresh.ports import ConsentLinks, Publisher, SecretStore, VersionInfo, VersionState
from token_refresh.settings import Settings

FRESH_SECONDS: Final = 15.0
# Views that are made anew at once, before they are made once a second.
_BURST: Final = 20
_HISTORY: Final = 10
# With so many the list alone takes its time: better to show soon what it tells.
_MANY: Final = 1000
_SECONDS_FOR_MANY: Final = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """All connections as they were at `at`, epoch seconds."""

    at: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Versions:
    """The newest versions of one secret, newest first; `problem` says why they cannot be listed."""

    secret_id: str
    versions: tuple[VersionInfo, ...] = ()
    more: int = 0
    problem: str | None = None
    is_forbidden: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """The versions of a connection's secrets, and the end of its refresh token where the provider limits its life.

    `access_token` None: this function may read access tokens, but not list them (its own permission).
    """

    grant: Versions
    access_token: Versions | None
    grant_ends_at: float | None


@dataclass(eq=False)
class Overview:
    """Look at all connections, or at one; threads may share it.

    Every method raises `StoreUnavailable` where the secrets cannot be listed or read (`StoreDenied`: not allowed).
    """

    store: SecretStore
    publisher: Publisher
    providers: Mapping[str, Provider]
    links: ConsentLinks
    settings: Settings
    clock: Callable[[], float]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Begin with nothing seen."""
        self._directory = Directory(self.store)
        self.rules = Rules(self.settings.refresh_before_expiry, self.settings.run_every)
        self.place = Place(self.settings.project, self.settings.location)
        self._readings = Readings(self.store, max(1, int(self.settings.refresh_workers)), self.clock, self.monotonic)
        self._lock = threading.Lock()
        self._begun = 0
        self._last: tuple[int, View] | None = None
        self._listed: tuple[float, list[Connection]] | None = None
        self._allowance, self._allowed_at = float(_BURST), self.monotonic()

    def look(self, *, may_be_old: bool = False, seconds: float | None = None) -> View:
        """Return all connections.

        `may_be_old`: as they were up to `FRESH_SECONDS` ago. `seconds`: what could not be read within them is pending.
        """
        arrived = self._begun
        with self._lock:
            if self._last and self._is_good_enough(*self._last, arrived, may_be_old=may_be_old, seconds=seconds):
                return self._last[1]
            if self._last and not may_be_old:
                self._wait_for_room()
            self._begun += 1
            now, connections = self._list(anew=not may_be_old)
            if seconds is not None and len(connections) > _MANY:
                seconds = min(seconds, _SECONDS_FOR_MANY)
            readings = self._readings.read_all(connections, self._due_at, anew=not may_be_old, seconds=seconds)
            view = View(now, tuple(self._row(c, readings[c.secret_id]) for c in connections))
            self._last = (self._begun, view)
            return view

    def look_at(self, name: str) -> Row | None:
        """Return one connection as it is now, by one metadata read and one access; None when there is none."""
        found = self._find(name)
        if found is None:
            return None
        secret_id = found.connection.secret_id
        try:
            connection = parse_connection(self.store.get(secret_id))
        except SecretMissing:
            return None
        if connection is None:
            return None
        row = self._row(connection, self._readings.read(connection))
        with self._lock:
            if self._last:
                number, view = self._last
                rows = tuple(row if r.connection.secret_id == secret_id else r for r in view.rows)
                self._last = (number, View(view.at, rows))
        return row

    def history(self, name: str) -> History | None:
        """Return the versions of a connection's secrets, by two metadata reads; None where there is no connection."""
        row = self._find(name)
        if row is None:
            return None
        grant = self._versions(row.connection.secret_id)
        token = self._versions(row.connection.access_token_secret_id)
        return History(grant, None if token.is_forbidden else token, row.grant_ends_at or self._grant_end(row, grant))

    def consent_url(self, row: Row) -> str | None:
        """Return a fresh consent link; None when consent is not deployed."""
        return self.links.url(row.name, row.connection.consents)

    def request_refresh(self, name: str) -> bool:
        """Ask for a refresh of one connection; False when there is none of that name. Raises `PublishError`."""
        if self._find(name) is None:
            return False
        self.publisher.request_refresh({"connections": [name], "force": True})
        return True

    def _find(self, name: str) -> Row | None:
        """Return the connection's row: of two secrets that declare it, the one with the suffix is the connection."""
        found = [row for row in self._latest_rows(name) if row.name == name]
        return max(found, key=lambda row: is_suffixed(row.connection.record), default=None)

    def _latest_rows(self, name: str) -> tuple[Row, ...]:
        """Return what was seen last if it has that name in it, else what there is now."""
        last = self._last
        if last and any(row.name == name for row in last[1].rows):
            return last[1].rows
        return self.look(seconds=0).rows

    def _list(self, *, anew: bool) -> tuple[float, list[Connection]]:
        """Return the connections, and when they were listed."""
        if self._listed is None or anew or self.clock() - self._listed[0] > FRESH_SECONDS:
            now = self.clock()
            self._listed = (now, self._directory.list())
        return self._listed

    def _row(self, connection: Connection, reading: Reading) -> Row:
        return build_row(connection, reading, providers=self.providers, rules=self.rules, now=self.clock())

    def _due_at(self, connection: Connection, reading: Reading) -> float:
        provider, rules = self.providers.get(connection.provider), self.rules
        return margins(connection, provider, rules.refresh_before_expiry, reading.facts, rules.run_every).due_at

    def _is_good_enough(
        self, number: int, view: View, arrived: int, *, may_be_old: bool, seconds: float | None
    ) -> bool:
        is_whole = not any(row.reading.pending for row in view.rows)
        if not is_whole and (seconds is None or may_be_old):
            return False
        if number > arrived:
            return True  # made while this one waited for it
        return may_be_old and self.clock() - view.at <= FRESH_SECONDS

    def _wait_for_room(self) -> None:
        """Wait, a second at most, until a view may be made anew: the refresher needs the quota of metadata reads, too.

        An old view would be no answer: who has just declared a connection would be told that there is none. Those who
        ask meanwhile share the view that is made then.
        """
        now = self.monotonic()
        self._allowance = min(_BURST, self._allowance + now - self._allowed_at) - 1
        self._allowed_at = now
        if self._allowance < 0:
            self.sleep(-self._allowance)

    def _grant_end(self, row: Row, grant: Versions) -> float | None:
        """Return the end of a refresh token whose life counts from its issue: the creation of its version."""
        provider = self.providers.get(row.connection.provider)
        newest = next((v for v in grant.versions if v.state == VersionState.ENABLED), None)
        if provider is None or provider.refresh_token_lifetime is None or newest is None:
            return None
        if provider.rotates and provider.counts_from_consent:
            return None  # the consent is older than this version, by how much only its payload tells
        return newest.created_at + provider.refresh_token_lifetime

    def _versions(self, secret_id: str) -> Versions:
        try:
            versions = self.store.list_versions(secret_id)
        except StoreError as fault:
            return Versions(secret_id, problem=str(fault), is_forbidden=isinstance(fault, StoreDenied))
        return Versions(secret_id, tuple(versions[:_HISTORY]), max(0, len(versions) - _HISTORY))
