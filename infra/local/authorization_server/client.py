"""Start the authorization server as a process and talk to its control endpoint."""

from __future__ import annotations

import json
import tempfile
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from infra.local.processes import DIRECT, Process, python_module

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[3]


class RequestRefusedError(RuntimeError):
    """The control endpoint refused; the message says why."""


@dataclass(frozen=True)
class Client:
    """A client as it is registered at the server."""

    client_id: str
    client_secret: str


class AuthorizationServer:
    """A real authorization server on loopback; a context manager that starts and stops it.

    Endpoints follow django-oauth-toolkit. PKCE is required. Sample accounts sign in with the password `demo`.
    """

    def __init__(self, *, port: int = 0, logs: Path | None = None) -> None:
        """Prepare it; port 0 takes a free one, `logs` is a folder for its output (default: a temporary one)."""
        self._port = port
        self.logs = logs
        self._exits = ExitStack()
        self._process: Process | None = None
        self.url = ""

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            logs = self.logs or Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="authorization-server-")))
            command = python_module("infra.local.authorization_server", "--port", str(self._port))
            process = exits.enter_context(Process("authorization-server", command, logs=logs, cwd=ROOT))
            self.url = process.wait_for_line(r"(?m)^(http://127\.0\.0\.1:\d+)\n")[1]
            process.wait_for_http(self.jwks_url)
            self._process, self._exits = process, exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def issuer(self) -> str:
        """Name the issuer, as in ID tokens and the `iss` parameter (RFC 9207)."""
        return self.url

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

    def log(self) -> str:
        """Read what the process has written."""
        return self._process.log() if self._process else ""

    def create_user(self, email: str, password: str = "demo") -> dict[str, str]:  # noqa: S107
        """Create a resource owner; answers `sub`, `email`, `password`."""
        return self.ask("user", email=email, password=password)

    def create_client(  # noqa: PLR0913 -- one keyword per switch
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

    def create_grant(self, client_id: str, email: str, scope: str = "") -> str:
        """Issue a refresh token as if the owner had just consented (all scopes of the client by default)."""
        refresh_token: str = self.ask("grant", client_id=client_id, email=email, scope=scope)["refresh_token"]
        return refresh_token

    def revoke(self, refresh_token: str) -> None:
        """Kill the grant this refresh token belongs to."""
        self.ask("revoke", refresh_token=refresh_token)

    def is_alive(self, refresh_token: str) -> bool:
        """Tell whether this very refresh token would be accepted (a grace period does not count)."""
        return bool(self.ask("look", refresh_token=refresh_token)["alive"])

    def is_grant_alive(self, refresh_token: str) -> bool:
        """Tell whether this refresh token or one that came from it by rotation would be accepted."""
        return bool(self.ask("look", refresh_token=refresh_token)["grant_alive"])

    def fail(self, **fault: Any) -> None:
        """Let the token endpoint fail; the fields are those of `faults.Fault`."""
        self.ask("faults", **fault)

    def clear_faults(self) -> None:
        """Remove all faults and let go of the calls that hang."""
        self.ask("faults", clear=True)

    def calls(self, *, clear: bool = False) -> list[dict[str, Any]]:
        """List the calls of the token endpoint, oldest first; the fields are those of `faults.Call`."""
        calls: list[dict[str, Any]] = self.ask("calls", clear=clear)["calls"]
        return calls

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Run one command of the control endpoint; raises RequestRefusedError when it is refused."""
        request = urllib.request.Request(  # noqa: S310 -- a loopback URL of our own
            f"{self.url}/_local/{command}",
            data=json.dumps(arguments).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with DIRECT.open(request, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise RequestRefusedError(f"{command}: {refusal.read(500).decode(errors='replace')}") from refusal
