"""An OAuth 2.0 and OpenID Connect server nobody here wrote (django-oauth-toolkit), with switches for tests and demo.

`AuthorizationServer` starts it as a process of its own; `python -m infra.local.authorization_server` runs it by hand.
"""

from __future__ import annotations

from infra.local.authorization_server.client import AuthorizationServer, Client
from infra.local.processes.controlled import RequestRefusedError

__all__ = ["AuthorizationServer", "Client", "RequestRefusedError"]
