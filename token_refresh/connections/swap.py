"""Compare-and-swap of a secret's annotations: the only thing that two writers can agree on.

    written = swap(store, record, lambda seen: {LEASE: text}, lambda seen: lease_of(seen).holder == mine)

`changes` is asked again for each try: it publishes nothing, and of what it notes only the last counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from token_refresh.core.connection import SecretRecord
from token_refresh.errors import Contended, EtagConflict
from token_refresh.ports import SecretStore

_TRIES: Final = 6


def swap(
    store: SecretStore,
    record: SecretRecord,
    changes: Callable[[SecretRecord], Mapping[str, str | None]],
    still_ours: Callable[[SecretRecord], bool],
) -> SecretRecord | None:
    """Write annotations provided that nobody wrote meanwhile, or that what they wrote leaves the matter ours.

    Returns the secret as written; None when it is not ours any more. Raises `StoreError`.
    """
    for _ in range(_TRIES):
        try:
            return store.annotate(record, changes(record))
        except EtagConflict:
            record = store.get(record.secret_id)
            if not still_ours(record):
                return None
    raise Contended(f"the metadata of secret {record.secret_id} keeps changing")
