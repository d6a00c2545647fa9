"""The transport that providers are reached by, with a test's patience."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds.odd_servers import PATIENCE
from token_refresh.adapters.http import PooledTransport


@pytest.fixture
def transport() -> Iterator[PooledTransport]:
    transport = PooledTransport(PATIENCE)
    yield transport
    transport.close()
