"""Token requests without a store behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from token_refresh.core.connection import Connection, SecretRecord
from token_refresh.core.grant import Client, Grant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.token_request import TokenRequest

__all__ = ["build_connection", "build_token_request"]


def build_connection(provider: str, **fields: object) -> Connection:
    """Build the connection `some`, whose client registration is that of its provider unless `fields` says otherwise."""
    record = SecretRecord("some-refresh-token", {}, {}, "")
    connection = Connection("some", record, provider, f"oauth-client-{provider}", "some-access-token")
    return replace(connection, **fields)  # type: ignore[arg-type]


def build_token_request(
    provider: Provider,
    grant: Grant | None = None,
    client: Client | None = None,
    *,
    variables: Mapping[str, str] | None = None,
    **fields: object,
) -> TokenRequest:
    """Build a request of the connection `some`; `fields` are its spec's."""
    connection = build_connection(provider.name, variables=variables or {}, **fields)
    return TokenRequest(connection, provider, grant, client)
