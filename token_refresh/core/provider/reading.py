"""Keys taken out of one TOML table, each by its type; what is wrong is noted with table and key, and never raises."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from token_refresh.core.provider.definition import TEMPLATE_WORDS, Params
from token_refresh.core.provider.url import check_template, is_variable_value, variables_of

Problems = list[str]

PATH: Final = re.compile(r"[^.\s]+(?:\.[^.\s]+)*")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
# These belong to the request itself: a definition that sets one breaks it.
_OUR_HEADERS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "dpop"})


class Keys:
    """Takes the keys out of one table, one by one, and notes what is wrong with each."""

    def __init__(self, name: str, table: Mapping[str, object], problems: Problems) -> None:
        self.name = name
        self.left = dict(table)
        self.problems = problems
        self.variables: Mapping[str, str] = {}

    def wrong(self, key: str, fault: str) -> None:
        """Note a fault of a key."""
        self.problems.append(f"{self.name}.{key}: {fault}")

    def check_nothing_left(self) -> None:
        """Note every key that was not asked for."""
        for key in self.left:
            self.wrong(key, "is not a key of a provider definition")

    def read_variables(self) -> None:
        """Read `variables`, which the templates of all other keys may name."""
        self.variables = self.table("variables")
        for name, value in self.variables.items():
            if not _VARIABLE_NAME.fullmatch(name) or name in TEMPLATE_WORDS:
                self.wrong(f"variables.{name}", "is not a name for a variable")
            if value and not is_variable_value(value):
                self.wrong(f"variables.{name}", "the default must be of the form [A-Za-z0-9.-]{1,253}, or empty")

    def url(self, key: str) -> str | None:
        """Read a URL template."""
        value = self.left.pop(key, None)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(key, "must be a string")
            return None
        fault = check_template(value)
        if fault is not None:
            self.wrong(key, fault)
        # Who revokes is part of GitHub's path.
        own = {"client_id"} if key == "revocation_url" and "{client_id}" not in urlsplit(value).netloc else set()
        self._check_variables(key, value, {*self.variables, *own})
        return value

    def choice(self, key: str, allowed: Collection[str], default: str) -> str:
        """Read one of several words."""
        value = self.left.pop(key, default)
        if isinstance(value, str) and value in allowed:
            return value
        self.wrong(key, f"must be one of {', '.join(allowed)}")
        return default

    def choice_or_none(self, key: str, allowed: Sequence[str]) -> str | None:
        """Read one of several words, None when the key is absent."""
        return self.choice(key, allowed, allowed[0]) if key in self.left else None

    def flag(self, key: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self.left.pop(key, default)
        if isinstance(value, bool):
            return value
        self.wrong(key, "must be true or false")
        return default

    def seconds(self, key: str) -> int | None:
        """Read a positive whole number."""
        value = self.left.pop(key, None)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
            return value
        self.wrong(key, "must be a positive whole number of seconds")
        return None

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of strings that are not blank."""
        value = self.left.pop(key, [])
        if isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value):
            return tuple(value)
        self.wrong(key, "must be a list of strings")
        return ()

    def paths(self, key: str) -> tuple[str, ...]:
        """Read a list of dotted paths."""
        paths = self.texts(key)
        for path in paths:
            if not PATH.fullmatch(path):
                self.wrong(key, f"{path!r} is not a dotted path")
        return paths

    def path(self, key: str, default: str) -> str:
        """Read a dotted path."""
        value = self.left.pop(key, default)
        if isinstance(value, str) and PATH.fullmatch(value):
            return value
        self.wrong(key, "is not a dotted path")
        return default

    def text(self, key: str) -> str | None:
        """Read a string of one line."""
        value = self.left.pop(key, None)
        if value is None or (isinstance(value, str) and value.strip() and value.isprintable()):
            return value
        self.wrong(key, "must be a string of one line")
        return None

    def params(self, key: str, words: Collection[str] = TEMPLATE_WORDS) -> Params:
        """Read a table of parameters: templates, or lists of templates where a parameter is repeated."""
        value = self.left.get(key)
        lists = {n: v for n, v in value.items() if isinstance(v, list)} if isinstance(value, Mapping) else {}
        if isinstance(value, Mapping):
            self.left[key] = {n: v for n, v in value.items() if n not in lists}
        params: dict[str, str | tuple[str, ...]] = {**self.table(key)}
        for name, values in lists.items():
            if values and all(isinstance(v, str) for v in values):
                params[name] = tuple(values)
            else:
                self.wrong(f"{key}.{name}", "must be a string or a list of strings")
        for name, found in params.items():
            if not name:
                self.wrong(key, "a parameter has no name")
            for template in (found,) if isinstance(found, str) else found:
                self._check_variables(f"{key}.{name}", template, {*self.variables, *words})
        return params

    def headers(self, words: Collection[str] = TEMPLATE_WORDS) -> Mapping[str, str]:
        """Read a table of headers: templates."""
        table = self.table("headers")
        for name, value in table.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
                self.wrong(f"headers.{name}", "cannot be set by a definition")
            if not (value.isascii() and value.isprintable()):
                self.wrong(f"headers.{name}", "must be printable ASCII")
            self._check_variables(f"headers.{name}", value, {*self.variables, *words})
        return table

    def table(self, key: str) -> dict[str, str]:
        """Read a table of strings; numbers, true and false become strings."""
        value = self.left.pop(key, {})
        if not isinstance(value, Mapping):
            self.wrong(key, "must be a table")
            return {}
        texts: dict[str, str] = {}
        for name, item in value.items():
            if isinstance(item, bool):
                texts[name] = "true" if item else "false"
            elif isinstance(item, str | int):
                texts[name] = str(item)
            else:
                self.wrong(f"{key}.{name}", "must be a string")
        return texts

    def _check_variables(self, where: str, template: str, known: Collection[str]) -> None:
        for name in variables_of(template):
            if name not in known:
                self.wrong(where, f"{{{name}}} is not declared in variables")
