"""Where a secret may be opened: the wire, the store, the masking of other people's text."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house.modules import FILES

# Where a secret leaves, and why there; nowhere else may one be opened.
MAY_REVEAL = {
    "core.secrecy": "masks secrets in other people's text",
    "core.access_token": "the document that jobs read",
    "core.grant": "the payload with a new refresh token",
    "core.consent.account": "reads who an ID token names",
    "core.consent.authorization": "sends the hash of a PKCE verifier",
    "core.signals": "compares a revoked token's hash or beginning",
    "core.token_endpoint.reply": "looks whether a reply repeats a secret",
    "core.token_endpoint.request": "the request to a token endpoint",
    "core.token_endpoint.revocation": "the request to a revocation endpoint",
    "core.token_exchange": "the answer to a caller that may read the access token",
    "token_endpoint.checks": "what a client registration lacks",
    "token_endpoint.dpop": "the header with a proof",
    "refresh.access_tokens": "an access token stored as bare text",
    "refresh.attempt": "tells one refresh token from another",
    "instance.recent": "hashes a caller's token under a key of the instance",
    "notify": "URLs of notifications, which hold passwords",
    "adapters.caller_secrets": "asks Secret Manager as the caller",
    "adapters.messages": "URLs of notifications, which hold passwords",
    "adapters.signing": "loads a private key",
    "adapters.tickets": "loads the keys of consent links",
}


def reveals(path: Path) -> bool:
    """Tell whether a file opens secrets: called, or handed on to be called."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return any(isinstance(node, ast.Attribute) and node.attr == "reveal" for node in nodes)


def test_secrets_are_revealed_only_where_they_leave() -> None:
    """`.reveal()` is greppable: the wire, the store, the masking of other people's text, and no other place."""
    assert {module for module in FILES if reveals(FILES[module])} == {f"token_refresh.{name}" for name in MAY_REVEAL}
