"""The local Secret Manager: one state, served over gRPC and REST on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, Self

import grpc
from google.api_core.exceptions import GoogleAPICallError, InvalidArgument, MethodNotImplemented, NotFound
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports.grpc import (
    SecretManagerServiceGrpcTransport,
)

from infra.local.secret_manager.callers import Callers
from infra.local.secret_manager.errors import api_error
from infra.local.secret_manager.faults import Faults, Hung
from infra.local.secret_manager.messages import Json, Message
from infra.local.secret_manager.names import project_number
from infra.local.secret_manager.notifications import Notifications, Notify
from infra.local.secret_manager.rest import Answer, RestServer
from infra.local.secret_manager.rpcs import Rpc, load_rpcs
from infra.local.secret_manager.secret_rpcs import SecretRpcs
from infra.local.secret_manager.store import Store
from infra.local.secret_manager.version_rpcs import VersionRpcs

GRPC_WORKERS = 128


class Call(NamedTuple):
    """Record one call: RPC name, resource as the caller named it, gRPC code name (`HANG` when it got no answer)."""

    rpc: str
    resource: str
    code: str

    @property
    def secret(self) -> str:
        """Give the id of the secret the call was about, "" when it was about none."""
        _, _, tail = self.resource.partition("/secrets/")
        return tail.partition("/")[0]


class SecretManagerServer:
    """Serve Secret Manager v1 from memory; use it as a context manager, or call `start` and `stop`.

    `faults` sets what goes wrong, `calls` lists what was called, oldest first, `callers` issues the access tokens that
    calls may carry. It listens on free ports: `grpc_address` (`host:port`) and `rest_url` tell which.
    `notify(topic, attributes, data)` gets the events of secrets with topics.
    """

    def __init__(self, project: str = "local-project", notify: Notify | None = None) -> None:
        self.project, self.project_number = project, project_number(project)
        self.faults, self.calls, self.callers = Faults(), list[Call](), Callers()
        self._notifications = Notifications(notify)
        store = Store(self.faults, self._notifications)
        self._secrets = SecretRpcs(store)
        self._rooms = (self._secrets, VersionRpcs(store))
        self.rpcs = load_rpcs()

    def start(self) -> Self:
        """Listen; returns itself."""
        self._rest = RestServer(self.rpcs.values(), self.answer, self._control)
        self._pool = ThreadPoolExecutor(GRPC_WORKERS, thread_name_prefix="secret-manager")
        self._grpc = grpc.server(
            self._pool,
            handlers=_grpc_handlers(self.rpcs.values(), self.answer),
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)],
        )
        self.grpc_address = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self.rest_url = self._rest.url
        self._notifications.start()
        self._grpc.start()
        self._rest.start()
        return self

    def stop(self) -> None:
        """Let hanging calls go and stop listening."""
        self.faults.clear()
        self._rest.stop()
        self._grpc.stop(0).wait(5)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._notifications.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def client(self) -> Iterator[SecretManagerServiceClient]:
        """Connect the real client, over gRPC."""
        # Loopback needs no proxy.
        with grpc.insecure_channel(self.grpc_address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            yield SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))

    def answer(
        self, rpc: Rpc, request: Message, is_waiting: Callable[[], bool], authorization: str | None = None
    ) -> Message:
        """Carry out one call, with the faults that strike it, and record it.

        `is_waiting` tells whether the caller is still there, `authorization` is what it showed. Raises
        GoogleAPICallError, or Hung for no answer.
        """
        call = Call(rpc.name, resource_of(request), "UNKNOWN")
        try:
            struck = self.faults.match(rpc.name, call.secret)
            self.faults.strike(struck, "before", is_waiting)
            self.callers.check(rpc, call.resource, authorization, lambda: self._secrets.policy_of(call.resource))
            if rpc.writes:
                self.faults.spend_write(self.project_number)
            reply = self._function(rpc)(request)
            self.faults.strike(struck, "after", is_waiting)
            call = call._replace(code="OK")
        except GoogleAPICallError as error:
            if error.grpc_status_code:
                call = call._replace(code=error.grpc_status_code.name)
            raise
        except Hung:
            call = call._replace(code="HANG")
            raise
        finally:
            self.calls.append(call)
        return reply

    def rotate(self, name: str) -> None:
        """Send a secret's SECRET_ROTATE notification now, as if its next_rotation_time had come.

        Raises NotFound, and FailedPrecondition for a secret without a rotation policy.
        """
        self._secrets.rotate(name)

    def _control(self, method: str, path: str, body: Json) -> Json:
        """Carry out a control of the local stack. Raises InvalidArgument, NotFound."""
        match method, path:
            case "GET", "/_local/faults":
                return self.faults.describe()
            case "PUT", "/_local/faults":
                try:
                    self.faults.replace(body or {})
                except (TypeError, ValueError, AttributeError) as error:
                    raise api_error(InvalidArgument, str(error)) from error
                return self.faults.describe()
            case "DELETE", "/_local/faults":
                self.faults.clear()
                return {}
            case "GET", "/_local/calls":
                return {"calls": [call._asdict() for call in list(self.calls)]}
            case "DELETE", "/_local/calls":
                self.calls.clear()
                return {}
            case "POST", "/_local/tokens":
                options = body or {}
                token = self.callers.issue(str(options.get("account", "")), float(options.get("seconds", 3600)))
                return {"access_token": token}
            case "POST", "/_local/rotations":
                self.rotate(str((body or {}).get("secret", "")))
                return {}
        raise api_error(NotFound, f"The local stack has no {method} {path}.")

    def _function(self, rpc: Rpc) -> Callable[[Message], Message]:
        for room in self._rooms:
            function: Callable[[Message], Message] | None = getattr(room, rpc.function, None)
            if function:
                return function
        raise api_error(MethodNotImplemented, f"{rpc.name} is not part of the local stack.")


def resource_of(request: Message) -> str:
    """Name what a request is about, in the caller's own words."""
    if hasattr(request, "secret_id"):
        return f"{request.parent}/secrets/{request.secret_id}"
    if hasattr(request, "secret"):
        return str(request.secret.name)
    return next((getattr(request, key) for key in ("name", "parent", "resource") if hasattr(request, key)), "")


def _grpc_handlers(rpcs: Iterable[Rpc], answer: Answer) -> list[grpc.GenericRpcHandler]:
    def behaviour(rpc: Rpc) -> Callable[[Message, grpc.ServicerContext], Message]:
        def respond(request: Message, context: grpc.ServicerContext) -> Message:
            try:
                shown = dict(context.invocation_metadata()).get("authorization")
                return answer(rpc, request, context.is_active, shown)
            except GoogleAPICallError as error:
                context.abort(error.grpc_status_code, error.message)
            except Hung:
                context.abort(grpc.StatusCode.CANCELLED, "The local stack was told not to answer.")

        return respond

    services: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
    for rpc in rpcs:
        _, service, method = rpc.path.split("/")
        services.setdefault(service, {})[method] = grpc.unary_unary_rpc_method_handler(
            behaviour(rpc),
            request_deserializer=rpc.request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
    return [grpc.method_handlers_generic_handler(*item) for item in services.items()]
