"""The providers that an instance knows: the built-in ones and those of `PROVIDERS_FILE`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import ProviderTableError, parse_providers
from token_refresh.errors import BadEnvironment

BUILT_IN: Final = Path(__file__).parent / "providers.toml"


def load_providers(path: str | None = None) -> dict[str, Provider]:
    """Read the built-in providers and, when `path` is given, those of that TOML file.

    Raises `BadEnvironment`, which lists every problem.
    """
    own = read_tables(Path(path)) if path else {}
    try:
        return parse_providers(own, read_tables(BUILT_IN))
    except ProviderTableError as exc:
        raise BadEnvironment(f"PROVIDERS_FILE: {exc}") from exc


def read_tables(path: Path) -> Mapping[str, object]:
    """Read a TOML file of definitions; raises `BadEnvironment`."""
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as exc:
        raise BadEnvironment(f"PROVIDERS_FILE: {path.name} cannot be read ({exc.strerror})") from exc
    except ValueError as exc:  # not UTF-8, or not TOML
        raise BadEnvironment(f"PROVIDERS_FILE: {path.name} is not TOML: {exc}") from exc
