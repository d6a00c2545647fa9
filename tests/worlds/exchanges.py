"""One exchange with a scripted transport: a client, a grant, keys, and the answers of a token endpoint."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from tests.fakes.token_requests import build_token_request
from token_refresh.adapters.signing import KeySigner
from token_refresh.core.grant import Client, Grant, RefreshTokenGrant
from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import TokenOutcome
from token_refresh.errors import TransportError
from token_refresh.token_endpoint.exchange import Exchange

NOW = 1_800_000_000.5
URL = "https://a.example/token"
CLIENT = Client("client", Secret("client-secret-1234"))
GRANT = RefreshTokenGrant(Secret("refresh-token-1234"))


def pem(key: Any) -> Secret:
    return Secret(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )


RSA_KEY = pem(rsa.generate_private_key(65537, 2048))
EC_KEY = pem(ec.generate_private_key(ec.SECP256R1()))
EC_384_KEY = pem(ec.generate_private_key(ec.SECP384R1()))


class Script:
    """A transport that answers from a list and remembers what was sent."""

    def __init__(self, *answers: HttpReply | TransportError) -> None:
        self.answers = list(answers)
        self.sent: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpReply:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, TransportError):
            raise answer
        return answer

    def form(self, number: int = 0) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.sent[number].body.decode()).items()}


def reply(status: int, body: object, **headers: str) -> HttpReply:
    return HttpReply(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


TOKEN = reply(200, {"access_token": "new-access-token", "expires_in": 60, "refresh_token": "new-refresh-token"})


def provider(**keys: Any) -> Provider:
    return parse_providers({"p": {"token_url": URL, **keys}})["p"]


def endpoint(script: Script) -> Exchange:
    return Exchange(script, KeySigner(), lambda: NOW)


def refresh(  # noqa: PLR0913 - all that a refresh may need
    script: Script,
    grant: Grant = GRANT,
    client: Client | None = CLIENT,
    *,
    variables: dict[str, str] | None = None,
    scopes: tuple[str, ...] = (),
    subject: str | None = None,
    **keys: Any,
) -> TokenOutcome:
    return endpoint(script).refresh(
        build_token_request(provider(**keys), grant, client, variables=variables, scopes=scopes, owner=subject)
    )


def claims_of(token: str, key: Secret, algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Verify with a library that had no part in the signing."""
    jwt = JWT(jwt=token, key=JWK.from_pem(key.reveal().encode()), algs=[algorithm], check_claims={})
    return json.loads(jwt.header), json.loads(jwt.claims)
