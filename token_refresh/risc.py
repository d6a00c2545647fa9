"""The receiver of security event tokens (RFC 8935): what is signed, meant for us and new becomes a refresh request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from token_refresh.core.signals import SecurityEvents, parse_set, read_events
from token_refresh.core.units import DAY, MINUTE
from token_refresh.instance.recent import RecentKeys
from token_refresh.ports import Publisher, SetVerifier
from token_refresh.settings import Settings

log = logging.getLogger(__name__)

# An unknown key is looked up at once, for issuers rotate; but a flood of made-up ones is no reason to ask each time.
KEY_LOOKUPS: Final = (10, MINUTE)


class SecurityEventReceiver:
    """Receives tokens; threads may share it."""

    def __init__(
        self, verifier: SetVerifier, publisher: Publisher, settings: Settings, clock: Callable[[], float]
    ) -> None:
        self._verifier = verifier
        self._publisher = publisher
        self._settings = settings
        self._seen = RecentKeys(DAY, clock)

    def receive(self, body: bytes) -> None:
        """Check a token and ask for the refresh of whatever it is about.

        Raises `SetError` for one that is refused, `KeysUnavailable` and `PublishError` for what the transmitter should
        send again.
        """
        claims = self._verifier.verify(parse_set(body))
        events = read_events(claims, self._settings.risc_issuer, self._settings.risc_audiences)
        if not events.signals:
            _log(events, "acknowledged")
        elif not self._seen.add(events.jti):
            _log(events, "seen before")
        else:
            self._request_refresh(events)

    def _request_refresh(self, events: SecurityEvents) -> None:
        try:
            self._publisher.request_refresh({"signals": [signal.as_json() for signal in events.signals]})
        except BaseException:
            self._seen.forget(events.jti)  # it will be sent again, and must not count as seen
            raise
        _log(events, "published")


def _log(events: SecurityEvents, outcome: str) -> None:
    # Neither account nor token: who it was stands in the report of the run.
    log.info(
        "security event %s: %s",
        ", ".join(events.names),
        outcome,
        extra={"json_fields": {"event": "risc", "outcome": outcome.replace(" ", "_"), "events": list(events.names)}},
    )
