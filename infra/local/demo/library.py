"""A job that uses Google's own library and a credential file; not a line of it is about tokens."""

from __future__ import annotations

from contextlib import closing

import google.auth
import requests
from google.auth.exceptions import OAuthError
from google.auth.transport.requests import AuthorizedSession, Request

from infra.local.stack import Stack
from token_refresh.core.token_exchange import build_credential_file


def call_as_job(stack: Stack, connection: str) -> str:
    """Call userinfo with a connection's token, as the machine's service account; answers owner or OAuth error."""
    token_url = f"{stack.functions['token'].url}/token"
    file = build_credential_file(connection, token_url, metadata_host=stack.metadata.host)
    credentials, _ = google.auth.load_credentials_from_dict(file, scopes=["email"])  # type: ignore[no-untyped-call]
    with closing(requests.Session()) as direct:
        # Loopback needs no proxy.
        direct.trust_env = False
        with closing(AuthorizedSession(credentials, auth_request=Request(direct))) as session:  # type: ignore[no-untyped-call]
            session.trust_env = False
            try:
                answer = session.get(stack.authorization_server.userinfo_url, timeout=30)
            except OAuthError as refusal:
                return str(refusal.args[0]).partition(":")[0].removeprefix("Error code ")
    return str(answer.json()["email"])
