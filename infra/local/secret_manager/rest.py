"""The REST face: Google's HTTP transcoding over the client's route tables, errors in Google's JSON form.

Beside `/v1/...` it serves the controls of the local stack: `/_local/faults` (GET, PUT, DELETE), `/_local/calls`
(GET, DELETE), `/_local/rotations` (POST) and `/_local/tokens` (POST: `{"account", "seconds"}`).
"""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import grpc
from google.api_core.exceptions import GoogleAPICallError, InternalServerError, InvalidArgument, NotFound
from google.protobuf import json_format

from infra.local.secret_manager.errors import api_error
from infra.local.secret_manager.faults import Hung
from infra.local.secret_manager.messages import Json, Message
from infra.local.secret_manager.rpcs import Rpc

Answer = Callable[[Rpc, Message, Callable[[], bool], str | None], Message]
Controls = Callable[[str, str, Json], Json]

logger = logging.getLogger(__name__)

_SYSTEM_PARAMETERS = frozenset({"alt", "access_token", "callback", "fields", "key", "prettyPrint", "quotaUser"})


class RestServer(ThreadingHTTPServer):
    """Serve `answer` under the routes of the RPCs, and `controls(method, path, body)` under `/_local/`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, rpcs: Iterable[Rpc], answer: Answer, controls: Controls) -> None:
        self.rpcs, self.answer, self.controls = list(rpcs), answer, controls
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Exchange)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="secret-rest", daemon=True)

    @property
    def url(self) -> str:
        """Give the base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        """Serve on a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and end the connections that clients keep open."""
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # gone already
                continue

    def process_request(self, request: Json, client_address: object) -> None:
        """Keep the connection in mind for `stop`."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Json) -> None:
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Json, client_address: object) -> None:
        """Say nothing of a client that went away."""


class _Exchange(BaseHTTPRequestHandler):
    """Read one request, answer it as JSON."""

    server: RestServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            reply = self._answer(body)
            self._send(200, reply)
        except GoogleAPICallError as error:
            self._send(error.code or 500, _error_document(error))
        except Hung:
            self.close_connection = True
        except Exception:
            logger.exception("%s %s failed", self.command, self.path.partition("?")[0])
            self._send(500, _error_document(api_error(InternalServerError, "The local stack failed.")))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond  # noqa: N815 - the names http.server looks for

    def _answer(self, body: bytes) -> str:
        url = urlsplit(self.path)
        if url.path.startswith("/_local/"):
            return json.dumps(self.server.controls(self.command, url.path, _parse(body)))
        query = parse_qsl(url.query, keep_blank_values=True)
        rpc, document = _transcode(self.server.rpcs, self.command, url.path, query, _parse(body))
        request = rpc.request()
        try:
            json_format.ParseDict(document, request)
        except json_format.ParseError as error:
            raise api_error(InvalidArgument, f"Invalid JSON payload received. {error}") from None
        reply = self.server.answer(rpc, request, self._is_connected, self.headers.get("Authorization"))
        numbers = ("$alt", "json;enum-encoding=int") in query
        return str(json_format.MessageToJson(reply, use_integers_for_enums=numbers, indent=2))

    def _is_connected(self) -> bool:
        try:
            return len(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)) > 0
        except BlockingIOError:  # nothing to read: the client waits for its answer
            return True
        except OSError:
            return False

    def _send(self, status: int, text: str) -> None:
        payload = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Keep quiet: the journal lists the calls."""


def _transcode(
    rpcs: Iterable[Rpc], method: str, path: str, query: list[tuple[str, str]], body: Json
) -> tuple[Rpc, dict[str, Json]]:
    """Turn an HTTP request into an RPC and the JSON form of its request (google/api/http.proto). Raises NotFound."""
    for rpc in rpcs:
        for route in rpc.routes:
            match = route.path.fullmatch(path)
            if not match or route.method != method:
                continue
            document: dict[str, Json] = {}
            if route.body == "*":
                document.update(body or {})
            elif route.body:
                document[route.body] = body or {}
            for field, value in zip(route.fields, match.groups(), strict=True):
                _place(document, field, unquote(value))
            for field, text in query:
                if field not in _SYSTEM_PARAMETERS and not field.startswith("$"):
                    _place(document, field, _camel_case(text) if field in ("updateMask", "update_mask") else text)
            return rpc, document
    raise api_error(NotFound, f"The requested URL {path} was not found on this server.")


def _place(document: dict[str, Json], path: str, value: str) -> None:
    """Set a dotted field."""
    *parents, field = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[field] = value


def _camel_case(mask: str) -> str:
    """Spell field paths as JSON field masks do; gcloud sends them in the snake case the service takes as well."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), mask)


def _parse(body: bytes) -> Json:
    try:
        return json.loads(body) if body.strip() else None
    except ValueError:
        raise api_error(InvalidArgument, "Invalid JSON payload received.") from None


def _error_document(error: GoogleAPICallError) -> str:
    status = error.grpc_status_code or grpc.StatusCode.UNKNOWN
    document = {"code": error.code or 500, "message": error.message, "status": status.name, "details": []}
    return json.dumps({"error": document}, indent=2)
