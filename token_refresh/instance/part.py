"""A part of the instance: built when it is first asked for, and once.

    @part
    def store(self) -> SecretManager: ...

Requests that come at once ask for it at once, and two runners would each have the whole quota: one request builds, the
others wait (since Python 3.12 `cached_property` has no lock of its own). Most of the time goes into imports, of which
everything stays: what collects garbage would look at it again and again, a twentieth of a cold start.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

_T = TypeVar("_T")
_lock = threading.RLock()


class part(cached_property[_T]):  # noqa: N801 - a decorator
    """Build it under a lock, without collecting garbage."""

    if not TYPE_CHECKING:  # the types are those of `cached_property`

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            """Return the part."""
            with _lock, _collecting_nothing():
                return super().__get__(instance, owner)


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
