"""A stand-in for the metadata server of a Google Cloud machine: it knows one service account and gives out its tokens.

Google's libraries find it by `GCE_METADATA_HOST` and `GCE_METADATA_IP`; a credential file names its token URL.
https://cloud.google.com/compute/docs/metadata/overview
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

ROOT = "/computeMetadata/v1"
ACCOUNTS = f"{ROOT}/instance/service-accounts"
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
FLAVOR = "Metadata-Flavor"


class MetadataServer:
    """Serve on a free loopback port; a context manager.

    `account` is the e-mail address of the machine's service account, `issue(account, seconds)` makes its tokens, which
    live `token_seconds`.
    """

    def __init__(self, project: str, account: str, issue: Callable[[str, float], str]) -> None:
        self.project, self.account, self.token_seconds = project, account, 3600.0
        self._issue = issue
        self._server: ThreadingHTTPServer | None = None
        self.host = ""

    @property
    def url(self) -> str:
        """Give the base URL, without a trailing slash."""
        return f"http://{self.host}"

    @property
    def token_url(self) -> str:
        """Give the URL of the service account's access token."""
        return f"{self.url}{ACCOUNTS}/default/token"

    @property
    def environment(self) -> dict[str, str]:
        """Name the variables with which Google's libraries take this machine for one in the cloud."""
        return {"GCE_METADATA_HOST": self.host, "GCE_METADATA_IP": self.host, "NO_GCE_CHECK": "false"}

    def answer(self, path: str) -> str | dict[str, object] | None:
        """Give what stands at a path: text, or an object that goes out as JSON; None for nothing."""
        account: dict[str, object] = {"aliases": ["default"], "email": self.account, "scopes": list(SCOPES)}
        of_account: dict[str, str | dict[str, object]] = {
            "": account,
            "/email": self.account,
            "/scopes": "\n".join(SCOPES) + "\n",
        }
        for name in ("default", self.account):
            if path == f"{ACCOUNTS}/{name}/token":
                token = self._issue(self.account, self.token_seconds)
                return {"access_token": token, "expires_in": int(self.token_seconds), "token_type": "Bearer"}
            if path.startswith(f"{ACCOUNTS}/{name}"):
                return of_account.get(path.removeprefix(f"{ACCOUNTS}/{name}").rstrip("/"))
        fixed: dict[str, str | dict[str, object]] = {
            "": "computeMetadata/\n",
            ROOT: "instance/\nproject/\n",
            f"{ROOT}/project/project-id": self.project,
            f"{ROOT}/universe/universe-domain": "googleapis.com",
            ACCOUNTS: f"{self.account}/\ndefault/\n",
        }
        return fixed.get(path.rstrip("/"))

    def __enter__(self) -> Self:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Exchange)
        server.daemon_threads = True
        server.metadata = self  # type: ignore[attr-defined]
        self._server = server
        self.host = f"127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), name="metadata", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Exchange(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer a look-up; the header proves that no browser was tricked into it."""
        path = urlsplit(self.path).path
        answer = self.server.metadata.answer(path)  # type: ignore[attr-defined]
        if self.headers.get(FLAVOR) != "Google" and path.rstrip("/"):
            self._send(403, "Missing Metadata-Flavor:Google header.\n", "text/plain")
        elif answer is None:
            self._send(404, "not found\n", "text/plain")
        elif isinstance(answer, str):
            self._send(200, answer, "application/text")
        else:
            self._send(200, json.dumps(answer), "application/json")

    def _send(self, status: int, text: str, kind: str) -> None:
        payload = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(payload)))
        self.send_header(FLAVOR, "Google")
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Keep quiet: a token's URL is nobody's news."""
