"""Start the authorization server as a process and talk to its control endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.processes.controlled import ControlledServer
from infra.local.processes.process import python_module

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Client:
    """A client as it is registered at the server."""

    client_id: str
    client_secret: str


class AuthorizationServer(ControlledServer):
    """A real authorization server on loopback; a context manager that starts and stops it.

    Endpoints follow django-oauth-toolkit. PKCE is required. Sample accounts sign in with the password `demo`.
    """

    name = "authorization-server"
    control = "_local"

    def command(self) -> Sequence[str]:
        """Return the command that starts the server."""
        return python_module("infra.local.authorization_server")

    def folder(self) -> Path:
        """Return the folder to start it in."""
        return ROOT

    @property
    def authorization_url(self) -> str:
        """Name the authorization endpoint."""
        return f"{self.url}/authorize/"

    @property
    def token_url(self) -> str:
        """Name the token endpoint."""
        return f"{self.url}/token/"

    @property
    def revocation_url(self) -> str:
        """Name the revocation endpoint (RFC 7009)."""
        return f"{self.url}/revoke_token/"

    @property
    def userinfo_url(self) -> str:
        """Name the userinfo endpoint."""
        return f"{self.url}/userinfo/"

    @property
    def jwks_url(self) -> str:
        """Name the document with the public keys (RFC 7517)."""
        return f"{self.url}/.well-known/jwks.json"

    def create_user(self, email: str) -> None:
        """Create a resource owner."""
        self.ask("user", email=email)

    def create_client(  # noqa: PLR0913 - one keyword per switch
        self,
        client_id: str,
        *,
        redirect_uris: Sequence[str] = ("http://127.0.0.1/callback",),
        scopes: str = "openid email profile",
        rotates_refresh_tokens: bool = False,
        grace_seconds: float = 0.0,
        reuse_protection: bool = False,
        access_token_seconds: int = 3600,
        public: bool = False,
    ) -> Client:
        """Register a client (or change one); it may authenticate by client_secret_basic or client_secret_post."""
        answer = self.ask(
            "client",
            client_id=client_id,
            redirect_uris=list(redirect_uris),
            scopes=scopes,
            rotates_refresh_tokens=rotates_refresh_tokens,
            grace_seconds=grace_seconds,
            reuse_protection=reuse_protection,
            access_token_seconds=access_token_seconds,
            public=public,
        )
        return Client(**answer)

    def change_client(self, client_id: str, **fields: Any) -> None:
        """Change single switches of a client, for example `client_secret` or `rotates_refresh_tokens`."""
        self.ask("client", client_id=client_id, **fields)

    def create_grant(self, client_id: str, email: str) -> str:
        """Issue a refresh token as if the owner had just consented to all scopes of the client."""
        refresh_token: str = self.ask("grant", client_id=client_id, email=email)["refresh_token"]
        return refresh_token

    def fail(self, **fault: Any) -> None:
        """Let the token endpoint fail; the fields are those of `faults.Fault`."""
        self.ask("faults", **fault)

    def clear_faults(self) -> None:
        """Remove all faults and let go of the calls that hang."""
        self.ask("faults", clear=True)
