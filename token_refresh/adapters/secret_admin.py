"""What the command does to Secret Manager beyond what the functions may: create, label and delete secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from google.api_core import exceptions
from google.cloud import secretmanager_v1 as sm

from token_refresh.adapters.secret_manager_client import cause_of
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
        with _translated(f"create secret {secret_id}"):
            try:
                self._client.create_secret(request, timeout=_SECONDS)
            except exceptions.AlreadyExists:
                raise SecretExists(f"secret {secret_id} exists already") from None

    def label(self, secret_id: str, labels: Mapping[str, str]) -> None:
        """Replace a secret's labels. Raises `StoreDenied`, `StoreUnavailable`."""
        secret = {"name": f"{self._parent}/secrets/{secret_id}", "labels": dict(labels)}
        with _translated(f"label secret {secret_id}"):
            self._client.update_secret({"secret": secret, "update_mask": {"paths": ["labels"]}}, timeout=_SECONDS)

    def delete(self, secret_id: str) -> None:
        """Delete a secret and its versions. Raises `StoreDenied`, `StoreUnavailable`."""
        with _translated(f"delete secret {secret_id}"), suppress(exceptions.NotFound):
            self._client.delete_secret(name=f"{self._parent}/secrets/{secret_id}", timeout=_SECONDS)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (exceptions.PermissionDenied, exceptions.Unauthenticated):
        raise StoreDenied(f"cannot {what}: not allowed") from None
    except exceptions.GoogleAPIError as fault:
        raise StoreUnavailable(f"cannot {what}: {cause_of(fault)}") from None
