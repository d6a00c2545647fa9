"""The calls that each function makes at Google, recorded between the running function and the local services.

Every function runs as a process of its own and reaches Secret Manager and Pub/Sub through a gate of its own. The gate
passes on whatever it is given, and writes down the method, the resource, and whether the call showed a caller's token.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Self

import grpc
import requests
from google.pubsub_v1.types import PublishRequest

from infra.local.processes.functions import Function
from infra.local.secret_manager.rpcs import load_rpcs
from infra.local.secret_manager.server import resource_of
from infra.local.stack import EVENTS_TOPIC, REFRESH_TOPIC, Stack
from tests.infra.recorded_day import RISC_AUDIENCE, play
from tests.worlds.issuer import serve_keys
from tests.worlds.stack import StackWorld

FUNCTIONS = ("refresh_http", "consent", "notify", "status", "token", "risc")
_KINDS = {"-refresh-token": "connection secrets", "-access-token": "access-token secrets"}


class GoogleCall(NamedTuple):
    """A call as its function made it. `on` is in the words of docs/security.md."""

    function: str
    method: str
    on: str
    with_a_callers_token: bool


class Gate:
    """Passes calls of one function on to the local Secret Manager and Pub/Sub, and records them; a context manager."""

    def __init__(self, function: str, calls: set[GoogleCall], secret_manager: str, pubsub: str) -> None:
        self._function, self._calls = function, calls
        self._hosts = {"google.cloud.secretmanager.v1": secret_manager, "google.pubsub.v1": pubsub}
        self._requests = {rpc.path: rpc.request for rpc in load_rpcs().values()}
        self._exits = ExitStack()
        self.address = ""

    def __enter__(self) -> Self:
        channels = {
            package: self._exits.enter_context(grpc.insecure_channel(host, [("grpc.enable_http_proxy", 0)]))
            for package, host in self._hosts.items()
        }
        server = grpc.server(self._exits.enter_context(ThreadPoolExecutor(32)))
        server.add_generic_rpc_handlers((_Handler(channels, self._record),))
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        self._exits.callback(lambda: server.stop(0).wait(10))
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _record(self, method: str, body: bytes, metadata: dict[str, Any]) -> None:
        if request := self._requests.get(method):
            resource = resource_of(request.FromString(body))
        else:
            resource = PublishRequest.deserialize(body).topic
        self._calls.add(GoogleCall(self._function, method, _on(resource), "authorization" in metadata))


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
    def __init__(self, channels: dict[str, Any], record: Callable[[str, bytes, dict[str, Any]], None]) -> None:
        self._channels, self._record = channels, record

    def service(self, details: Any) -> Any:
        service, _, _ = details.method.lstrip("/").partition("/")
        forward = self._channels[service.rpartition(".")[0]].unary_unary(details.method)

        def answer(body: bytes, context: Any) -> Any:
            metadata = dict(context.invocation_metadata())
            self._record(details.method, body, metadata)
            # What a call carries of its own: the rest belongs to the connection.
            passed = [(key, value) for key, value in metadata.items() if key == "authorization"]
            try:
                return forward(body, timeout=30, metadata=passed)
            except grpc.RpcError as fault:
                context.abort(fault.code(), fault.details())

        return grpc.unary_unary_rpc_method_handler(answer)


def _on(resource: str) -> str:
    """Say what a call is about: `project`, a kind of secrets, a topic."""
    parts = resource.split("/")
    if "topics" in parts:
        return {REFRESH_TOPIC: "topic refresh", EVENTS_TOPIC: "topic events"}[parts[-1]]
    if "secrets" not in parts:
        return "project"
    name = parts[parts.index("secrets") + 1]
    if name.startswith("oauth-client-"):
        return "client registrations"
    return next(kind for suffix, kind in _KINDS.items() if name.endswith(suffix))


@functools.cache
def recorded_calls() -> frozenset[GoogleCall]:
    """Let all functions do all that they do, once, and return what they called."""
    calls: set[GoogleCall] = set()
    with (
        Stack(functions=(), emulator=False, environment={"CONFIRM_AFTER": "1"}) as stack,
        _functions(stack, calls),
        stack.secret_manager.client() as client,
        requests.Session() as session,
    ):
        session.trust_env = False
        session.headers["Connection"] = "close"
        play(
            StackWorld(stack, client, session),
            lambda function: {call.method for call in calls if call.function == function},
        )
    return frozenset(calls)


@contextmanager
def _functions(stack: Stack, calls: set[GoogleCall]) -> Iterator[None]:
    """Start every function behind a gate of its own, with what reaches it by push."""
    with ExitStack() as exits:
        issuer = exits.enter_context(serve_keys())
        environments: dict[str, dict[str, str]] = {name: {} for name in FUNCTIONS}
        for name, environment in environments.items():
            gate = exits.enter_context(Gate(name, calls, stack.secret_manager.grpc_address, stack.pubsub.address))
            environment |= {"SECRET_MANAGER_EMULATOR_HOST": gate.address, "PUBSUB_EMULATOR_HOST": gate.address}
            stack.functions[name] = Function(name, environment=environment, logs=stack.directory)
        stack.environment |= {
            "CONSENT_URL": stack.functions["consent"].url,
            "CONSENT_SIGNING_KEY": secrets.token_urlsafe(32),
            "RISC_AUDIENCES": RISC_AUDIENCE,
            "RISC_JWKS_URL": issuer.url,
        }
        for name, function in stack.functions.items():
            environments[name].update({**stack.environment, **environments[name]})
            function.start()
            exits.callback(function.stop)
        for function in stack.functions.values():
            function.wait()
        stack.pubsub.create_subscription("run", REFRESH_TOPIC, push_to=stack.functions["refresh_http"].url)
        stack.pubsub.create_subscription(
            "tell", EVENTS_TOPIC, push_to=stack.functions["notify"].url, bare=True, ordered=True
        )
        yield
