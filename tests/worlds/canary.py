"""Secrets that must show up nowhere: learn them as they come into being, then scan whatever was written."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterable
from typing import Final

# Field names whose values are secret in every document that passes through Secret Manager or a token endpoint.
_SECRET_FIELDS: Final = ("access_token", "refresh_token", "client_secret", "id_token", "private_key")
_SHORTEST: Final = 8


class Canary:
    """Known secrets, and the search for them in every spelling in which they might leak."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: dict[str, str] = {}  # spelling -> the beginning of the secret
        self.scanned = 0
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Learn one secret; words too short to be told from others are ignored."""
        if len(secret) < _SHORTEST:
            return
        for spelling in (
            secret,
            urllib.parse.quote(secret, safe=""),
            urllib.parse.quote_plus(secret),
            json.dumps(secret)[1:-1],
            base64.b64encode(secret.encode()).decode().rstrip("="),
        ):
            self._spellings[spelling] = f"{secret[:4]}... ({len(secret)} characters)"

    def learn_payload(self, payload: bytes) -> None:
        """Learn what a secret's payload holds: a bare token, or the secret fields of a JSON document."""
        text = payload.decode()
        if not text.startswith("{"):
            self.learn(text)
            return
        document = json.loads(text)
        for name in _SECRET_FIELDS:
            if isinstance(document.get(name), str):
                self.learn(document[name])

    @property
    def known(self) -> int:
        """Tell how many spellings are looked for: a scan for nothing proves nothing."""
        return len(self._spellings)

    def scan(self, where: str, text: str) -> None:
        """Raise AssertionError, naming place and beginning of the secret, when `text` holds one."""
        self.scanned += 1
        for spelling, secret in self._spellings.items():
            assert spelling not in text, f"{where} shows the secret {secret}"
