"""What the story rests on: it waits for facts, and stops when one is not as told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
from google.pubsub_v1.types import PubsubMessage

from infra.local.mail import Mail
from infra.local.stack import EVENTS_SUBSCRIPTION, Stack

PATIENCE = 30  # s
LONGEST_ANSWER = 120  # s: a run's
Fact = TypeVar("Fact")


class UnexpectedError(RuntimeError):
    """The story did not come out as told."""


class Events:
    """The events that the stack has published so far."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._pulled: list[PubsubMessage] = []

    def wait_for(self, wanted: Callable[[PubsubMessage], bool], count: int) -> list[PubsubMessage]:
        """Collect events until `count` are as wanted, for at most 30 s; answers those."""
        end = time.monotonic() + PATIENCE
        while sum(map(wanted, self._pulled)) < count and time.monotonic() < end:
            self._pulled += self._stack.pubsub.pull(EVENTS_SUBSCRIPTION)
        found = [event for event in self._pulled if wanted(event)]
        expect(len(found) == count, f"{len(found)} of {count} events arrived")
        return found


def find_mail(stack: Stack, owner: str, connection: str) -> tuple[Mail, str]:
    """Find the owner's mail with the consent link of a connection; answers both."""
    mark = f"/consent/{connection}?"

    def look() -> tuple[Mail, str] | None:
        mails = [mail for mail in stack.mail.mails() if owner in mail.recipients]
        links = [(mail, word) for mail in mails for word in mail.text.split() if mark in word]
        return links[0] if links else None

    return expect(eventually(look), f"no mail with a link for {connection} reached {owner}")


def ask(url: str, *, headers: Mapping[str, str] | None = None, body: object = None) -> dict[str, Any]:
    """GET a JSON object, or POST a JSON body for one; raises UnexpectedError for another status than 200."""
    with requests.Session() as session:
        # Loopback needs no proxy.
        session.trust_env = False
        method = "GET" if body is None else "POST"
        answer = session.request(method, url, headers=headers, json=body, timeout=LONGEST_ANSWER)
        expect(answer.status_code == requests.codes.ok, f"{url} answers {answer.status_code}")
        document: dict[str, Any] = answer.json()
        return document


def eventually(look: Callable[[], Fact | None]) -> Fact | None:
    """Look until there is something, for at most 30 s."""
    end = time.monotonic() + PATIENCE
    while (found := look()) is None and time.monotonic() < end:
        time.sleep(0.1)
    return found


def expect(fact: Fact | None, otherwise: str) -> Fact:
    """Stop the story when it is not as told: a fact that is false or missing."""
    if not fact:
        raise UnexpectedError(otherwise)
    return fact
