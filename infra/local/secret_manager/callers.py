"""Who calls: access tokens that the local stack has issued, and what IAM lets their accounts do.

Off until a token has been issued; from then on a call that carries `authorization: Bearer ...` is held against the
IAM policy of its secret, as in the cloud. A call without it is the owner of the stack, who may do everything.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from google.api_core.exceptions import PermissionDenied, Unauthenticated

from infra.local.secret_manager.errors import api_error
from infra.local.secret_manager.messages import Message
from infra.local.secret_manager.rpcs import Rpc

_ROLE: Final = "roles/secretmanager."
_READS: Final = frozenset({"GetSecret", "GetSecretVersion", "ListSecretVersions", "GetIamPolicy", "TestIamPermissions"})
# https://cloud.google.com/secret-manager/docs/access-control: what each role allows on a secret.
_ALLOWED: Final = {
    f"{_ROLE}secretAccessor": frozenset({"AccessSecretVersion"}),
    f"{_ROLE}viewer": _READS,
    f"{_ROLE}secretVersionAdder": frozenset({"AddSecretVersion"}),
    f"{_ROLE}secretVersionManager": frozenset(
        {"AddSecretVersion", "EnableSecretVersion", "DisableSecretVersion", "DestroySecretVersion", *_READS}
    ),
}
_OF_ALL: Final = frozenset({f"{_ROLE}admin", "roles/owner"})
_PERMISSIONS: Final = {"AccessSecretVersion": "versions.access", "AddSecretVersion": "versions.add"}


class Callers:
    """Issue tokens to accounts and check calls; safe for threads."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def issue(self, account: str, seconds: float = 3600) -> str:
        """Issue an access token to an account (its e-mail address)."""
        token = f"ya29.local-{secrets.token_urlsafe(32)}"
        with self._lock:
            self._tokens[token] = (account, time.time() + seconds)
        return token

    def expire(self, token: str) -> None:
        """End a token now."""
        with self._lock:
            account, _ = self._tokens[token]
            self._tokens[token] = (account, 0.0)

    def account_of(self, token: str) -> str | None:
        """Name the account of a token that is in force."""
        with self._lock:
            account, until = self._tokens.get(token, ("", 0.0))
        return account if until > time.time() else None

    def check(self, rpc: Rpc, resource: str, authorization: str | None, policy: Callable[[], Message | None]) -> None:
        """Refuse a call that its caller may not make. Raises Unauthenticated, PermissionDenied."""
        if authorization is None or not self._tokens:
            return
        scheme, _, token = authorization.partition(" ")
        account = self.account_of(token.strip()) if scheme.lower() == "bearer" else None
        if account is None:
            raise api_error(
                Unauthenticated,
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other"
                " valid authentication credential.",
            )
        if not _is_allowed(rpc.name, account, policy()):
            permission = f"secretmanager.{_PERMISSIONS.get(rpc.name, rpc.function)}"
            message = f"Permission '{permission}' denied for resource '{resource}' (or it may not exist)."
            raise api_error(PermissionDenied, message)


def _is_allowed(rpc: str, account: str, policy: Message | None) -> bool:
    members = {f"user:{account}", f"serviceAccount:{account}", "allUsers", "allAuthenticatedUsers"}
    bindings: Iterable[Message] = policy.bindings if policy else ()
    return any(
        (binding.role in _OF_ALL or rpc in _ALLOWED.get(binding.role, ()))
        and not binding.HasField("condition")
        and members & set(binding.members)
        for binding in bindings
    )
