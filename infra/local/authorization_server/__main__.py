"""Run the authorization server until stopped: `python -m infra.local.authorization_server`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from infra.local.authorization_server import site
from infra.local.authorization_server.faults import CONNECTION
from infra.local.processes.process import end_on_signals


class _RequestHandler(WSGIRequestHandler):  # type: ignore[misc]
    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), CONNECTION: self.connection}

    def log_message(self, *_: object) -> None:
        """Log nothing: request lines of the authorization endpoint carry state and code."""


class _Server(ThreadedWSGIServer):  # type: ignore[misc]
    request_queue_size = 512


def main() -> None:
    """Serve on loopback; the first line of the output is the base URL."""
    end_on_signals()
    with tempfile.TemporaryDirectory(prefix="authorization-server-") as directory:
        site.configure(Path(directory), templates=Path(__file__).parent / "templates")
        from infra.local.authorization_server import control  # noqa: PLC0415 - models need a configured Django

        control.ENDPOINT.application = get_wsgi_application()
        with _Server(("127.0.0.1", 0), _RequestHandler) as server:
            server.set_app(control.ENDPOINT)
            print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - its owner reads it
            server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
