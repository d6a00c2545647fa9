"""Google's client for Secret Manager: global, regional, or the local stack's; and its methods, each with its retry.

methods = Methods(build_client(settings))
reply = methods.access(f"{parent_of(settings)}/secrets/{secret_id}/versions/latest")
payload = checked(secret_id, reply.payload)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import google_crc32c
import grpc
from google.api_core import exceptions, grpc_helpers
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport
from google.cloud.secretmanager_v1.services.secret_manager_service.transports.base import DEFAULT_CLIENT_INFO

from token_refresh.errors import StoreUnavailable
from token_refresh.settings import Settings

_PASSING = (
    exceptions.ServiceUnavailable,
    exceptions.ResourceExhausted,
    exceptions.TooManyRequests,
    exceptions.InternalServerError,
    exceptions.DeadlineExceeded,
    exceptions.GatewayTimeout,
)
_RETRY = Retry(
    predicate=if_exception_type(*_PASSING, exceptions.Aborted),
    initial=0.1,
    maximum=2.0,
    multiplier=2.0,
    timeout=8.0,
)
# Two writers at once: the same request again has an etag that is old by then (https://google.aip.dev/154).
_RETRY_UNDER_ETAG = _RETRY.with_predicate(if_exception_type(*_PASSING))
_SECONDS: Final = 10.0

# Of the resource that it is routed by, and the request's other fields, as plain messages. So is the reply: what the
# library wraps around them doubles the time that it takes to write and to read one.
Method = Callable[..., Any]


class Methods:
    """Secret Manager's methods on the client's own channel: the same messages, headers and errors.

    The client's methods wrap each call anew, which takes a fifth of its processor time (docs/benchmarks.md).
    """

    def __init__(self, client: sm.SecretManagerServiceClient) -> None:
        channel = client.transport.grpc_channel  # type: ignore[attr-defined] # of the transports, this one has it
        self.list = _method(channel, "ListSecrets", sm.ListSecretsResponse, "parent")
        self.get = _method(channel, "GetSecret", sm.Secret, "name")
        self.update = _method(channel, "UpdateSecret", sm.Secret, "secret.name", _RETRY_UNDER_ETAG)
        self.access = _method(channel, "AccessSecretVersion", sm.AccessSecretVersionResponse, "name")
        self.add = _method(channel, "AddSecretVersion", sm.SecretVersion, "parent")
        self.destroy = _method(channel, "DestroySecretVersion", sm.SecretVersion, "name")
        self.list_versions = _method(channel, "ListSecretVersions", sm.ListSecretVersionsResponse, "parent")
        self.get_version = _method(channel, "GetSecretVersion", sm.SecretVersion, "name")


def _method(channel: Any, name: str, reply: Any, routed_by: str, retry: Retry = _RETRY) -> Method:
    """Return a method that raises `google.api_core.exceptions`; see https://google.aip.dev/client-libraries/4222."""
    request = getattr(sm, f"{name}Request").pb()
    stub = channel.unary_unary(
        f"/google.cloud.secretmanager.v1.SecretManagerService/{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=reply.pb().FromString,
    )
    call = retry(grpc_helpers.wrap_errors(stub))  # type: ignore[no-untyped-call]
    client = DEFAULT_CLIENT_INFO.to_grpc_metadata()  # type: ignore[no-untyped-call]

    def invoke(resource: str, **fields: Any) -> Any:
        if "." not in routed_by:
            fields[routed_by] = resource
        route = ("x-goog-request-params", f"{routed_by}={quote(resource)}")
        return call(request(**fields), timeout=_SECONDS, metadata=(route, client))

    return invoke


def build_client(settings: Settings) -> sm.SecretManagerServiceClient:
    """Build the client: global, regional, or the local stack's (plaintext, without credentials)."""
    if settings.secret_manager_emulator_host:
        transport = SecretManagerServiceGrpcTransport(channel=open_channel(settings))
        return sm.SecretManagerServiceClient(transport=transport)
    if settings.location:
        return sm.SecretManagerServiceClient(client_options=ClientOptions(api_endpoint=_host_of(settings)))
    return sm.SecretManagerServiceClient()


def open_channel(settings: Settings) -> grpc.Channel:
    """Open a channel without credentials: global, regional, or the local stack's (plaintext)."""
    # As the library sets up its own channel; loopback needs no proxy.
    options = [("grpc.max_receive_message_length", -1)]
    if settings.secret_manager_emulator_host:
        options.append(("grpc.enable_http_proxy", 0))
        return grpc.insecure_channel(settings.secret_manager_emulator_host, options=options)
    return grpc.secure_channel(f"{_host_of(settings)}:443", grpc.ssl_channel_credentials(), options=options)


def _host_of(settings: Settings) -> str:
    return f"secretmanager{f'.{settings.location}.rep' if settings.location else ''}.googleapis.com"


def parent_of(settings: Settings) -> str:
    """Return the parent of all secrets' names."""
    project = f"projects/{settings.project}"
    return f"{project}/locations/{settings.location}" if settings.location else project


def checked(secret_id: str, payload: Any) -> bytes:
    """Return a payload whose checksum holds; raises `StoreUnavailable`."""
    if payload.data_crc32c and int(payload.data_crc32c) != google_crc32c.value(payload.data):
        raise StoreUnavailable(f"secret {secret_id} arrived damaged (checksum)")
    return bytes(payload.data)


def cause_of(fault: exceptions.GoogleAPIError) -> str:
    """Name what a call failed of, and nothing else: the service's text may quote the request."""
    if isinstance(fault, exceptions.RetryError):
        return type(fault.cause).__name__ if fault.cause else "time ran out"
    return type(fault).__name__
