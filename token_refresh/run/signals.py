"""Find the connections that revocation signals are about (contract 13)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from token_refresh.connections.memory import Memory
from token_refresh.core.connection import Connection
from token_refresh.core.grant import PayloadError, RefreshTokenGrant, parse_grant
from token_refresh.core.signals import Signal, is_same_issuer, matches
from token_refresh.errors import StoreError
from token_refresh.ports import SecretStore

log = logging.getLogger("token_refresh")

_Read = Callable[[Connection], RefreshTokenGrant | None]


@dataclass(frozen=True, slots=True)
class SignalMatcher:
    """Match signals with connections; reads a payload only where no subject tells."""

    store: SecretStore
    memory: Memory
    side_by_side: Callable[[_Read, Sequence[Connection]], list[RefreshTokenGrant | None]]

    def match(self, signals: Sequence[Signal], listed: Sequence[Connection]) -> list[Connection]:
        """Return the connections that any of the signals is about."""
        found: dict[str, Connection] = {}
        unread = list[Signal]()
        for signal in signals:
            known = [c for c in listed if matches(signal, self._issuer(c), c.subject, None)]
            found.update({c.secret_id: c for c in known})
            if not known:
                unread.append(signal)
        if unread:
            found.update({c.secret_id: c for c in self._match_stored(unread, listed)})
        return list(found.values())

    def _match_stored(self, signals: Sequence[Signal], listed: Sequence[Connection]) -> list[Connection]:
        """Match by what the secrets hold: the token, or the account's id in a payload."""
        of_issuers = [
            c for c in listed if (issuer := self._issuer(c)) and any(is_same_issuer(issuer, s.issuer) for s in signals)
        ]
        grants = self.side_by_side(self._grant, of_issuers)
        return [
            c
            for c, grant in zip(of_issuers, grants, strict=True)
            if grant and any(matches(s, self._issuer(c), c.subject or grant.sub, grant.refresh_token) for s in signals)
        ]

    def _issuer(self, connection: Connection) -> str | None:
        provider = self.memory.providers.get(connection.provider)
        return provider.issuer if provider else None

    def _grant(self, connection: Connection) -> RefreshTokenGrant | None:
        try:
            grant = parse_grant(self.store.access(connection.secret_id).payload)
        except (StoreError, PayloadError) as fault:
            log.info("%s cannot be matched with a signal: %s", connection.name, fault)
            return None
        return grant if isinstance(grant, RefreshTokenGrant) else None
