"""The deployed functions as the command calls them: with the identity of the person at the terminal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from token_refresh.adapters.http import PooledTransport
from token_refresh.cli.session import UNREACHABLE, WRONG_USE, Stop
from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.json_object import read_object
from token_refresh.core.provider.url import is_loopback, is_secure
from token_refresh.core.token_endpoint.request import OUR_HEADERS
from token_refresh.errors import TransportError

# s: a run of many connections takes its time.
_SECONDS: Final = 600.0


def send(request: HttpRequest, seconds: float, advice: str) -> HttpReply:
    """Send a request; raises `Stop`, with advice, where no reply comes."""
    with closing(PooledTransport(seconds)) as transport:
        try:
            return transport.send(request)
        except TransportError as fault:
            raise Stop(f"{fault}: {advice}", UNREACHABLE) from None


def call(url: str, *, body: Mapping[str, object] | None = None) -> tuple[int, dict[str, Any]]:
    """POST a JSON body, or GET without one; returns status and JSON. Raises `Stop`."""
    if not is_secure(url):
        raise Stop(f"{url} is not an https URL (http is for loopback only)", WRONG_USE)
    headers = dict(OUR_HEADERS)
    if not is_loopback(urlsplit(url).hostname or ""):
        headers["Authorization"] = f"Bearer {_identity_token(url)}"
    data = b""
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    request = HttpRequest("POST" if body is not None else "GET", url, headers, data)
    reply = send(request, _SECONDS, "is the URL right, and are you allowed there?")
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise Stop(f"{url} does not let you in ({reply.status}): you need roles/run.invoker on it", UNREACHABLE)
    document = read_object(reply.body)
    if document is None:
        raise Stop(f"{url} answers {reply.status}, and no JSON: is it the right function?", UNREACHABLE)
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Stop(f"{url} answers {reply.status}: {document.get('message', 'try again later')}", UNREACHABLE)
    return reply.status, document


def _identity_token(url: str) -> str:
    """Return an ID token for a private Cloud Run service: a service account's by ADC, a person's by gcloud."""
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - not needed on loopback
    from google.auth.transport.requests import Request  # noqa: PLC0415
    from google.oauth2.id_token import fetch_id_token  # noqa: PLC0415

    parts = urlsplit(url)
    try:
        return str(fetch_id_token(Request(), f"{parts.scheme}://{parts.netloc}"))  # type: ignore[no-untyped-call]
    except GoogleAuthError:
        return print_token("print-identity-token")


def print_token(what: str) -> str:
    """Ask gcloud for a token of the person at the terminal. Raises `Stop`."""
    try:
        done = subprocess.run(  # noqa: S603 - one of two words of ours
            ["gcloud", "auth", what],  # noqa: S607 - the gcloud of the person at the terminal
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except FileNotFoundError:
        raise Stop("gcloud is not installed, and there are no other credentials", UNREACHABLE) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise Stop("gcloud has no account: run `gcloud auth login`", UNREACHABLE) from None
    return done.stdout.strip()
