"""The published schemas of events, applied to what is really published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from token_refresh.core.incident.events import Event

_FOLDER = Path(__file__).parents[2] / "docs/events"


def _load(path: Path) -> Draft202012Validator:
    schema: dict[str, Any] = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


SCHEMAS = {path.name.removesuffix(".schema.json"): _load(path) for path in _FOLDER.glob("*.schema.json")}


def validate(event: Event) -> None:
    """Fail when an event is not as its schema says."""
    faults = [fault.message for fault in SCHEMAS[event.type].iter_errors(json.loads(event.body()))]
    assert not faults, f"{event.type}: {faults}"
