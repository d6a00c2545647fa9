"""The loop that most people deploy today: one connection after the other, by the book of two client libraries.

The bench's baseline. It is given every fairness: one client for all calls, the client registration read once and, with
Google's library, one HTTP session kept alive. It makes the same reads and writes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC
from typing import Any

import google.auth.transport.requests
import requests
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.oauth2.credentials import Credentials
from requests_oauthlib import OAuth2Session  # type: ignore[import-untyped]

Exchange = Callable[[str, dict[str, str], str], dict[str, Any]]
KEPT = 2  # versions


def refresh_all(  # noqa: PLR0913, PLR0917 - what it is about, and how
    client: SecretManagerServiceClient,
    project: str,
    client_secret_id: str,
    token_uri: str,
    most: int,
    exchange: Exchange | None = None,
) -> list[float]:
    """Refresh up to `most` of the project's connections, in the order of the list; returns the seconds each took."""
    registration = json.loads(_read(client, f"{project}/secrets/{client_secret_id}"))
    seconds: list[float] = []
    with requests.Session() as session:
        session.trust_env = False
        exchange = exchange or google_auth(session)
        for secret in client.list_secrets(request={"parent": project, "filter": "labels.token-refresh=enabled"}):
            if len(seconds) == most:
                break
            began = time.perf_counter()
            document = exchange(token_uri, registration, _read(client, secret.name))
            parent = secret.name.removesuffix("-refresh-token") + "-access-token"
            payload = {"data": json.dumps(document).encode()}
            added = client.add_secret_version(request={"parent": parent, "payload": payload})
            number = int(added.name.rpartition("/")[2])
            if number > KEPT:
                client.destroy_secret_version(name=f"{parent}/versions/{number - KEPT}")
            seconds.append(time.perf_counter() - began)
    return seconds


def google_auth(session: requests.Session) -> Exchange:
    """Exchange with Google's library."""
    request = google.auth.transport.requests.Request(session)

    def exchange(token_uri: str, registration: dict[str, str], refresh_token: str) -> dict[str, Any]:
        credentials: Any = Credentials(  # type: ignore[no-untyped-call]
            None,
            refresh_token=refresh_token,
            token_uri=token_uri,
            client_id=registration["client_id"],
            client_secret=registration["client_secret"],
        )
        credentials.refresh(request)
        return {"access_token": credentials.token, "expires_at": credentials.expiry.replace(tzinfo=UTC).timestamp()}

    return exchange


def requests_oauthlib(token_uri: str, registration: dict[str, str], refresh_token: str) -> dict[str, Any]:
    """Exchange with requests-oauthlib, as its documentation shows it: a session for each resource owner."""
    with OAuth2Session(registration["client_id"], token={"refresh_token": refresh_token}) as session:
        session.trust_env = False
        more = {"client_id": registration["client_id"], "client_secret": registration["client_secret"]}
        return dict(session.refresh_token(token_uri, **more))


def _read(client: SecretManagerServiceClient, secret: str) -> str:
    answer = client.access_secret_version(request={"name": f"{secret}/versions/latest"})
    return answer.payload.data.decode().strip()
