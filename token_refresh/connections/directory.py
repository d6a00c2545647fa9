"""Find connections: all of them by a list, or one by its name; and what no access token may ever be written to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from token_refresh.core.boundaries import reserve_connection_secret, reserved_secrets
from token_refresh.core.connection import LABEL, SUFFIX, Connection, SecretRecord, is_secret_id, parse_connection
from token_refresh.errors import Misconfigured, SecretMissing, StoreDenied
from token_refresh.ports import SecretStore


@dataclass(slots=True)
class Directory:
    """The connections of the project; one for the instance's life, and safe for threads."""

    store: SecretStore
    _reserved: dict[str, str] = field(default_factory=dict)  # secret id -> why, and what mends it
    _unreserved: set[str] = field(default_factory=set)

    def list(self) -> list[Connection]:
        """List the connections, eventually consistent; raises `StoreError`."""
        connections = [c for r in self.store.list_connections() if (c := parse_connection(r))]
        self._reserved = reserved_secrets(connections)
        return mark_name_clashes(connections)

    def find(self, name: str) -> Connection | None:
        """Find the secret that declares a connection: the one with the suffix is it, else the bare one (contract 2).

        One read of metadata, and two where the secret has the bare name. None when there is none. Raises `StoreError`.
        """
        denied: StoreDenied | None = None
        for secret_id in filter(is_secret_id, (name + SUFFIX, name)):
            try:
                connection = parse_connection(self.store.get(secret_id))
            except SecretMissing:
                continue
            except StoreDenied as fault:  # as a secret reads that is not there
                denied = denied or fault
                continue
            if connection and connection.name == name:
                return connection
        if denied:
            raise denied
        return None

    def check_access_token_secret(self, connection: Connection, *, is_ours: bool) -> None:
        """Make sure that the access token overwrites no grant and no client registration.

        `is_ours`: what it holds now is a document that a refresh has written. Raises `Misconfigured`, `StoreError`.
        """
        secret_id = connection.access_token_secret_id
        why = self._reserved.get(secret_id) or reserved_secrets([connection]).get(secret_id)
        if why is None and not is_ours and secret_id not in self._unreserved:
            # Lists know the label's two values only, and may be old: the secret itself must tell.
            try:
                why = reserve_connection_secret(secret_id) if LABEL in self.store.get(secret_id).labels else None
            except SecretMissing:
                why = None
            if why is None:
                self._unreserved.add(secret_id)
        if why:
            raise Misconfigured(why)


def mark_name_clashes(connections: Iterable[Connection]) -> list[Connection]:
    """Refuse the second of two secrets that yield one name: the one with the suffix is the connection (contract 2)."""
    listed = list(connections)
    suffixed = {c.name for c in listed if is_suffixed(c.record)}
    return [
        replace(
            c,
            problem=f"secrets {c.secret_id} and {c.name}{SUFFIX} both declare this connection: {c.name}{SUFFIX} is it, "
            f"so rename {c.secret_id} or remove its label "
            f"(gcloud secrets update {c.secret_id} --remove-labels={LABEL})",
        )
        if c.name in suffixed and not is_suffixed(c.record)
        else c
        for c in listed
    ]


def is_suffixed(record: SecretRecord) -> bool:
    """Tell whether the secret's id ends in ``-refresh-token``."""
    return record.secret_id.endswith(SUFFIX) and record.secret_id != SUFFIX
