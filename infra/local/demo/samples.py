"""Declare connections in the local stack as an operator does with gcloud or Terraform: secrets with labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from google.api_core.exceptions import NotFound
from google.cloud.secretmanager_v1 import Replication, Secret, SecretPayload

from infra.local.stack import Stack

SCOPES = "openid email profile"


@dataclass(frozen=True)
class Sample:
    """A sample connection: what it shows, its provider, its owner, and which client it uses."""

    name: str
    shows: str
    provider: str
    owner: str
    client: str
    purpose: str = ""


class Secrets:
    """Write and read secrets of the stack's project with the real client library."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._exits = ExitStack()
        self._client = self._exits.enter_context(stack.secret_manager.client())
        self._parent = f"projects/{stack.project}"

    def close(self) -> None:
        """Let go of the connection."""
        self._exits.close()

    def create(
        self, secret_id: str, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
    ) -> None:
        """Create an empty secret."""
        automatic = Replication(automatic=Replication.Automatic())
        secret = Secret(replication=automatic, labels=labels or {}, annotations=annotations or {})
        self._client.create_secret(parent=self._parent, secret_id=secret_id, secret=secret)

    def add(self, secret_id: str, payload: str) -> int:
        """Add a version; answers its number."""
        parent = f"{self._parent}/secrets/{secret_id}"
        version = self._client.add_secret_version(parent=parent, payload=SecretPayload(data=payload.encode()))
        return int(version.name.rpartition("/")[2])

    def latest(self, secret_id: str) -> str | None:
        """Read the newest version as a downstream job does; None when there is none."""
        try:
            answer = self._client.access_secret_version(name=f"{self._parent}/secrets/{secret_id}/versions/latest")
        except NotFound:
            return None
        return answer.payload.data.decode()

    def allow(self, secret_id: str, account: str) -> None:
        """Let a service account read a secret: roles/secretmanager.secretAccessor and nothing else."""
        binding = {"role": "roles/secretmanager.secretAccessor", "members": [f"serviceAccount:{account}"]}
        resource = f"{self._parent}/secrets/{secret_id}"
        self._client.set_iam_policy(request={"resource": resource, "policy": {"bindings": [binding]}})

    def annotations(self, secret_id: str) -> dict[str, str]:
        """Read a secret's annotations."""
        return dict(self._client.get_secret(name=f"{self._parent}/secrets/{secret_id}").annotations)

    def declare_client(self, client: str, *, client_secret: str = "", provider: str = "", **switches: object) -> None:
        """Register a client at the authorization server and store its registration as `oauth-client-<client>`.

        `client_secret` stores another one than the server knows, `provider` says whose client it is where its name does
        not; `switches` are those of `create_client`.
        """
        redirect_uris = [f"{self._stack.environment.get('CONSENT_URL', 'http://127.0.0.1')}/callback"]
        known = self._stack.authorization_server.create_client(client, redirect_uris=redirect_uris, **switches)  # type: ignore[arg-type]
        self.create(f"oauth-client-{client}")
        registration = {"client_id": known.client_id, "client_secret": client_secret or known.client_secret}
        registration |= {"provider": provider} if provider else {}
        self.add(f"oauth-client-{client}", json.dumps(registration))

    def declare(self, sample: Sample, refresh_token: str = "") -> None:
        """Declare a connection: its two secrets, and the grant when there is one already."""
        annotations = {
            "token-refresh.client": f"oauth-client-{sample.client}",
            "token-refresh.scopes": SCOPES,
            "token-refresh.owner": sample.owner,
            **({"token-refresh.purpose": sample.purpose} if sample.purpose else {}),
        }
        labels = {"token-refresh": "enabled", "token-refresh-provider": sample.provider}
        self.create(f"{sample.name}-access-token")
        self.create(f"{sample.name}-refresh-token", labels, annotations)
        if refresh_token:
            self.add(f"{sample.name}-refresh-token", refresh_token)
