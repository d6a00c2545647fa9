"""A recorder of Google Cloud requests: gcloud talks to it instead of Google, and it answers just enough to go on."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import google_crc32c

PROJECT_NUMBER = "123456789012"
HOST = "http://google.test"
SERVICES = (
    "ARTIFACTREGISTRY",
    "CLOUDBUILD",
    "CLOUDFUNCTIONS",
    "CLOUDRESOURCEMANAGER",
    "CLOUDSCHEDULER",
    "CLOUDASSET",
    "EVENTARC",
    "IAM",
    "IAMCREDENTIALS",
    "LOGGING",
    "MONITORING",
    "PUBSUB",
    "RUN",
    "SECRETMANAGER",
    "SERVICEUSAGE",
    "STORAGE",
    "WORKFLOWS",
)
_LOCATION = "projects/my-project/locations/europe-west1"
_DONE = {"name": "operations/done", "done": True, "response": {}}


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `path` begins with the service, its query is left out."""

    method: str
    path: str
    query: str
    body: Any


class GoogleRecorder:
    """A loopback server that keeps what it is sent; use it as a context."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                request = Request(self.command, url.path, url.query, _body(data))
                recorder.requests.append(request)
                status, reply = recorder.reply(request)
                body = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the names http.server asks for

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def environment(self, config: str) -> dict[str, str]:
        """Return the variables that make gcloud talk to this server, as nobody, with its files in `config`.

        The server is gcloud's proxy, since gcloud puts a region before the host of some addresses.
        """
        overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}": f"{HOST}/{service}/" for service in SERVICES}
        return overrides | {
            "CLOUDSDK_PROXY_TYPE": "http",
            "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
            "CLOUDSDK_PROXY_PORT": str(self._server.server_port),
            "CLOUDSDK_CONFIG": config,
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        }

    def reply(self, request: Request) -> tuple[int, Mapping[str, Any]]:
        """Answer so that gcloud goes on to the request that matters."""
        service = request.path.split("/")[1]
        if service == "CLOUDFUNCTIONS":
            return self._functions_reply(request)
        if service == "RUN":
            return self._run_reply(request)
        if re.search(r"/versions/([2-9]|\d\d+):access$", request.path):  # so that who counts up comes to an end
            return 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such version"}}
        answers = {
            "CLOUDBUILD": _build_answer,
            "CLOUDRESOURCEMANAGER": _project_answer,
            "EVENTARC": _location_operation,
            "IAMCREDENTIALS": lambda _: {"keyId": "1", "signedJwt": "e30.e30.c2ln"},
            "PUBSUB": lambda _: {"messageIds": ["1"]} if request.path.endswith(":publish") else {},
            "SECRETMANAGER": _secret_answer,
            "SERVICEUSAGE": _service_answer,
            "STORAGE": _bucket_answer,
            "WORKFLOWS": _location_operation,
            "upload": _object_answer,
        }
        return 200, answers[service](request) if service in answers else {}

    def _functions_reply(self, request: Request) -> tuple[int, Mapping[str, Any]]:
        if request.path.endswith("/runtimes"):
            return 200, {"runtimes": [{"name": "python313", "environment": "GEN_2", "stage": "GA"}]}
        if request.path.endswith("functions:generateUploadUrl"):
            return 200, {"uploadUrl": f"{HOST}/upload", "storageSource": {"bucket": "uploads", "object": "source.zip"}}
        if request.method == "GET" and "/functions/" in request.path:
            return 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such function"}}
        return 403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "recorded"}}

    def _run_reply(self, request: Request) -> tuple[int, Mapping[str, Any]]:
        if request.path.endswith("/builds:submit"):
            image = request.body["imageUri"]
            build = {"id": "1", "projectId": "my-project", "logUrl": HOST, "name": f"{_LOCATION}/builds/1"}
            kind = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"
            operation = {"name": f"{_LOCATION}/operations/1", "metadata": {"@type": kind, "build": build}}
            return 200, {"buildOperation": operation, "baseImageUri": image}
        if request.method == "GET" and not request.path.endswith(":getIamPolicy"):
            return 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such service"}}
        if request.method == "POST" and request.path.endswith("/services"):
            return 403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "recorded"}}
        return 200, {}


def _build_answer(request: Request) -> Mapping[str, Any]:
    if request.path.endswith("/defaultServiceAccount"):
        return {"serviceAccountEmail": f"projects/p/serviceAccounts/{PROJECT_NUMBER}@cloudbuild.gserviceaccount.com"}
    kind = "type.googleapis.com/google.devtools.cloudbuild.v1.Build"
    build = {"id": "1", "name": f"{_LOCATION}/builds/1", "projectId": "my-project", "status": "SUCCESS"}
    results = {"images": [{"name": "image", "digest": "sha256:0"}]}
    metadata = {"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata", "build": build}
    return _DONE | {"metadata": metadata, "response": {"@type": kind, **build, "results": results}}


def _location_operation(_: Request) -> Mapping[str, Any]:
    trigger = {"transport": {"pubsub": {"topic": "topic", "subscription": "subscription"}}}
    return _DONE | {"name": f"{_LOCATION}/operations/1", "response": trigger}


def _project_answer(request: Request) -> Mapping[str, Any]:
    name = request.path.rsplit("/", 1)[-1]
    return {} if ":" in name else {"projectId": name, "projectNumber": PROJECT_NUMBER}


def _secret_answer(request: Request) -> Mapping[str, Any]:
    if request.path.endswith(":addVersion"):
        name = request.path.removeprefix("/SECRETMANAGER/v1/").replace(":addVersion", "/versions/1")
        return {"name": name, "clientSpecifiedPayloadChecksum": True}
    if request.path.endswith(":access"):
        data = b"{}"
        return {"payload": {"data": base64.b64encode(data).decode(), "dataCrc32c": str(google_crc32c.value(data))}}
    if request.path.endswith("/secrets"):
        return {"name": f"projects/{PROJECT_NUMBER}/secrets/{parse_qs(request.query)['secretId'][0]}"}
    return {}


def _service_answer(request: Request) -> Mapping[str, Any]:
    if request.path.endswith(":generateServiceIdentity"):
        email = f"service-{PROJECT_NUMBER}@gcp-sa-secretmanager.iam.gserviceaccount.com"
        kind = "type.googleapis.com/google.api.serviceusage.v1beta1.ServiceIdentity"
        return _DONE | {"response": {"@type": kind, "email": email}}
    return _DONE | {"state": "ENABLED", "services": []}


def _bucket_answer(request: Request) -> Mapping[str, Any]:
    asked = re.search(r"/b/([^/]+)", request.path) or re.search(r"prefix=([^&]+)", request.query)
    bucket = {"id": asked[1], "name": asked[1]} if asked else {}
    return {"items": [bucket]} if request.path.endswith("/b") else bucket


def _object_answer(request: Request) -> Mapping[str, Any]:
    name = parse_qs(request.query).get("name", ["source.zip"])[0]
    return {"name": name, "size": str(request.body), "generation": "1"}


def _body(data: bytes) -> Any:  # JSON, or the number of bytes uploaded
    try:
        return json.loads(data) if data else None
    except ValueError:
        pass
    if not data.startswith(b"--"):
        return len(data)
    boundary, _, parts = data.partition(b"\n")
    media = parts.split(b"\n" + boundary.rstrip())[1]
    return len(re.split(rb"\r?\n\r?\n", media, maxsplit=1)[1].removesuffix(b"\r"))
