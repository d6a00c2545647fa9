"""A refresh as the pool sees it: what it will write, where it asks, and how urgent it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.url import token_endpoint_host
from token_refresh.instance.lanes import Task
from token_refresh.run.run import Run
from token_refresh.run.visit import Visit

# Writes of one refresh: the access token and the destruction of an old one; of a replaced refresh token besides: the
# lease, the new refresh token, the release, and the destruction of an old one.
_WRITES: Final = 2
_WRITES_REPLACED: Final = 6
_WRITES_TEXT: Final = 1


def build_task(visit: Visit, provider: Provider | None, work: Callable[[], Visit]) -> Task:
    """Describe the attempt that `work` makes; all its writes are reserved before it begins (contract 9)."""
    connection = visit.connection
    is_replacing = bool(provider and provider.rotates)
    return Task(
        key=connection.secret_id,
        host=token_endpoint_host(provider, connection.variables) if provider else "",
        writes=(_WRITES_REPLACED if is_replacing else _WRITES) + _WRITES_TEXT * connection.is_text,
        is_single_use=is_replacing,
        work=work,
    )


def urgency(visit: Visit, run: Run) -> tuple[bool, float, str]:
    """Return what to sort by: versions that were named, then least life first (contract 9)."""
    left = visit.facts.expires_at - run.began if visit.facts else 0.0
    return (visit.connection.name not in run.trigger.versions, left, visit.connection.name)
