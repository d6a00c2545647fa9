"""What has no use any more: access-token versions whose token has run out. They are billed, and nobody reads them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from token_refresh.connections.memory import Memory
from token_refresh.core.connection import Connection
from token_refresh.errors import StoreError, StoreUnavailable
from token_refresh.instance.lanes import Task
from token_refresh.instance.pool import Pool
from token_refresh.instance.quota import Priority
from token_refresh.ports import SecretStore

log = logging.getLogger("token_refresh")


def destroy_outlived(  # noqa: PLR0913, PLR0917 - what it takes
    connections: Iterable[Connection], memory: Memory, store: SecretStore, pool: Pool, now: float, until: float
) -> None:
    """Destroy what this instance knows to have run out; what is not begun until then is left to the next run."""

    def destroy(connection: Connection, version: int) -> None:
        try:
            store.destroy(connection.access_token_secret_id, version)
        except StoreError as fault:
            log.warning("could not destroy version %d of %s: %s", version, connection.access_token_secret_id, fault)
            if isinstance(fault, StoreUnavailable):  # the next run tries again; anything else is left to `clean`
                return
        memory.forget_outlived(connection)

    found = [(c, memory.outlived(c, now)) for c in connections if not c.problem]
    tasks = [
        Task(c.access_token_secret_id, "", 1, is_single_use=False, work=partial(destroy, c, version))
        for c, version in found
        if version
    ]
    for _ in pool.run(tasks, Priority.DESTROY, until):
        pass
