"""The loop that most people deploy today: one connection after the other, by the book of two client libraries.

The bench's baseline. It is given every fairness: one client for all calls, one HTTP session kept alive, the client
registration read once, old versions never destroyed.
"""

from __future__ import annotations

import json
import time
from datetime import UTC
from typing import Any

import google.auth.transport.requests
import requests
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.oauth2.credentials import Credentials


def refresh_all(
    client: SecretManagerServiceClient, project: str, client_secret_id: str, token_uri: str, most: int
) -> list[float]:
    """Refresh up to `most` of the project's connections, in the order of the list; returns the seconds each took."""
    registration = json.loads(_read(client, f"{project}/secrets/{client_secret_id}"))
    seconds: list[float] = []
    with requests.Session() as session:
        session.trust_env = False
        request = google.auth.transport.requests.Request(session)
        for secret in client.list_secrets(request={"parent": project, "filter": "labels.token-refresh=enabled"}):
            if len(seconds) == most:
                break
            began = time.perf_counter()
            credentials: Any = Credentials(  # type: ignore[no-untyped-call]
                None,
                refresh_token=_read(client, secret.name),
                token_uri=token_uri,
                client_id=registration["client_id"],
                client_secret=registration["client_secret"],
            )
            credentials.refresh(request)
            expires_at = credentials.expiry.replace(tzinfo=UTC).timestamp()
            document = json.dumps({"access_token": credentials.token, "expires_at": expires_at})
            parent = secret.name.removesuffix("-refresh-token") + "-access-token"
            client.add_secret_version(request={"parent": parent, "payload": {"data": document.encode()}})
            seconds.append(time.perf_counter() - began)
    return seconds


def _read(client: SecretManagerServiceClient, secret: str) -> str:
    answer = client.access_secret_version(request={"name": f"{secret}/versions/latest"})
    return answer.payload.data.decode().strip()
