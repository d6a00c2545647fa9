"""Provider definitions read from tables (TOML, contract 10): every problem at once, each with its table and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.keys import NAME, read_provider
from token_refresh.core.provider.reading import Problems

Tables = Mapping[str, Mapping[str, object]]

_TABLE_KEYS: Final = frozenset(
    {
        "variables",
        "token_params",
        "refresh_params",
        "authorization_params",
        "headers",
        "param_names",
        "learned",
        "response",
        "revocation",
        "subject",
    }
)
_LIST_KEYS: Final = frozenset({"keep", "dead_errors", "client_errors", "admin_errors", "transient_errors"})


class ProviderTableError(ValueError):
    """Definitions cannot be used; `problems` holds one sentence each, beginning with ``table.key``."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


def parse_providers(tables: Mapping[str, object], base: Mapping[str, object] | None = None) -> dict[str, Provider]:
    """Read definitions, added to those of `base`; a table of the same name replaces the one in `base`.

    Raises `ProviderTableError` with every problem.
    """
    problems: Problems = []
    built_in = _tables(base or {}, problems)
    own = _tables(tables, problems)
    merged = {name: _extended(name, [built_in], problems) for name in built_in if name not in own}
    merged |= {name: _extended(name, [own, built_in], problems) for name in own}
    providers = {name: read_provider(name, table, problems) for name, table in merged.items()}
    if problems:
        raise ProviderTableError(problems)
    return {name: replace(provider, longer_names=_longer(name, providers)) for name, provider in providers.items()}


def _longer(name: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(other for other in names if other.startswith(f"{name}-")))


def _tables(tables: Mapping[str, object], problems: Problems) -> dict[str, Mapping[str, object]]:
    good: dict[str, Mapping[str, object]] = {}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            problems.append(f"{name}: must be a table, one per provider")
        elif not NAME.fullmatch(name):
            problems.append(f"{name}: a provider's name is a label value: lower-case letters, digits, _ and -")
        else:
            good[name] = table
    return good


def _extended(name: str, places: list[Tables], problems: Problems) -> Mapping[str, object]:
    """Follow `extends`: tables are merged, lists are appended, anything else is replaced.

    A table that extends its own name extends the one that it replaces.
    """
    chain: list[Mapping[str, object]] = []
    current: object = name
    while current is not None:
        found = next((place[current] for place in places if isinstance(current, str) and current in place), None)
        if found is None:
            problems.append(f"{name}.extends: there is no other provider {current!r}")
            break
        if any(found is table for table in chain):
            problems.append(f"{name}.extends: goes round in a circle")
            break
        chain.append(found)
        parent = found.get("extends")
        if parent == current:
            places = places[1:]
        current = parent
    merged: dict[str, object] = {}
    for table in reversed(chain):
        merged = _merge(merged, table)
    merged.pop("extends", None)
    return merged


def _merge(parent: Mapping[str, object], child: Mapping[str, object]) -> dict[str, object]:
    merged = dict(parent)
    if "token_url" in child:
        # Another token endpoint is another place: the parent's refresh endpoint must not get its refresh tokens.
        merged.pop("refresh_url", None)
    for key, value in child.items():
        old = merged.get(key)
        if key in _TABLE_KEYS and isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = {**old, **value}
        elif key in _LIST_KEYS and isinstance(old, list) and isinstance(value, list):
            merged[key] = [*old, *(item for item in value if item not in old)]
        else:
            merged[key] = value
    return merged
