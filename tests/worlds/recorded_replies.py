"""The replies in tests/replies, and whose they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from token_refresh.core.http import HttpReply
from token_refresh.providers import BUILT_IN, read_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

REPLIES = sorted((Path(__file__).parent.parent / "replies").glob("*.json"))
TABLES = read_tables(BUILT_IN)


def recorded(name: str) -> str:
    """Return the definition whose replies stand for those of `name`."""
    table = TABLES[name]
    assert isinstance(table, dict)
    return str(table["extends"]) if set(table) == {"extends", "variables"} else name


def reply_of(record: Mapping[str, Any]) -> HttpReply:
    reply = record["reply"]
    body = reply["text"] if "text" in reply else json.dumps(reply["body"])
    return HttpReply(reply["status"], reply["headers"], body.encode())
