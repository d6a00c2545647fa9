"""Messages to people by Apprise: mail, Slack, Google Chat, Teams and many more, by URL.

An Apprise URL holds passwords and tokens; Apprise logs URLs and servers' answers. So its log is kept away from ours,
and a failure names the service only.
"""

from __future__ import annotations

import logging

import apprise

from token_refresh.core.incident.message import Message, Undeliverable
from token_refresh.core.secrecy import Secret


class AppriseMessenger:
    """Sends through Apprise; implements `notify.Messenger`."""

    def __init__(self) -> None:
        log = logging.getLogger("apprise")
        log.propagate = False
        log.setLevel(logging.CRITICAL + 1)
        self._asset = apprise.AppriseAsset(app_id="token-refresh", app_desc="token-refresh", async_mode=False)

    def send(self, url: Secret, message: Message) -> None:
        """Send one message to one URL; raises `Undeliverable`."""
        service = _service(url)
        to = apprise.Apprise(asset=self._asset)
        try:
            added = to.add(url.reveal())
            sent = added and to.notify(
                title=message.title,
                body=message.body,
                notify_type=apprise.NotifyType.SUCCESS if message.good_news else apprise.NotifyType.WARNING,
                body_format=apprise.NotifyFormat.TEXT,
                interpret_escapes=False,
            )
        except Exception as fault:  # noqa: BLE001 - a plugin may raise anything, with the URL in its text
            raise Undeliverable(f"{service} failed ({type(fault).__name__})") from None
        if not added:
            raise Undeliverable(f"{service} is no URL that Apprise can use: check NOTIFY_URLS")
        if not sent:
            raise Undeliverable(f"{service} did not take the message")


def _service(url: Secret) -> str:
    """Name the service by the URL's scheme; a line without one may be a password."""
    scheme, found, _ = url.reveal().partition("://")
    return scheme if found and scheme.isalnum() and len(scheme) < 20 else "a line of NOTIFY_URLS"  # noqa: PLR2004
