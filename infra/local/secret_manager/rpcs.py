"""The RPCs of Secret Manager v1, read from the tables of the installed client library.

The generated gRPC transport names every RPC path and message type, the generated REST transport every route; so
this module lists none of them, and a new release of the client brings its new RPCs along.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import starmap
from typing import get_args, get_origin, get_type_hints

import grpc
from google.cloud.secretmanager_v1.services.secret_manager_service.transports.grpc import (
    SecretManagerServiceGrpcTransport,
)
from google.cloud.secretmanager_v1.services.secret_manager_service.transports.rest_base import (
    _BaseSecretManagerServiceRestTransport as RestTables,
)

from infra.local.secret_manager.messages import Message, MessageClass


@dataclass(frozen=True)
class Route:
    """Name one REST route of an RPC; `fields` are the request fields that stand in the path, in order."""

    method: str
    path: re.Pattern[str]
    fields: tuple[str, ...]
    body: str | None


@dataclass(frozen=True)
class Rpc:
    """Name one RPC: its gRPC path, its protobuf request class and its REST routes."""

    name: str
    path: str
    request: MessageClass
    routes: tuple[Route, ...]

    @property
    def function(self) -> str:
        """Name the RPC the way Python code does, `AddSecretVersion` as `add_secret_version`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()

    @property
    def writes(self) -> bool:
        """Tell whether the RPC counts against the write quota."""
        return not self.name.startswith(("Access", "Get", "List", "Test"))


def load_rpcs() -> dict[str, Rpc]:
    """Read the RPC tables of the installed client, by RPC name."""
    recorder = _PathRecorder()
    with grpc.insecure_channel("127.0.0.1:1") as channel:  # never connects: the recorder lets no call through
        transport = SecretManagerServiceGrpcTransport(channel=grpc.intercept_channel(channel, recorder))
        for function, request in _stubs():
            with contextlib.suppress(_Recorded):
                getattr(transport, function)(request())
    return {rpc.name: rpc for rpc in starmap(_load_rpc, recorder.calls)}


def _stubs() -> Iterator[tuple[str, MessageClass]]:
    """Find the transport's stubs and their request classes: the properties that return `Callable[[Request], ...]`."""
    for name, member in vars(SecretManagerServiceGrpcTransport).items():
        if isinstance(member, property):
            hint = get_type_hints(member.fget).get("return")
            if get_origin(hint) is Callable:
                (request,), _ = get_args(hint)
                yield name, request


def _load_rpc(path: str, request: MessageClass) -> Rpc:
    name = path.rpartition("/")[2]
    options = getattr(RestTables, f"_Base{name}")._get_http_options()  # noqa: SLF001 - the table has no public name
    return Rpc(name, path, request.pb() if hasattr(request, "pb") else request, tuple(map(_load_route, options)))


def _load_route(option: Mapping[str, str]) -> Route:
    """Turn a template such as `/v1/{name=projects/*/secrets/*}:access` into a pattern (google.api.http syntax)."""
    pieces = re.split(r"\{([\w.]+)=([^}]+)\}", option["uri"])
    literals, fields, values = pieces[0::3], pieces[1::3], pieces[2::3]
    pattern = re.escape(literals[0])
    for value, literal in zip(values, literals[1:], strict=True):
        pattern += f"({re.escape(value).replace(re.escape('*'), '[^/:]+')})" + re.escape(literal)
    return Route(option["method"].upper(), re.compile(pattern), tuple(fields), option.get("body"))


class _Recorded(Exception):
    """End a recorded call before it is sent."""


class _PathRecorder(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    """Keep the path and request class of each call, and send none."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, MessageClass]] = []

    def intercept_unary_unary(self, _continuation: object, client_call_details: Message, request: Message) -> None:
        self.calls.append((client_call_details.method, type(request)))
        raise _Recorded
