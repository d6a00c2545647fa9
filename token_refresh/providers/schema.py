"""The JSON Schema of provider files, for editors: completion, a word on each key, and red lines before anything runs.

It says what a key may be; what two keys may be together, and what a URL may hold, only `providers check` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, Final

from token_refresh.core.provider.definition import Provider, ResponsePaths, RevocationWay, SubjectSource

Schema = Mapping[str, object]

_VALUE: Final[Schema] = {"type": ["string", "integer", "boolean"]}
_PATH: Final[Schema] = {"type": "string", "pattern": "^[^.\\s]+(\\.[^.\\s]+)*$"}
_VARIABLE: Final = "^[A-Za-z0-9.-]{1,253}$"


def build_schema() -> Schema:
    """Build the schema of a file of definitions: one table per provider."""
    extends = {
        "description": "Another provider: tables are merged, lists appended, the rest replaced.",
        "type": "string",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Providers of token-refresh",
        "description": "PROVIDERS_FILE: one table per provider, named as in the label token-refresh-provider.",
        "type": "object",
        "propertyNames": {"pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
        "additionalProperties": {"$ref": "#/$defs/provider"},
        "$defs": {
            "provider": {
                **_table({"extends": extends, **_keys(Provider)}),
                "anyOf": [{"required": ["token_url"]}, {"required": ["extends"]}],
            }
        },
    }


def render_schema() -> str:
    """Return the schema as the file docs/providers.schema.json holds it."""
    return json.dumps(build_schema(), indent=2) + "\n"


def _keys(declared: type[Provider | RevocationWay | SubjectSource]) -> dict[str, Schema]:
    """Return the keys that a dataclass declares."""
    return {f.metadata["key"] or f.name: _key(f) for f in fields(declared) if f.metadata}


def _key(declared: Field[Any]) -> Schema:
    kind, among = declared.metadata["kind"], declared.metadata["among"]
    table = _TABLES.get(kind)
    own = {"enum": list(among)} if among else _table(_keys(table)) if table else _KINDS[kind]
    schema = {"description": declared.metadata["says"], **own}
    # What is absent by default, or empty, needs no word.
    return {**schema, "default": declared.default} if isinstance(declared.default, str | int) else schema


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _table(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


_KINDS: Final[Mapping[str, Schema]] = {
    "url": {"type": "string", "pattern": "^https?://[^ #]+$"},
    "text": {"type": "string", "pattern": "\\S"},
    "separator": {"type": "string", "minLength": 1},
    "flag": {"type": "boolean"},
    "seconds": {"type": "integer", "minimum": 1},
    "texts": {"type": "array", "items": {"type": "string", "pattern": "\\S"}},
    "path": _PATH,
    "paths": {"type": "array", "items": _PATH},
    "variables": _map(_VALUE),
    "learned": _map({"anyOf": [{"const": "*"}, {"type": "array", "minItems": 1, "items": {"pattern": _VARIABLE}}]}),
    "params": _map({"anyOf": [_VALUE, {"type": "array", "minItems": 1, "items": {"type": "string"}}]}),
    "headers": _map(_VALUE),
    "names": _map({"type": "string", "minLength": 1}),
    "response": _table({f.name: _PATH for f in fields(ResponsePaths)}),
}
_TABLES: Final[Mapping[str, type[RevocationWay | SubjectSource]]] = {
    "revocation": RevocationWay,
    "subject": SubjectSource,
}
