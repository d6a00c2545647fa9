"""Pages of a list, newest first, filtered."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from google.api_core.exceptions import InvalidArgument

from infra.local.secret_manager.errors import api_error
from infra.local.secret_manager.filters import Predicate
from infra.local.secret_manager.limits import MAX_PAGE_SIZE
from infra.local.secret_manager.messages import Message


def cut_page(
    items: Iterable[tuple[int, Message]], request: Message, matches: Predicate
) -> tuple[list[Message], str, int]:
    """Cut the page a list request asks for from items numbered downwards.

    Returns the page, the token of the next one (it names the last number seen, so insertions do not shift it) and
    the total, 0 under a filter. Raises InvalidArgument.
    """
    if request.page_size < 0:
        raise api_error(InvalidArgument, "The page size cannot be negative.")
    found = [(number, item) for number, item in items if matches(item)]
    total = 0 if request.filter else len(found)
    if request.page_token:
        before = _read_token(request.page_token)
        found = [(number, item) for number, item in found if number < before]
    size = min(request.page_size or MAX_PAGE_SIZE, MAX_PAGE_SIZE)
    page = found[:size]
    token = _write_token(page[-1][0]) if len(found) > size else ""
    return [item for _, item in page], token, total


def _write_token(number: int) -> str:
    return base64.urlsafe_b64encode(f"before:{number}".encode()).decode()


def _read_token(token: str) -> int:
    try:
        word, _, number = base64.urlsafe_b64decode(token).decode().partition(":")
        if word == "before":
            return int(number)
    except (binascii.Error, ValueError):
        pass
    raise api_error(InvalidArgument, "The page token is not valid.")
