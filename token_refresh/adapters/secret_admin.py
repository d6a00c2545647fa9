"""What the command does to Secret Manager beyond what the functions may: create, label and delete secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.api_core import exceptions
from google.cloud import secretmanager_v1 as sm

from token_refresh.errors import SecretExists, StoreDenied, StoreUnavailable

_SECONDS: Final = 20.0


class SecretAdmin:
    """Secret Manager with the rights of the person at the terminal."""

    def __init__(self, client: sm.SecretManagerServiceClient, parent: str) -> None:
        self._client = client
        self._parent = parent

    def create(self, secret_id: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
        """Create an empty secret. Raises `SecretExists`, `StoreDenied`, `StoreUnavailable`."""
        secret: dict[str, Any] = {"labels": dict(labels), "annotations": dict(annotations)}
        if "/locations/" not in self._parent:
            secret["replication"] = {"automatic": {}}
        request = {"parent": self._parent, "secret_id": secret_id, "secret": secret}
        try:
            self._client.create_secret(request, timeout=_SECONDS)
        except exceptions.AlreadyExists:
            raise SecretExists(f"secret {secret_id} exists already") from None
        except exceptions.GoogleAPIError as fault:
            raise _translated(f"create secret {secret_id}", fault) from None

    def label(self, secret_id: str, labels: Mapping[str, str]) -> None:
        """Replace a secret's labels. Raises `StoreDenied`, `StoreUnavailable`."""
        secret = {"name": f"{self._parent}/secrets/{secret_id}", "labels": dict(labels)}
        try:
            self._client.update_secret({"secret": secret, "update_mask": {"paths": ["labels"]}}, timeout=_SECONDS)
        except exceptions.GoogleAPIError as fault:
            raise _translated(f"label secret {secret_id}", fault) from None

    def delete(self, secret_id: str) -> None:
        """Delete a secret and its versions. Raises `StoreDenied`, `StoreUnavailable`."""
        try:
            self._client.delete_secret(name=f"{self._parent}/secrets/{secret_id}", timeout=_SECONDS)
        except exceptions.NotFound:
            return
        except exceptions.GoogleAPIError as fault:
            raise _translated(f"delete secret {secret_id}", fault) from None


def _translated(what: str, fault: exceptions.GoogleAPIError) -> Exception:
    if isinstance(fault, exceptions.PermissionDenied | exceptions.Unauthenticated):
        return StoreDenied(f"cannot {what}: not allowed")
    # The service's text may quote the request.
    return StoreUnavailable(f"cannot {what}: {type(fault).__name__}")
