"""The plain loop that most projects begin with: read, exchange, write. It is the baseline, and it loses grants.

It does what is right for a single process that nobody disturbs: the new refresh token is stored before the access
token. It lacks what this project is about: nothing keeps two of them from spending the same refresh token.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

import grpc
import requests
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

TIMEOUT = 30


def refresh_all(names: Iterable[str], project: str, token_url: str) -> list[str]:
    """Refresh these connections, one after the other; return the names of those that the server refused."""
    with grpc.insecure_channel(os.environ["SECRET_MANAGER_EMULATOR_HOST"]) as channel:
        secrets = SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
        parent = f"projects/{project}/secrets"
        return [name for name in names if not _refresh(secrets, parent, name, token_url)]


def _refresh(secrets: SecretManagerServiceClient, parent: str, name: str, token_url: str) -> bool:
    labels = secrets.get_secret(name=f"{parent}/{name}-refresh-token").labels
    client = json.loads(_read(secrets, f"{parent}/oauth-client-{labels['token-refresh-provider']}"))
    form = {"grant_type": "refresh_token", "refresh_token": _read(secrets, f"{parent}/{name}-refresh-token")}
    credentials = (client["client_id"], client["client_secret"])
    reply = requests.post(token_url, data=form, auth=credentials, timeout=TIMEOUT)
    if reply.status_code != requests.codes.ok:
        return False
    tokens = reply.json()
    _write(secrets, f"{parent}/{name}-refresh-token", tokens["refresh_token"])
    _write(secrets, f"{parent}/{name}-access-token", tokens["access_token"])
    return True


def _read(secrets: SecretManagerServiceClient, secret: str) -> str:
    return str(secrets.access_secret_version(name=f"{secret}/versions/latest").payload.data.decode())


def _write(secrets: SecretManagerServiceClient, secret: str, payload: str) -> None:
    secrets.add_secret_version(request={"parent": secret, "payload": {"data": payload.encode()}})
