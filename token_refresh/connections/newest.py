"""Find the newest version of a connection secret, although `latest` may be stale.

Reading a version by number is the only strongly consistent read, so the numbers above the known one are probed where
it matters. Newest disabled or destroyed: `VersionUnusable`, never a fall-back to an older one, except that a takeover
uses the highest enabled one above the number it knows (contract 7).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from token_refresh.errors import VersionMissing, VersionUnusable
from token_refresh.ports import AccessedVersion, SecretStore

_PROBE_LIMIT: Final = 1000


def read_newest(  # noqa: PLR0913 - what is known and how sure one must be
    store: SecretStore,
    secret_id: str,
    *,
    known: AccessedVersion | None = None,
    floor: int = 0,
    probe: bool = False,
    takeover: bool = False,
) -> AccessedVersion:
    """Read the newest of `latest` (or `known`), version `floor`, and (with `probe` or `takeover`) whatever lies above.

    Raises `VersionMissing` when there is no version at all, `VersionUnusable`, `SecretMissing`.
    """
    best, unusable = known, None
    try:
        best = best or store.access(secret_id)
    except VersionMissing:  # `latest` may not have heard of the first version yet
        probe = True
    except VersionUnusable as fault:
        unusable, probe = fault, True
    if floor > (best.number if best else 0):
        try:
            best, unusable = store.access(secret_id, floor), None
        except VersionMissing:  # the number was wrong: numbers are given out one by one
            floor = 0
        except VersionUnusable as fault:
            best, unusable, probe = None, fault, True
    if probe or takeover:
        for found in read_above(store, secret_id, best.number if best else floor):
            best, unusable = (best, found) if isinstance(found, VersionUnusable) else (found, None)
    if best and (not unusable or (takeover and best.number > floor)):
        return best
    raise unusable or VersionMissing(f"secret {secret_id} has no version")


def read_above(store: SecretStore, secret_id: str, number: int) -> Iterator[AccessedVersion | VersionUnusable]:
    """Read the versions above a number, one by one, as far as there are any; an unusable one is returned as such."""
    for above in range(number + 1, number + _PROBE_LIMIT):
        try:
            yield store.access(secret_id, above)
        except VersionMissing:
            return
        except VersionUnusable as fault:
            yield fault
