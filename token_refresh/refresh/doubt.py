"""Tell whose the versions are that were added while a holder of the lease died.

It may have stored its own refresh token above a grant that a person had added meanwhile, and died before it put that on
top again (contract 7). A rotated JSON payload can be told, because it has every field that the old one had, the time of
its issue, and the form that we write. Of bare tokens nobody can tell whose is whose: the newest is used, and all others
are kept.
"""

from __future__ import annotations

import json
import logging
from typing import Final

from token_refresh.connections.lease import Held
from token_refresh.core.grant import PayloadError, RefreshTokenGrant, parse_grant
from token_refresh.errors import VersionMissing, VersionUnusable
from token_refresh.ports import AccessedVersion, SecretStore

log = logging.getLogger("token_refresh")

_CHANGED: Final = ("refresh_token", "issued_at", "expires_at", "scope", "consented_at")  # by a rotation


def is_in_doubt(held: Held, number: int) -> bool:
    """Tell whether a version of unknown origin lies between the one that a dead holder spent and this one."""
    return held.was_abandoned and number > held.before.version + 1


def settle(store: SecretStore, secret_id: str, held: Held, newest: AccessedVersion) -> AccessedVersion:
    """Put on top, once more, what is to be used from now on; return it. Raises `StoreError`.

    Also where that is on top already: of what lies below a version that was exchanged the next one is destroyed, which
    must be a copy and nobody's grant.
    """
    buried = _find_buried(store, secret_id, held, newest)
    log.warning(
        "%s: versions above %d were added while another holder died: %s is put on top again, the others are kept",
        secret_id,
        held.before.version,
        f"version {(buried or newest).number}" + (", which it has buried," if buried else ""),
    )
    payload, seen = (buried or newest).payload, newest.number
    while (number := store.add(secret_id, payload)) != seen + 1:  # a person was faster, again
        between = [found for n in range(seen + 1, number) if (found := _read(store, secret_id, n))]
        seen, payload = number, next((p for p in reversed(between) if _is_grant(p)), payload)
    return AccessedVersion(number, payload)


def _find_buried(store: SecretStore, secret_id: str, held: Held, newest: AccessedVersion) -> AccessedVersion | None:
    """Return a person's grant that lies below the dead holder's own token; None where none does, or nobody can tell."""
    spent, until = _read(store, secret_id, held.before.version), held.before.until
    if spent is None or not is_rotation(spent, newest.payload, until=until):
        return None
    for number in range(newest.number - 1, held.before.version, -1):
        found = _read(store, secret_id, number)
        if found is not None and _is_grant(found) and not is_rotation(spent, found, until=until):
            return AccessedVersion(number, found)
    return None


def _read(store: SecretStore, secret_id: str, number: int) -> bytes | None:
    try:
        return store.access(secret_id, number).payload
    except (VersionMissing, VersionUnusable):
        return None


def _is_grant(payload: bytes) -> bool:
    """Tell whether a payload holds a grant that can be exchanged."""
    try:
        parse_grant(payload)
    except PayloadError:
        return False
    return True


def is_rotation(spent: bytes, payload: bytes, *, until: float) -> bool:
    """Tell whether a payload is the spent one with a new refresh token, as its holder has written it until then.

    True only where nothing else can be: a bare token, or JSON that a person has edited, is none.
    """
    before, after = _fields(spent), _fields(payload)
    if before is None or after is None or json.dumps(after, ensure_ascii=False).encode() != payload:
        return False
    issued_at, issued_before = after.get("issued_at"), before.get("issued_at")
    if not isinstance(issued_at, int) or not (isinstance(issued_before, int | float) or issued_before is None):
        return False
    is_later = (issued_before or 0) < issued_at <= until
    is_other = before["refresh_token"] != after["refresh_token"]
    return is_later and is_other and _rest(before) == _rest(after)


def _fields(payload: bytes) -> dict[str, object] | None:
    try:
        is_known = isinstance(parse_grant(payload), RefreshTokenGrant)
        data = json.loads(payload.decode().lstrip("\ufeff")) if is_known else None
    except (PayloadError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _rest(data: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in data.items() if name not in _CHANGED}
