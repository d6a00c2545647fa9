"""Authlib's authorization server in a thread: the third one that nobody here wrote, over the storage that it asks for.

Refresh tokens are single-use; its revocation endpoint takes both kinds of token. It has no DPoP.
"""

from __future__ import annotations

import os
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import grants  # type: ignore[import-untyped]
from authlib.oauth2.rfc7009 import RevocationEndpoint  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Sequence

LIFE = 864  # s, of an access token: no default of anything here
METHODS = ("client_secret_basic", "client_secret_post", "none")
# Authlib refuses to speak without TLS; this one never leaves the machine.
INSECURE = "AUTHLIB_INSECURE_TRANSPORT"


@dataclass
class StoredClient:
    """What Authlib asks of a client (its ClientMixin)."""

    client_id: str
    client_secret: str
    auth: str
    grant_types: Sequence[str]
    redirect_uri: str = "http://127.0.0.1/callback"

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.client_secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        del endpoint
        return method == self.auth

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types


@dataclass
class StoredToken:
    """What Authlib asks of a token (its TokenMixin)."""

    client_id: str
    user: str
    access_token: str
    refresh_token: str
    scope: str
    is_access_alive: bool = True
    is_refresh_alive: bool = True

    def check_client(self, client: StoredClient) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope


@dataclass
class StoredCode:
    """What Authlib asks of an authorization code."""

    code: str
    client_id: str
    user: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


class AuthlibServer:
    """The running peer; a context manager."""

    def __init__(self) -> None:
        self.clients: dict[str, StoredClient] = {}
        self.tokens: list[StoredToken] = []
        self.codes: dict[str, StoredCode] = {}
        self._http = make_server("127.0.0.1", 0, self._build(), threaded=True)
        self._thread = threading.Thread(target=self._http.serve_forever)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.token_url, self.revocation_url = f"{self.url}/token", f"{self.url}/revoke"

    def __enter__(self) -> Self:
        self._before = os.environ.get(INSECURE)
        os.environ[INSECURE] = "1"
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join(10)
        self._http.server_close()
        os.environ.pop(INSECURE)
        if self._before is not None:
            os.environ[INSECURE] = self._before

    def create_client(self, client_id: str, client_secret: str = "", *, auth: str, **more: Any) -> None:
        more = {"grant_types": ("authorization_code", "refresh_token"), **more}
        self.clients[client_id] = StoredClient(client_id, client_secret, auth, **more)

    def create_grant(self, client_id: str, owner: str) -> str:
        token = StoredToken(client_id, owner, secrets.token_urlsafe(), secrets.token_urlsafe(), "mail offline")
        self.tokens.append(token)
        return token.refresh_token

    def create_code(self, client_id: str, owner: str, challenge: str) -> str:
        code = secrets.token_urlsafe()
        redirect_uri = self.clients[client_id].redirect_uri
        self.codes[code] = StoredCode(code, client_id, owner, redirect_uri, "mail offline", challenge, "S256")
        return code

    def is_alive(self, token: str) -> bool:
        """Tell whether a token, of either kind, is in the books and not revoked."""
        return any(
            (token == t.refresh_token and t.is_refresh_alive) or (token == t.access_token and t.is_access_alive)
            for t in self.tokens
        )

    def find(self, token: str) -> StoredToken | None:
        return next((t for t in self.tokens if token in (t.refresh_token, t.access_token)), None)

    def _build(self) -> flask.Flask:
        app = flask.Flask("authlib_server")
        lives = dict.fromkeys(("authorization_code", "client_credentials", "refresh_token"), LIFE)
        app.config |= {"OAUTH2_TOKEN_EXPIRES_IN": lives, "OAUTH2_REFRESH_TOKEN_GENERATOR": True}
        server = AuthorizationServer(app, self.clients.get, self._save)
        server.register_grant(_code_grant(self), [CodeChallenge(required=True)])
        server.register_grant(_refresh_grant(self))
        server.register_grant(_client_credentials_grant())
        server.register_endpoint(_revocation(self))
        app.add_url_rule("/token", "token", server.create_token_response, methods=["POST"])
        app.add_url_rule("/revoke", "revoke", lambda: server.create_endpoint_response("revocation"), methods=["POST"])
        return app

    def _save(self, token: dict[str, Any], request: Any) -> None:
        user, client = request.user or "", request.client.client_id
        refresh = token.get("refresh_token", "")
        self.tokens.append(StoredToken(client, user, token["access_token"], refresh, token.get("scope", "")))


def _code_grant(peer: AuthlibServer) -> type:
    class Grant(grants.AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib is untyped
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

        def query_authorization_code(self, code: str, client: StoredClient) -> StoredCode | None:
            found = peer.codes.get(code)
            return found if found and found.client_id == client.client_id else None

        def delete_authorization_code(self, authorization_code: StoredCode) -> None:
            del peer.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: StoredCode) -> str:
            return authorization_code.user

    return Grant


def _refresh_grant(peer: AuthlibServer) -> type:
    class Grant(grants.RefreshTokenGrant):  # type: ignore[misc]  # Authlib is untyped
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS
        INCLUDE_NEW_REFRESH_TOKEN = True

        def authenticate_refresh_token(self, refresh_token: str) -> StoredToken | None:
            found = peer.find(refresh_token)
            return found if found and found.is_refresh_alive else None

        def authenticate_user(self, refresh_token: StoredToken) -> str:
            return refresh_token.user

        def revoke_old_credential(self, refresh_token: StoredToken) -> None:
            refresh_token.is_refresh_alive = refresh_token.is_access_alive = False

    return Grant


def _client_credentials_grant() -> type:
    class Grant(grants.ClientCredentialsGrant):  # type: ignore[misc]  # Authlib is untyped
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    return Grant


def _revocation(peer: AuthlibServer) -> type:
    class Endpoint(RevocationEndpoint):  # type: ignore[misc]  # Authlib is untyped
        CLIENT_AUTH_METHODS = METHODS

        def query_token(self, token_string: str, token_type_hint: str | None) -> StoredToken | None:
            del token_type_hint
            return peer.find(token_string)

        def revoke_token(self, token: StoredToken, request: Any) -> None:
            token.is_access_alive = False
            if request.form.get("token_type_hint") != "access_token":
                token.is_refresh_alive = False

    return Endpoint
