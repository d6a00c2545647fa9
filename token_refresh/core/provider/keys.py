"""The keys of one provider definition (contract 10), read from a TOML table: a method for each kind of key.

What is wrong is noted with table and key, and never raises; a key that is wrong keeps its default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final
from urllib.parse import urlsplit

from token_refresh.core.provider.definition import (
    ANY,
    REVOCATION_WORDS,
    SUBJECT_SOURCES,
    TEMPLATE_WORDS,
    Params,
    Provider,
    ResponsePaths,
    RevocationWay,
    SubjectSource,
)
from token_refresh.core.provider.url import check_template, is_variable_value, variables_of

Problems = list[str]

# A provider's name is the value of a label and part of a secret's id.
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
PATH: Final = re.compile(r"[^.\s]+(?:\.[^.\s]+)*")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
# These belong to the request itself: a definition that sets one breaks it.
_OUR_HEADERS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "dpop"})
_PARAMS: Final = frozenset(
    {"grant_type", "refresh_token", "client_id", "client_secret", "code", "redirect_uri", "scope"}
)
_RESPONSE_KEYS: Final = tuple(f.name for f in fields(ResponsePaths))


# Kinds that are read as they stand: what is good, and what is said of the rest.
_PLAIN: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "flag": (lambda v: isinstance(v, bool), "must be true or false"),
    "seconds": (lambda v: type(v) is int and v > 0, "must be a positive whole number of seconds"),
    "text": (
        lambda v: isinstance(v, str) and bool(v.strip()) and v.isprintable(),
        "must be a string of one line",
    ),
    "separator": (lambda v: isinstance(v, str) and v != "", "must be a string that is not empty"),
    "path": (lambda v: isinstance(v, str) and PATH.fullmatch(v) is not None, "is not a dotted path"),
}


@dataclass(slots=True)
class Keys:
    """The keys of one table. Templates may name the `variables` of the definition, and `words`."""

    name: str
    table: Mapping[str, object]
    problems: Problems
    variables: Mapping[str, str] = field(default_factory=dict)
    words: Collection[str] = TEMPLATE_WORDS

    def wrong(self, key: str, fault: str) -> None:
        """Note a fault of a key."""
        self.problems.append(f"{self.name}.{key}: {fault}")

    def read(self, declared: type[Provider | SubjectSource | RevocationWay]) -> dict[str, Any]:
        """Read the keys that a dataclass declares, by field; one that is absent, or wrong, is left out."""
        values: dict[str, Any] = {}
        left = dict(self.table)
        # The templates of all other keys may name the variables.
        for f in sorted(fields(declared), key=lambda f: f.name != "variables"):
            key = f.metadata.get("key") or f.name
            if f.metadata and key in left:
                among, value = f.metadata["among"], left.pop(key)
                found = self._choice(key, value, among) if among else self._read_kind(f.metadata["kind"], key, value)
                if found is not None:
                    values[f.name] = found
        for key in left:
            self.wrong(key, "is not a key of a provider definition")
        return values

    def _read_kind(self, kind: str, key: str, value: object) -> object | None:
        if kind not in _PLAIN:
            return getattr(self, f"_{kind}")(key, value)  # type: ignore[no-any-return]
        is_good, fault = _PLAIN[kind]
        if is_good(value):
            return value
        self.wrong(key, fault)
        return None

    # -- kinds ---------------------------------------------------------------------------------------------------------

    def _url(self, key: str, value: object) -> str | None:
        """Read a URL template."""
        if not isinstance(value, str):
            self.wrong(key, "must be a string")
            return None
        fault = check_template(value)
        if fault is not None:
            self.wrong(key, fault)
        # Who revokes is part of GitHub's path.
        own = {"client_id"} if key == "revocation_url" and "{client_id}" not in urlsplit(value).netloc else set()
        self._check_variables(key, value, own)
        return value

    def _choice(self, key: str, value: object, among: Sequence[str]) -> str | None:
        """Read one of several words."""
        if isinstance(value, str) and value in among:
            return value
        self.wrong(key, f"must be one of {', '.join(among)}")
        return None

    def _texts(self, key: str, value: object) -> tuple[str, ...]:
        """Read a list of strings that are not blank."""
        if isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value):
            return tuple(value)
        self.wrong(key, "must be a list of strings")
        return ()

    def _paths(self, key: str, value: object) -> tuple[str, ...]:
        """Read a list of dotted paths."""
        paths = self._texts(key, value)
        for path in paths:
            if not PATH.fullmatch(path):
                self.wrong(key, f"{path!r} is not a dotted path")
        return paths

    def _variables(self, key: str, value: object) -> Mapping[str, str]:
        """Read what templates may name."""
        self.variables = self._strings(key, value)
        for name, default in self.variables.items():
            if not _VARIABLE_NAME.fullmatch(name) or name in TEMPLATE_WORDS:
                self.wrong(f"variables.{name}", "is not a name for a variable")
            if default and not is_variable_value(default):
                self.wrong(f"variables.{name}", "the default must be of the form [A-Za-z0-9.-]{1,253}, or empty")
        return self.variables

    def _learned(self, key: str, value: object) -> Mapping[str, tuple[str, ...]]:
        """Read names with the values that each may have."""
        learned: dict[str, tuple[str, ...]] = {}
        for name, values in self._table(key, value).items():
            if values == "*":
                learned[name] = ANY
            elif (
                isinstance(values, list) and values and all(isinstance(v, str) and is_variable_value(v) for v in values)
            ):
                learned[name] = tuple(values)
            else:
                self.wrong(f"learned.{name}", 'must be "*" or a list of values of the form [A-Za-z0-9.-]{1,253}')
        return learned

    def _params(self, key: str, value: object) -> Params:
        """Read a table of parameters: templates, or lists of templates where a parameter is repeated."""
        params: dict[str, str | tuple[str, ...]] = {}
        for name, item in self._table(key, value).items():
            if not isinstance(item, list):
                params |= self._strings(key, {name: item})
            elif item and all(isinstance(v, str) for v in item):
                params[name] = tuple(item)
            else:
                self.wrong(f"{key}.{name}", "must be a string or a list of strings")
        for name, found in params.items():
            if not name:
                self.wrong(key, "a parameter has no name")
            for template in (found,) if isinstance(found, str) else found:
                self._check_variables(f"{key}.{name}", template, self.words)
        return params

    def _headers(self, key: str, value: object) -> Mapping[str, str]:
        """Read a table of headers: templates."""
        table = self._strings(key, value)
        for name, template in table.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
                self.wrong(f"headers.{name}", "cannot be set by a definition")
            if not (template.isascii() and template.isprintable()):
                self.wrong(f"headers.{name}", "must be printable ASCII")
            self._check_variables(f"headers.{name}", template, self.words)
        return table

    def _names(self, key: str, value: object) -> Mapping[str, str]:
        """Read other names of parameters."""
        table = self._strings(key, value)
        if not all(table.values()):
            self.wrong(key, "a parameter's new name is empty")
        if len(set(table.values())) < len(table) or (_PARAMS - set(table)) & set(table.values()):
            self.wrong(key, "gives two parameters one name")
        return table

    def _response(self, key: str, value: object) -> ResponsePaths:
        """Read where a reply keeps its fields."""
        table = self._strings(key, value)
        for name, path in table.items():
            if name not in _RESPONSE_KEYS:
                self.wrong(f"response.{name}", f"must be one of {', '.join(_RESPONSE_KEYS)}")
            elif not PATH.fullmatch(path):
                self.wrong(f"response.{name}", "is not a dotted path")
        known = {name: path for name, path in table.items() if name in _RESPONSE_KEYS}
        if "expires_at" in known and "expires_in" not in known:
            known["expires_in"] = ""  # a definition that names one of the two means it
        return ResponsePaths(**known)

    def _revocation(self, key: str, value: object) -> RevocationWay:
        table = self._table(key, value)
        inner = Keys(f"{self.name}.{key}", table, self.problems, variables=self.variables, words=REVOCATION_WORDS)
        return RevocationWay(**inner.read(RevocationWay))

    def _subject(self, key: str, value: object) -> SubjectSource | None:
        faults = len(self.problems)
        table = self._table(key, value)
        inner = Keys(f"{self.name}.{key}", table, self.problems, variables=self.variables)
        found = inner.read(SubjectSource)
        if len(self.problems) == faults and "source" not in found:
            inner.wrong("from", f"must be one of {', '.join(SUBJECT_SOURCES)}")
        if found.get("source") and (found["source"] == "userinfo") != ("url" in table):
            inner.wrong("url", 'belongs to from = "userinfo", which needs it')
        return SubjectSource(**found) if len(self.problems) == faults else None

    # -- what kinds are made of ----------------------------------------------------------------------------------------

    def _table(self, key: str, value: object) -> Mapping[str, object]:
        if isinstance(value, Mapping):
            return value
        self.wrong(key, "must be a table")
        return {}

    def _strings(self, key: str, value: object) -> dict[str, str]:
        """Read a table of strings; numbers, true and false become strings."""
        texts: dict[str, str] = {}
        for name, item in self._table(key, value).items():
            if isinstance(item, bool):
                texts[name] = "true" if item else "false"
            elif isinstance(item, str | int):
                texts[name] = str(item)
            else:
                self.wrong(f"{key}.{name}", "must be a string")
        return texts

    def _check_variables(self, where: str, template: str, words: Collection[str]) -> None:
        for name in variables_of(template):
            if name not in self.variables and name not in words:
                self.wrong(where, f"{{{name}}} is not declared in variables")
