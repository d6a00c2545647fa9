"""The transport that providers are reached by, with a test's patience, and authorization servers of others."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from infra.local.authorization_server import AuthorizationServer
from tests.peers.exchanges import OWNER
from tests.peers.oidc_provider import OidcProvider
from tests.worlds.odd_servers import PATIENCE
from token_refresh.adapters.http import PooledTransport
from token_refresh.adapters.signing import KeySigner
from token_refresh.token_endpoint.exchange import Exchange


@pytest.fixture
def transport() -> Iterator[PooledTransport]:
    transport = PooledTransport(PATIENCE)
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def node() -> Iterator[OidcProvider]:
    with OidcProvider() as peer:
        yield peer


@pytest.fixture(scope="module")
def django() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as server:
        server.create_user(OWNER)
        yield server


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Exchange]:
    transport = PooledTransport(10)
    yield Exchange(transport, KeySigner(), time.time)
    transport.close()
