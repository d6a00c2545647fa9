"""What clients and owners do at the authorization server of the local stack."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from infra.local.authorization_server import AuthorizationServer, Client
from infra.local.demo.browser import Browser
from infra.local.processes.process import free_port

OWNER = "ada@example.com"
PASSWORD = "demo"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def exchange(server: AuthorizationServer, client: Client, refresh_token: str, timeout: float = 10) -> requests.Response:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    credentials = (client.client_id, client.client_secret)
    return requests.post(server.token_url, data=form, auth=credentials, timeout=timeout)


def grant(server: AuthorizationServer, name: str, **switches: Any) -> tuple[Client, str]:
    client = server.create_client(name, **switches)
    return client, server.create_grant(name, OWNER)


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def authorization_request(server: AuthorizationServer, client: Client, **changes: str) -> str:
    query = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": f"http://127.0.0.1:{free_port()}/callback",
        "scope": "openid email calendar",
        "state": "some-state",
        "nonce": "some-nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": OWNER,
        **changes,
    }
    server.change_client(client.client_id, redirect_uris=[query["redirect_uri"]])
    return f"{server.authorization_url}?{urlencode(query)}"


def consent(url: str, without: tuple[tuple[str, str], ...] = ()) -> dict[str, str]:
    """Walk through login and consent; answer the parameters the browser carries to the redirect URI."""
    browser = Browser()
    browser.open(url)
    with pytest.raises(requests.ConnectionError) as refused:  # nobody listens at the redirect URI
        browser.go_ahead(email=OWNER, password=PASSWORD, without=without)
    browser.close()
    assert refused.value.request is not None
    query = parse_qs(urlsplit(str(refused.value.request.url)).query)
    return {name: values[0] for name, values in query.items()}
