"""Provider definitions read from tables (TOML, contract 10): every problem at once, each with its table and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from token_refresh.core.provider.definition import ANY, Provider
from token_refresh.core.provider.keys import NAME, Keys, Problems
from token_refresh.core.provider.url import host_variables

Tables = Mapping[str, Mapping[str, object]]


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
    providers = {name: _read(name, table, problems) for name, table in merged.items()}
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
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = {**old, **value}
        elif isinstance(old, list) and isinstance(value, list):
            merged[key] = [*old, *(item for item in value if item not in old)]
        else:
            merged[key] = value
    return merged


def _read(name: str, table: Mapping[str, object], problems: Problems) -> Provider:
    """Read one definition; what is wrong with it is added to `problems`, and stands for itself in the result."""
    keys = Keys(name, table, problems)
    if "token_url" not in table:
        keys.wrong("token_url", "is required")
    values = keys.read(Provider)
    token_url = values.setdefault("token_url", "")
    values.setdefault("refresh_url", token_url)
    provider = Provider(name, **values)
    _check_together(provider, keys)
    return provider


def _check_together(provider: Provider, keys: Keys) -> None:
    """Find keys that are right one by one and cannot work together."""
    if provider.subject is not None and provider.subject.source == "id_token" and not provider.openid:
        keys.wrong("subject.from", '"id_token" needs openid = true')
    if provider.client_auth == "client_secret_basic" and any(h.lower() == "authorization" for h in provider.headers):
        keys.wrong("headers.Authorization", 'excludes client_auth = "client_secret_basic"')
    in_host = host_variables(provider)
    for name, values in provider.learned.items():
        if values == ANY and name in in_host:
            # A client secret goes to that host, and a browser's address bar must not choose it.
            keys.wrong(f"learned.{name}", 'stands in a host: list its values instead of "*"')
    refresh_token = provider.response.refresh_token
    if provider.refresh_method == "GET" and provider.request_format != "query":
        keys.wrong("refresh_method", '"GET" needs request_format = "query"')
    for path in provider.keep:
        # What is kept goes to the readers of the access token, and a refresh token must not.
        if f"{refresh_token}.".startswith(f"{path}."):
            keys.wrong("keep", f"{path!r} holds the refresh token")
