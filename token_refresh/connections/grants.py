"""What connection secrets hold, read to know whose grants they are: nothing is sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from token_refresh.core.connection import Connection
from token_refresh.core.grant import PayloadError, RefreshTokenGrant, parse_grant
from token_refresh.errors import StoreError
from token_refresh.ports import SecretStore

log = logging.getLogger("token_refresh")

_Read = Callable[[Connection], RefreshTokenGrant | None]


@dataclass(frozen=True, slots=True)
class OwnersGrants:
    """Reads the grants of owners, many at a time."""

    store: SecretStore
    side_by_side: Callable[[_Read, Sequence[Connection]], list[RefreshTokenGrant | None]]

    def read(self, connections: Sequence[Connection]) -> list[RefreshTokenGrant | None]:
        """Read the newest grant of each; None where there is none, or none that can be read."""
        return self.side_by_side(self._read, connections)

    def _read(self, connection: Connection) -> RefreshTokenGrant | None:
        try:
            grant = parse_grant(self.store.access(connection.secret_id).payload)
        except (StoreError, PayloadError) as fault:
            log.info("whose grant %s holds cannot be told: %s", connection.name, fault)
            return None
        return grant if isinstance(grant, RefreshTokenGrant) else None
