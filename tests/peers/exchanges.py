"""Exchanges with real authorization servers: who asks, with what, and what a test expects of the answer."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.fakes.token_requests import build_token_request
from tests.peers.oidc_provider import why_missing
from token_refresh.core.grant import Client, Grant, RefreshTokenGrant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import Refreshed, TokenOutcome
from token_refresh.token_endpoint.exchange import Exchange

needs_node = pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "it is here")
OWNER = "ada@example.com"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ODD_SECRET = "s3cret:&/+%~*="


def provider(token_url: str, **keys: Any) -> Provider:
    return parse_providers({"peer": {"token_url": token_url, **keys}})["peer"]


def refresh(endpoint: Exchange, provider: Provider, client: Client, grant: str | Grant) -> TokenOutcome:
    grant = RefreshTokenGrant(Secret(grant)) if isinstance(grant, str) else grant
    return endpoint.refresh(build_token_request(provider, grant, client))


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Secret:
    plain = serialization.NoEncryption()
    return Secret(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode())


def refreshed(outcome: TokenOutcome) -> Refreshed:
    assert isinstance(outcome, Refreshed), outcome
    return outcome
