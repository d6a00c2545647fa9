"""The filter language of list calls (https://google.aip.dev/160, cloud.google.com/secret-manager/docs/filtering).

Terms are `field OP value` with the fields of the listed message itself, joined by AND (or a blank), OR (which binds
tighter than AND) and NOT (or `-`). Annotations cannot be filtered, as in the real service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache

from google.api_core.exceptions import GoogleAPICallError, InvalidArgument

from infra.local.secret_manager.errors import api_error
from infra.local.secret_manager.messages import Message, MessageClass

Predicate = Callable[[Message], bool]

_KEYWORD = re.compile(r"\s*(AND|OR|NOT)(?=[\s(])")
_FIELD = re.compile(r'\s*([^\s()=<>!:"]+)\s*(!=|<=|>=|[:=<>])\s*')
_VALUE = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|([^\s(),]+))')
_SIGN = re.compile(r"\s*([(),-])")


@lru_cache(maxsize=256)
def parse_filter(text: str, message: MessageClass) -> Predicate:
    """Turn a filter into a test for messages of that class. Raises InvalidArgument for what it cannot read."""
    return _Parser(text, message.DESCRIPTOR).parse()


class _Parser:
    """Read a filter from left to right, one method per rule of the grammar."""

    def __init__(self, text: str, descriptor: MessageClass) -> None:
        self._text, self._at, self._descriptor = text, 0, descriptor

    def parse(self) -> Predicate:
        if not self._text.strip():
            return lambda _message: True
        predicate = self._conjunction(self._term)
        if self._text[self._at :].strip():
            raise self._refuse()
        return predicate

    def _conjunction(self, operand: Callable[[], Predicate]) -> Predicate:
        parts = [self._disjunction(operand)]
        while self._text[self._at :].strip() and not self._text[self._at :].lstrip().startswith(")"):
            self._take_keyword("AND")
            parts.append(self._disjunction(operand))
        return parts[0] if len(parts) == 1 else lambda message: all(part(message) for part in parts)

    def _disjunction(self, operand: Callable[[], Predicate]) -> Predicate:
        parts = [self._negation(operand)]
        while self._take_keyword("OR"):
            parts.append(self._negation(operand))
        return parts[0] if len(parts) == 1 else lambda message: any(part(message) for part in parts)

    def _negation(self, operand: Callable[[], Predicate]) -> Predicate:
        if self._take_keyword("NOT") or self._take_sign("-"):
            inner = self._negation(operand)
            return lambda message: not inner(message)
        if self._take_sign("("):
            inner = self._conjunction(operand)
            if not self._take_sign(")"):
                raise self._refuse()
            return inner
        return operand()

    def _term(self) -> Predicate:
        match = _FIELD.match(self._text, self._at)
        if not match:
            raise self._refuse()
        self._at = match.end()
        path, operator = match[1].split(".", 1), match[2]
        find = self._finder(path[0], path[1] if len(path) > 1 else "")
        if self._text[self._at :].startswith("("):  # state:(ENABLED OR DISABLED)
            return self._negation(lambda: self._listed(find, operator))
        return self._comparison(find, operator)

    def _listed(self, find: Callable[[Message], Iterator[Message]], operator: str) -> Predicate:
        """Read `(a,b)`, which is how gcloud sends a list of alternatives."""
        parts = [self._comparison(find, operator)]
        while self._take_sign(","):
            parts.append(self._comparison(find, operator))
        return lambda message: any(part(message) for part in parts)

    def _comparison(self, find: Callable[[Message], Iterator[Message]], operator: str) -> Predicate:
        match = _VALUE.match(self._text, self._at)
        if not match:
            raise self._refuse()
        self._at = match.end()
        quoted = match[1] if match[1] is not None else match[2]
        wanted = match[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if operator == "!=":
            return lambda message: not any(_compare(value, "=", wanted) for value in find(message))
        if operator not in (":", "=") and not _is_time(wanted):
            raise self._refuse()
        return lambda message: any(_compare(value, operator, wanted) for value in find(message))

    def _finder(self, name: str, rest: str) -> Callable[[Message], Iterator[Message]]:
        """Check the field against the message and return what reads its values; an absent one has none."""
        names: list[str] = []
        descriptor = self._descriptor
        while True:
            found = descriptor and (
                descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)
            )
            if not found or found.name in ("annotations", "etag", "tags"):
                raise self._refuse()
            names.append(found.name)
            descriptor = found.message_type
            if descriptor and descriptor.GetOptions().map_entry:
                return lambda message: _map_values(getattr(message, names[0]), rest)
            if not rest:
                return lambda message: _values(message, names)
            name, _, rest = rest.partition(".")

    def _take_keyword(self, keyword: str) -> bool:
        match = _KEYWORD.match(self._text, self._at)
        if not match or match[1] != keyword:
            return False
        self._at = match.end()
        return True

    def _take_sign(self, sign: str) -> bool:
        match = _SIGN.match(self._text, self._at)
        if not match or match[1] != sign:
            return False
        self._at = match.end()
        return True

    def _refuse(self) -> GoogleAPICallError:
        return api_error(InvalidArgument, f"Invalid filter: cannot read [{self._text}] from character {self._at}.")


def _map_values(entries: Message, key: str) -> Iterator[str]:
    """Give the value of one key, or of every key when none is named (`labels:x` looks at keys as well)."""
    if not key:
        yield from entries.keys()
        yield from entries.values()
    elif key in entries:
        yield entries[key]


def _values(message: Message, names: list[str]) -> Iterator[Message]:
    name, *rest = names
    described = message.DESCRIPTOR.fields_by_name[name]
    if described.has_presence and not message.HasField(name):
        return
    value = getattr(message, name)
    if described.enum_type:
        value = described.enum_type.values_by_number[value].name
    for item in value if described.is_repeated else [value]:
        if rest:
            yield from _values(item, rest)
        else:
            yield item


def _compare(value: Message, operator: str, wanted: str) -> bool:
    if hasattr(value, "ToDatetime") and _is_time(wanted):
        moment: datetime = value.ToDatetime(UTC)
        limit = datetime.fromisoformat(wanted)
        limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
        return {"<": moment < limit, "<=": moment <= limit, ">": moment > limit, ">=": moment >= limit}.get(
            operator, moment == limit
        )
    if operator == ":":
        pattern = ".*".join(map(re.escape, wanted.split("*")))  # `*` alone asks for presence
        return re.search(pattern, str(value)) is not None
    return bool(operator == "=" and str(value) == wanted)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
