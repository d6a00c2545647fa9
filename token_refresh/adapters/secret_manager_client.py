"""Google's client for Secret Manager: global, regional, or the local stack's; and how its calls are repeated."""

from __future__ import annotations

from typing import Any, Final

from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import secretmanager_v1 as sm

from token_refresh.settings import Settings

_RETRY = Retry(
    predicate=if_exception_type(
        exceptions.ServiceUnavailable,
        exceptions.ResourceExhausted,
        exceptions.TooManyRequests,
        exceptions.InternalServerError,
        exceptions.DeadlineExceeded,
        exceptions.GatewayTimeout,
        exceptions.Aborted,
    ),
    initial=0.1,
    maximum=2.0,
    multiplier=2.0,
    timeout=8.0,
)
CALL_OPTIONS: Final[dict[str, Any]] = {"retry": _RETRY, "timeout": 10.0}


def build_client(settings: Settings) -> sm.SecretManagerServiceClient:
    """Build the client: global, regional, or the local stack's (plaintext, without credentials)."""
    host = settings.secret_manager_emulator_host
    if host:
        import grpc  # noqa: PLC0415 - only the local stack needs it by name
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (  # noqa: PLC0415
            SecretManagerServiceGrpcTransport,
        )

        # As the library sets up its own channel; loopback needs no proxy.
        channel = grpc.insecure_channel(
            host, options=[("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
        )
        return sm.SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
    if settings.location:
        endpoint = f"secretmanager.{settings.location}.rep.googleapis.com"
        return sm.SecretManagerServiceClient(client_options=ClientOptions(api_endpoint=endpoint))
    return sm.SecretManagerServiceClient()


def parent_of(project: str, location: str) -> str:
    """Return the parent of all secrets' names."""
    return f"projects/{project}/locations/{location}" if location else f"projects/{project}"
