"""Put the parts of a refresh run together: what one instance of the refresher consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from token_refresh.connections.directory import Directory
from token_refresh.connections.grants import OwnersGrants
from token_refresh.connections.incidents import Incidents
from token_refresh.connections.lease import Leases
from token_refresh.connections.memory import Memory
from token_refresh.core.provider.definition import Provider
from token_refresh.instance.crew import Alone, Crew, Threads
from token_refresh.instance.pace import Paces
from token_refresh.instance.paced_store import PacedStore
from token_refresh.instance.pool import Pool
from token_refresh.instance.quota import Quota
from token_refresh.instance.unsaved import UnsavedReplies
from token_refresh.ports import ConsentLinks, Publisher, Revoker, SecretStore, TokenEndpoint
from token_refresh.refresh.access_tokens import AccessTokens
from token_refresh.refresh.attempt import Reply
from token_refresh.refresh.preparation import Preparation
from token_refresh.refresh.refresher import Refresher
from token_refresh.refresh.save import Saver
from token_refresh.run.choice import Chooser
from token_refresh.run.clean import Janitor
from token_refresh.run.revoke import Revocations
from token_refresh.run.run import Claims
from token_refresh.run.runner import Runner
from token_refresh.run.verdicts import Verdicts
from token_refresh.run.visit import Visitor
from token_refresh.settings import Settings

_SENDS: Final = 2  # an exchange that began in time is over after so many HTTP_TIMEOUT


@dataclass(frozen=True, slots=True)
class Outside:
    """What a run needs of the world. `monotonic` measures paces, `clock` tells the time; both in seconds."""

    store: SecretStore
    endpoint: TokenEndpoint
    publisher: Publisher
    links: ConsentLinks
    revoker: Revoker
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]


def build_runner(
    outside: Outside, providers: Mapping[str, Provider], settings: Settings, crew: Crew | None = None
) -> Runner:
    """Put one instance together, with an empty memory; without a crew it has `REFRESH_WORKERS` threads."""
    clock, sleep = outside.clock, outside.sleep
    workers = max(int(settings.refresh_workers), 1)
    crew = crew or (Threads(workers, sleep) if workers > 1 else Alone(clock, sleep))
    reads = Quota(settings.secret_reads_per_minute, outside.monotonic, sleep)
    # The instance before this one may have spent its burst only now.
    writes = Quota(settings.secret_writes_per_minute, outside.monotonic, sleep, begins_full=False)
    store = PacedStore(outside.store, reads, writes, clock, _SENDS * settings.http_timeout)
    memory = Memory(store, providers, settings)
    directory = Directory(store)
    verdict_store = store.of_verdicts()
    incidents = Incidents(verdict_store, outside.publisher, outside.links, clock)
    unsaved: UnsavedReplies[Reply] = UnsavedReplies()
    leases = Leases(store.urgent(), settings, clock)
    access_tokens = AccessTokens(store.urgent(), memory, leases, clock)
    saver = Saver(store.at_once(), leases, access_tokens, unsaved, clock, sleep)
    preparation = Preparation(store, outside.endpoint, memory, directory)
    refresher = Refresher(
        store, outside.endpoint, settings, memory, preparation, incidents, leases, saver, unsaved, clock
    )
    visitor = Visitor(store, preparation, refresher, incidents, memory, unsaved, settings, clock)
    verdicts = Verdicts(verdict_store, incidents, memory, settings, clock)
    hosts = Paces(settings.token_requests_per_second, outside.monotonic, sleep)
    pool = Pool(crew, writes, hosts, unsaved, store.ledger, clock)
    grants = OwnersGrants(store, pool.map)
    janitor = Janitor(store.sparing(), store.patient(), memory, incidents, clock)
    revocations = Revocations(store, directory, visitor, preparation, leases, outside.revoker, grants, clock)
    chooser = Chooser(grants, directory, memory, visitor)
    return Runner(
        directory, chooser, visitor, verdicts, saver, unsaved, pool, Claims(), janitor, revocations, settings, clock
    )
