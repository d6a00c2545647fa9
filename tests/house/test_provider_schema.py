"""docs/providers.schema.json is what the code says, and says what the code does."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.worlds.provider_tables import EVERY_KEY, FAULTS
from tests.worlds.providers_command import run_providers
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.keys import NAME, PATH
from token_refresh.providers import BUILT_IN, read_tables
from token_refresh.providers.schema import build_schema, render_schema

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA: Any = build_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
KEYS = SCHEMA["$defs"]["provider"]["properties"]
# What only the code can tell: two keys together, templates and their variables, other tables of the file.
BEYOND = {
    "client as host",
    "extends",
    "get",
    "header name",
    "header value",
    "its params",
    "keep token",
    "list variable",
    "no openid",
    "our header",
    "param name",
    "param variable",
    "reserved name",
    "same name",
    "subject from",
    "subject url",
    "subject without url",
    "taken name",
    "undeclared",
    "variable default",
    "variable name",
}


def is_valid(tables: object) -> bool:
    return bool(VALIDATOR.is_valid(tables))


def test_the_file_is_rendered_from_the_code() -> None:
    assert run_providers("schema").stdout == render_schema() == (DOCS / "providers.schema.json").read_text()


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_has_the_keys_of_a_definition_and_no_others() -> None:
    assert {*KEYS, "name", "longer_names"} == {*(f.name for f in fields(Provider)), "extends"}


def test_every_key_is_in_the_docs_and_has_a_word_in_the_editor() -> None:
    text = (DOCS / "providers.md").read_text()
    assert [key for key in KEYS if f"`{key}`" not in text] == []
    assert [key for key, schema in KEYS.items() if not schema.get("description")] == []


def test_the_built_in_definitions_are_valid() -> None:
    VALIDATOR.validate(read_tables(BUILT_IN))
    VALIDATOR.validate(tomllib.loads(EVERY_KEY))


@pytest.mark.parametrize(("key", "value", "problem"), FAULTS)
def test_what_the_code_refuses_the_schema_refuses(
    key: str, value: object, problem: str, request: pytest.FixtureRequest
) -> None:
    case = request.node.callspec.id
    tables = {"p": {"token_url": "https://a.example/token", key: value}}
    assert is_valid(tables) == (case in BEYOND), problem


def test_what_only_the_code_can_tell_is_a_fault_of_the_table() -> None:
    assert {str(fault.id) for fault in FAULTS} >= BEYOND


@pytest.mark.parametrize("tables", [{"Q": {"token_url": "https://a.example/"}}, {"p": {}}, {"p": "text"}])
def test_a_table_has_a_good_name_and_an_endpoint(tables: object) -> None:
    assert not is_valid(tables)


def test_patterns_are_those_of_the_code() -> None:
    assert SCHEMA["propertyNames"]["pattern"] == f"^{NAME.pattern}$"
    assert KEYS["keep"]["items"]["pattern"] == f"^{PATH.pattern.replace('(?:', '(')}$"
