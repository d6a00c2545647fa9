"""Read one secret as the caller: Secret Manager is shown the caller's own access token and decides.

One channel for the instance's life and for all callers; it carries no credentials, each call brings its own. So the
function's account needs no permission, and no caller can be taken for another.
"""

from __future__ import annotations

from typing import Final

import grpc
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from token_refresh.adapters.secret_manager_client import cause_of, checked
from token_refresh.core.secrecy import Secret
from token_refresh.errors import CallerNotAccepted, CallerNotAllowed, StoreUnavailable

_CALL_SECONDS: Final = 4.0
# A caller waits for it: one more try or two, not more.
_RETRY: Final = Retry(
    predicate=if_exception_type(
        exceptions.ServiceUnavailable, exceptions.InternalServerError, exceptions.DeadlineExceeded, exceptions.Aborted
    ),
    initial=0.1,
    maximum=1.0,
    multiplier=2.0,
    timeout=5.0,
)


class CallerSecrets:
    """Secret Manager as its callers see it; safe for threads."""

    def __init__(self, channel: grpc.Channel, parent: str) -> None:
        self._client = sm.SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
        self._parent = parent

    def read(self, secret_id: str, caller: Secret) -> bytes:
        """Read the newest version with the caller's token, which goes nowhere else.

        Raises `CallerNotAccepted`, `CallerNotAllowed` (also: no such secret, no usable version), `StoreUnavailable`.
        """
        try:
            reply = self._client.access_secret_version(
                name=f"{self._parent}/secrets/{secret_id}/versions/latest",
                metadata=[("authorization", f"Bearer {caller.reveal()}")],
                retry=_RETRY,
                timeout=_CALL_SECONDS,
            )
        except exceptions.Unauthenticated:
            raise CallerNotAccepted("Secret Manager does not accept the caller's token") from None
        except _NOT_FOR_THEM:
            raise CallerNotAllowed(f"the caller cannot read secret {secret_id}") from None
        except exceptions.GoogleAPIError as fault:
            raise StoreUnavailable(f"cannot access secret {secret_id}: {cause_of(fault)}") from None
        return checked(secret_id, reply.payload)


_NOT_FOR_THEM: Final = (
    exceptions.PermissionDenied,
    exceptions.NotFound,
    exceptions.FailedPrecondition,
    exceptions.InvalidArgument,
)
