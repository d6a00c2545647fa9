"""Messages to people by Apprise: mail, Slack, Google Chat, Teams and many more, by URL.

An Apprise URL holds passwords and tokens; Apprise logs URLs and servers' answers. So its log is kept away from ours,
and a failure names the service only.

Apprise reads recipients with expressions of its own: ``o'brien@example.com`` became ``brien@example.com``. So it never
reads an owner's address: a plugin is built with a stand-in, which must come out as its only recipient, and then the
address takes the stand-in's place.
"""

from __future__ import annotations

import logging
from typing import Any, Final
from urllib.parse import quote

import apprise

from token_refresh.core.incident.address import OWNER
from token_refresh.core.incident.message import Message
from token_refresh.core.secrecy import Secret
from token_refresh.errors import OwnerUnreachable, Undeliverable

_STAND_IN: Final = "owner@stand-in.invalid"
_KINDS: Final = {
    "critical": apprise.NotifyType.FAILURE,
    "error": apprise.NotifyType.FAILURE,
    "warning": apprise.NotifyType.WARNING,
    "info": apprise.NotifyType.INFO,
}
# Services that send mail, where HTML is at home. Others get text: Telegram knows a few tags only.
_MAIL: Final = frozenset(
    {"azure", "brevo", "mailersend", "mailgun", "mailto", "mailtos", "o365", "postmark", "resend", "sendgrid"}
    | {"ses", "smtp2go", "sparkpost"}
)


class AppriseMessenger:
    """Sends through Apprise; implements `ports.Messenger`. `name` is who asks, the sender of a mail without one."""

    def __init__(self, name: str = "") -> None:
        log = logging.getLogger("apprise")
        log.propagate = False
        log.setLevel(logging.CRITICAL + 1)
        self._asset = apprise.AppriseAsset(app_id="token-refresh", app_desc="token-refresh", async_mode=False)
        self._name = name

    def send(self, url: Secret, message: Message, owner: str | None = None) -> None:
        """Send one message by one URL; raises `Undeliverable`, and `OwnerUnreachable` when others would get it."""
        service = _service(url)
        to = apprise.Apprise(asset=self._asset)
        try:
            added = to.add(url.reveal() if owner is None else self._for_owner(url, owner))
            is_mail = service in _MAIL and all(p.resolve_format("html") == "html" for p in to)
            for plugin in to:
                self._sign(plugin)
            kind = apprise.NotifyType.SUCCESS if message.good_news else _KINDS.get(message.severity)
            sent = added and to.notify(
                title=message.title,
                body=message.html if is_mail and message.html else message.body,
                notify_type=kind or apprise.NotifyType.WARNING,
                body_format=apprise.NotifyFormat.HTML if is_mail and message.html else apprise.NotifyFormat.TEXT,
                interpret_escapes=False,
            )
        except Undeliverable:
            raise
        except Exception as fault:  # noqa: BLE001 - a plugin may raise anything, with the URL in its text
            raise Undeliverable(f"{service} failed ({type(fault).__name__})") from None
        if not added:
            raise Undeliverable(f"{service} is not a URL that Apprise can use: check NOTIFY_URLS")
        if not sent:
            raise Undeliverable(f"{service} did not take the message")

    def _for_owner(self, url: Secret, owner: str) -> Any:
        """Build the plugin that writes to exactly the owner; raises `OwnerUnreachable` if it would do anything else."""
        plugin = self._build(url, _STAND_IN)
        kept = dict(_collections(plugin))
        holders = [name for name, values in kept.items() if _STAND_IN in map(_address, values)]
        if holders or kept.get("targets"):
            recipients = [r for name in {*holders, "targets", "cc", "bcc"} for r in kept.get(name, ())]
            if list(map(_address, recipients)) != [_STAND_IN]:
                raise OwnerUnreachable(
                    f"{_service(url)} would write to others, too: give those a line of their own in NOTIFY_URLS"
                )
            recipient = recipients[0]
            setattr(plugin, holders[0], [owner if isinstance(recipient, str) else (*recipient[:-1], owner)])
            return plugin
        # A service that keeps no recipient as it is written, or has none, such as a webhook.
        filled = self._build(url, owner)
        if _without(filled, owner) != _without(plugin, _STAND_IN):
            raise OwnerUnreachable(f"{_service(url)} takes this address for another, or for several")
        return filled

    def _build(self, url: Secret, owner: str) -> Any:
        text = url.reveal().replace(OWNER, quote(owner, safe="@"))
        plugin = apprise.Apprise.instantiate(text, asset=self._asset)
        if plugin is None:
            raise Undeliverable(f"{_service(url)} is not a URL that Apprise can use: check NOTIFY_URLS")
        return plugin

    def _sign(self, plugin: Any) -> None:
        """Let a mail say who asks where its URL names no sender."""
        sender = getattr(plugin, "from_addr", None)
        if self._name and isinstance(sender, list | tuple) and sender[0] in (False, "", self._asset.app_id):
            plugin.from_addr = [self._name, sender[1]]


def _address(target: object) -> object:
    """Return the address of a recipient: plugins keep it bare, or last after a name."""
    return target[-1] if isinstance(target, list | tuple) and target else target


def _collections(plugin: object) -> list[tuple[str, list[Any]]]:
    """List what a plugin keeps several of, recipients among them, by attribute."""
    return [(name, list(v)) for name, v in vars(plugin).items() if isinstance(v, list | tuple | set | frozenset)]


def _without(plugin: object, owner: str) -> dict[str, list[str]]:
    """Describe a plugin's collections with the owner's address taken out, to compare two plugins by."""
    return {name: sorted(str(v).replace(owner, "") for v in values) for name, values in _collections(plugin)}


def _service(url: Secret) -> str:
    """Name the service by the URL's scheme; a line without one may be a password."""
    scheme, found, _ = url.reveal().partition("://")
    return scheme if found and scheme.isalnum() and len(scheme) < 20 else "a line of NOTIFY_URLS"  # noqa: PLR2004
