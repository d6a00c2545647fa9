"""What has become of a consent that has just ended: the first access token, or trouble on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from token_refresh.consent.request import Case, Cases
from token_refresh.core.connection import access_token_secret
from token_refresh.core.consent.account import Account
from token_refresh.core.consent.session import Receipt
from token_refresh.core.status import State, status_of
from token_refresh.errors import SecretMissing, StoreError
from token_refresh.ports import SecretStore
from token_refresh.words import load_words

# Seconds before the page looks again by itself; after the last one it says how to go on without it.
_DELAYS: Final = (2, 2, 3, 3, 4, 5, 8, 10, 10, 13)
_LONGEST_TITLE: Final = 80
_STATUS_EVERY: Final = 3  # looks: two at the access token, then one at the status


@dataclass(frozen=True, slots=True)
class Progress:
    """Look at what followed a consent: one read of metadata a look, never a token. Threads may share it."""

    store: SecretStore
    cases: Cases
    clock: Callable[[], float]

    def begin(self, case: Case, account: Account) -> Receipt:
        """Begin a receipt with what is there before the new grant, so that a later look can tell what is new."""
        connection = case.connection
        return Receipt(
            connection.name,
            case.ticket.consents,
            version=0,
            account=account.name,
            tokens=self._newest_token(connection.access_token_secret_id),
            paused=connection.paused,
            title=(connection.title or "")[:_LONGEST_TITLE],
            provider=case.provider.shown_name,
        )

    def look(self, receipt: Receipt, look: int) -> dict[str, object]:
        """Return what the page says; raises `Refused` and `StoreError` where the connection is gone or unreadable."""
        state, why = "saved", ""
        if receipt.paused:
            state = "paused"
        elif receipt.tokens >= 0 and look % _STATUS_EVERY == _STATUS_EVERY - 1:
            why = self._trouble(receipt)
            state = "trouble" if why else "saved"
        elif receipt.tokens >= 0 and self._newest_token(access_token_secret(receipt.connection)) > receipt.tokens:
            state = "connected"
        goes_on = receipt.tokens >= 0 and state in ("saved", "trouble") and look < len(_DELAYS)
        return {
            **_facts(receipt),
            "state": state,
            "why": why,
            "looked_at": self.clock(),
            "next_look": look + 1 if goes_on else None,
            "delay": _DELAYS[look] if goes_on else 0,
        }

    def already(self, receipt: Receipt) -> dict[str, object]:
        """Return what the page says of a consent whose answer comes a second time; looks at nothing."""
        return {**_facts(receipt), "state": "already", "why": "", "looked_at": None, "next_look": None, "delay": 0}

    def _newest_token(self, secret_id: str) -> int:
        """Return the number of the newest access token, 0 for none, -1 when it cannot be told."""
        try:
            return max((version.number for version in self.store.list_versions(secret_id)), default=0)
        except SecretMissing:
            return 0
        except StoreError:
            return -1

    def _trouble(self, receipt: Receipt) -> str:
        status = status_of(self.cases.find(receipt.connection))
        if status is None or status.state == State.HEALTHY:
            return ""
        return load_words().for_owner(status.reason, receipt.provider)


def _facts(receipt: Receipt) -> dict[str, object]:
    return {
        "title": receipt.title or receipt.connection,
        "account": receipt.account,
        "provider": receipt.provider,
    }
