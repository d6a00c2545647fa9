"""npm's `oidc-provider` 9 as a process: a strict authorization server that nobody here wrote.

Its refresh tokens are single-use, without a grace period: a second use kills the whole grant. It speaks
client_secret_post and _basic, private_key_jwt and none, client credentials, DPoP, and has login and consent pages that
take any password. The account of an owner is the e-mail address.
"""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.local.processes.controlled import ControlledServer
from tests.peers import npm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "server.mjs")


@functools.cache
def why_missing() -> str:
    """Install the peer if need be, and say why it cannot run here, for a skip; empty when it can.

    Call it in a fixture rather than in a mark: the first time it may take some seconds.
    """
    return npm.why_missing(HERE, FILES)


class OidcProvider(ControlledServer):
    """The running peer; a context manager. Its methods are those of the local authorization server."""

    name = "oidc-provider"
    control = "control"

    def command(self) -> Sequence[str]:
        return [shutil.which("node") or "node", "server.mjs", "0"]

    def folder(self) -> Path:
        return npm.install(HERE, FILES)

    @property
    def authorization_url(self) -> str:
        """Name the authorization endpoint; a refresh token needs scope `offline_access` and `prompt=consent`."""
        return f"{self.url}/auth"

    @property
    def token_url(self) -> str:
        """Name the token endpoint."""
        return f"{self.url}/token"

    @property
    def revocation_url(self) -> str:
        """Name the revocation endpoint."""
        return f"{self.url}/token/revocation"

    @property
    def userinfo_url(self) -> str:
        """Name the userinfo endpoint."""
        return f"{self.url}/me"

    @property
    def jwks_url(self) -> str:
        """Name the document with the public keys."""
        return f"{self.url}/jwks"

    def create_client(  # noqa: PLR0913 - one keyword per switch
        self,
        client_id: str,
        client_secret: str = "",
        *,
        auth: str = "client_secret_basic",
        redirect_uris: Sequence[str] = ("http://127.0.0.1/callback",),
        grant_types: Sequence[str] = ("authorization_code", "refresh_token"),
        rotates_refresh_tokens: bool = True,
        jwk: Mapping[str, Any] | None = None,
    ) -> None:
        """Register a client; `auth` is its token_endpoint_auth_method (RFC 7591), `jwk` its public key."""
        uses_code = "authorization_code" in grant_types
        metadata: dict[str, Any] = {
            "client_id": client_id,
            "token_endpoint_auth_method": auth,
            "redirect_uris": list(redirect_uris) if uses_code else [],
            "response_types": ["code"] if uses_code else [],
            "grant_types": list(grant_types),
            "application_type": "native",
            "rotates_refresh_tokens": rotates_refresh_tokens,
        }
        if client_secret:
            metadata["client_secret"] = client_secret
        if jwk:
            metadata["jwks"] = {"keys": [dict(jwk)]}
        self.ask("client", **metadata)

    def create_grant(self, client_id: str, email: str, scope: str = "openid offline_access email") -> str:
        """Issue a refresh token as if the owner had just consented."""
        refresh_token: str = self.ask("grant", client_id=client_id, account=email, scope=scope)["refresh_token"]
        return refresh_token
