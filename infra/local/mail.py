"""A mail server that delivers nothing: it keeps what it gets, for tests and the demo to read."""

from __future__ import annotations

import email.policy
import threading
from collections.abc import Collection
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from infra.local.processes.process import free_port

OPERATOR = "operator@local.example"


@dataclass(frozen=True)
class Mail:
    """One message as its recipients would read it; `html` is empty where it has none."""

    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str = ""
    sender: str = ""


class MailServer:
    """Listen for SMTP on a free loopback port; a context manager. `refuses` are recipients that it does not know."""

    def __init__(self, refuses: Collection[str] = ()) -> None:
        self._refuses = frozenset(refuses)
        self._mails: list[Mail] = []
        self._arrived = threading.Condition()
        self._controller: Controller | None = None
        self.address = ""

    def __enter__(self) -> Self:
        port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=port)
        self._controller.start()
        self.address = f"127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._controller is not None:
            self._controller.stop()

    @property
    def notify_urls(self) -> str:
        """Spell the Apprise URLs, one per line, that mail owners and operators through this server."""
        return "\n".join(
            f"mailto://{self.address}?from=token-refresh@local.example&to={to}&mode=insecure"
            for to in ("{owner}", OPERATOR)
        )

    def mails(self) -> list[Mail]:
        """List what has arrived, oldest first."""
        with self._arrived:
            return list(self._mails)

    def wait_for(self, count: int) -> list[Mail]:
        """Wait, 20 s at most, until `count` messages have arrived in all; answers all there are then."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self._mails) >= count, 20)
            return list(self._mails)

    async def handle_RCPT(  # noqa: N802 - the library's name for it
        self, _server: object, _session: object, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient, or not."""
        if address in self._refuses:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802 - the library's name for it
        """Take one message in."""
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        message = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(content)
        text, html = (_part(message, kind) for kind in ("plain", "html"))
        mail = Mail(tuple(envelope.rcpt_tos), str(message["Subject"]), text or html, html, str(message["From"]))
        with self._arrived:
            self._mails.append(mail)
            self._arrived.notify_all()
        return "250 OK"


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return str(body.get_content()).replace("\r\n", "\n") if body else ""
