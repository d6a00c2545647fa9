"""What the workflow answers a browser with: pages, redirects, and refusals in the owner's words."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

from token_refresh.consent.request import Case, Refused
from token_refresh.core.connection import ANYBODY, Connection
from token_refresh.core.consent.session import Cookie
from token_refresh.core.provider.definition import Provider
from token_refresh.core.status import State, status_of
from token_refresh.errors import StoreError
from token_refresh.words import Button, Refusal, load_refusals, load_words, sentence_for

log = logging.getLogger("token_refresh")

_UNNAMED: Final = "the people who run this service"
_SAME_ACCOUNT: Final = "the account that was used the first time"


@dataclass(frozen=True, slots=True)
class Page:
    """A page to show: `view` names the template, `facts` fill it, `cookie` goes with it.

    `retry_after` is the time (s) after which it is worth while to ask again.
    """

    status: int
    view: str
    facts: Mapping[str, object] = field(default_factory=dict)
    cookie: Cookie | None = None
    retry_after: float = 0


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the browser to the provider or to a page of ours, with a cookie; cookies named in `drop` go."""

    url: str = field(repr=False)
    cookie: Cookie
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for consent, and whom to ask back: an address or a page."""

    name: str = ""
    contact: str = ""

    @property
    def contact_url(self) -> str:
        """Return where a button for help leads; empty when there is nothing that a browser could open."""
        if self.contact.startswith(("https://", "http://")):
            return self.contact
        is_address = "@" in self.contact and not any(c.isspace() for c in self.contact)
        return f"mailto:{quote(self.contact.removeprefix('mailto:'), safe='@+')}" if is_address else ""

    def facts(self) -> dict[str, object]:
        """Return what every page says about who asks."""
        contact = self.contact.removeprefix("mailto:")
        return {"asker": self.name, "contact": contact, "contact_url": self.contact_url}


@dataclass(frozen=True, slots=True)
class Context:
    """What is known when something is refused. With `state` an ended session lets the owner start again."""

    name: str = ""
    connection: Connection | None = None
    provider: Provider | None = None
    state: str = field(default="", repr=False)


def explain(case: Case) -> dict[str, object]:
    """Return what the page that asks says: for whom, what for, and what the permission allows."""
    connection, provider = case.connection, case.provider
    status = status_of(connection)
    title = provider.shown_name
    sentences = [sentence_for(provider.name, scope) for scope in connection.scopes]
    return {
        "title": connection.title or connection.name,
        "purpose": connection.purpose,
        "owner": None if connection.owner == ANYBODY else connection.owner,
        "is_anybody": connection.owner == ANYBODY and case.subject is None,
        "provider": title,
        "host": urlsplit(case.authorization_url).hostname,
        "authorization_url": case.authorization_url,
        "sentences": list(dict.fromkeys(one for one in sentences if one)),
        "unknown": [scope for scope, known in zip(connection.scopes, sentences, strict=True) if not known],
        "scopes": connection.scopes,
        "why": load_words().for_owner(status.reason, title) if status and status.state != State.HEALTHY else None,
        "since": status.since if status and status.state == State.NEEDS_CONSENT else None,
        "is_first": case.version == 0,
    }


def refuse(fault: Refused | StoreError, asker: Asker, context: Context, base_url: str) -> Page:
    """Turn a refusal into its page. Provider's text and our own details go to the log, under the page's number."""
    refused = fault if isinstance(fault, Refused) else Refused("store_unavailable", str(fault))
    words = load_refusals()[refused.reason]
    reference = secrets.token_hex(4)
    log_step("refused", context.name, reason=refused.reason, reference=reference, detail=refused.detail)
    facts = {
        **asker.facts(),
        "title": (context.connection.title if context.connection else None) or context.name,
        "words": _filled(words, asker, context, refused.wait),
        "button": _button(words, asker, context),
        "missing": refused.scopes,
        "action": f"{base_url}/consent/{quote(context.name, safe='')}" if context.state else "",
        "state": context.state,
        # Where the owner can mend it there is nothing to look up.
        "reference": reference if refused.detail and (words.is_ours or words.status >= HTTPStatus.BAD_REQUEST) else "",
    }
    return Page(words.status, "refused", facts, retry_after=refused.wait)


def _filled(words: Refusal, asker: Asker, context: Context, wait: float) -> Refusal:
    provider = context.provider.shown_name if context.provider else "The provider"
    owner = context.connection.owner if context.connection else None
    minutes = max(round(wait / 60), 1)
    values = {
        "asker": asker.name or asker.contact.removeprefix("mailto:") or _UNNAMED,
        "provider": provider,
        "owner": owner if owner and owner != ANYBODY else _SAME_ACCOUNT,
        "wait": "a minute" if minutes == 1 else f"{minutes} minutes",
    }
    texts = {part: getattr(words, part).format(**values) for part in ("title", "happened", "way_forward")}
    return replace(words, **{part: (text[:1].upper() + text[1:]).replace("..", ".") for part, text in texts.items()})


def _button(words: Refusal, asker: Asker, context: Context) -> Button | None:
    """Return the button that can be had: without a session there is nothing to start again, without contact no help."""
    button = words.button
    if button in (Button.AGAIN, Button.OTHER_ACCOUNT) and not context.state:
        return Button.RELOAD
    if button is Button.ASK and words.tone == "good":
        return None
    return Button.RELOAD if button is Button.ASK and not asker.contact_url else button


def log_step(step: str, connection: str, **more: object) -> None:
    """Log a step of the workflow; never what a ticket, state or code was."""
    told = {name: value for name, value in more.items() if value != ""}
    fields = {"event": "consent", "step": step, **({"connection": connection} if connection else {}), **told}
    log.info("consent: %s %s", step, connection, extra={"json_fields": fields})
