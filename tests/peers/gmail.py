"""As much of the Gmail API as a sample job calls, for tokens of the local authorization server.

https://developers.google.com/workspace/gmail/api/reference/rest
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self
from urllib.parse import urlsplit

ROOT = "/gmail/v1/users/me"
SUBJECTS = {"18c1": "Invoice 2026-11", "18c2": "Re: Invoice 2026-11", "18c3": "Your weekly report"}
# The words and the form in which the real one refuses a token.
REFUSAL = {
    "error": {
        "code": 401,
        "message": "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or"
        " other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        "errors": [
            {
                "message": "Invalid Credentials",
                "domain": "global",
                "reason": "authError",
                "location": "Authorization",
                "locationType": "header",
            }
        ],
        "status": "UNAUTHENTICATED",
    }
}


class GmailCall(NamedTuple):
    """One call: path, status, the token that it carried."""

    path: str
    status: int
    token: str


class GmailApi:
    """Serve on a free loopback port; a context manager.

    `owner_of(token)` tells whose token it is, None for one that does not work. Tokens in `refused` do not work here
    whatever it says; `meanwhile`, when set, is called once, after the first list of messages and before its answer.
    """

    def __init__(self, owner_of: Callable[[str], str | None]) -> None:
        self.refused: set[str] = set()
        self.calls: list[GmailCall] = []
        self.meanwhile: Callable[[], None] | None = None
        self._owner_of = owner_of
        self._server: ThreadingHTTPServer | None = None
        self.url = ""

    def answer(self, path: str, token: str) -> tuple[int, object]:
        """Give status and document of a call."""
        owner = None if token in self.refused else self._owner_of(token)
        status, document = (200, self._find(path, owner)) if owner else (401, REFUSAL)
        if document is None:
            status, document = 404, {"error": {"code": 404, "message": "Not Found", "status": "NOT_FOUND"}}
        self.calls.append(GmailCall(path, status, token))
        if path == f"{ROOT}/messages" and status == 200:
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()
        return status, document

    def _find(self, path: str, owner: str) -> object:
        if path == f"{ROOT}/profile":
            return {"emailAddress": owner, "messagesTotal": 3, "threadsTotal": 2, "historyId": "1"}
        if path == f"{ROOT}/messages":
            messages = [{"id": number, "threadId": number} for number in SUBJECTS]
            return {"messages": messages, "resultSizeEstimate": len(messages)}
        number = path.removeprefix(f"{ROOT}/messages/")
        if number not in SUBJECTS:
            return None
        headers = [{"name": "Subject", "value": SUBJECTS[number]}]
        return {"id": number, "threadId": number, "labelIds": ["INBOX"], "payload": {"headers": headers}}

    def __enter__(self) -> Self:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Exchange)
        server.daemon_threads = True
        server.api = self  # type: ignore[attr-defined]
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), name="gmail", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a call of the API."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, document = self.server.api.answer(urlsplit(self.path).path, token)  # type: ignore[attr-defined]
        payload = json.dumps(document).encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer realm="https://accounts.google.com/", error="invalid_token"')
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Keep quiet: `calls` lists the calls."""
