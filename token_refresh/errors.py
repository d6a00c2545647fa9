"""What may break on our side. Messages carry names, never payloads: the framework logs and returns them.

TokenRefreshError
├── BadRequest            the caller's message is malformed; names the fault                        400
├── UnknownConnection     a named connection does not exist                                         404
├── BadEnvironment        settings or providers file cannot be used; lists every problem            500
├── Misconfigured         a connection, its payload, client or provider cannot be used; names the fix
│   └── PayloadError          what a secret holds is no grant, or no client (`core/grant.py`)
├── StoreError            Secret Manager did not do it
│   ├── SecretMissing         no such secret
│   ├── VersionMissing        the secret exists, the version does not
│   ├── VersionUnusable       the version is disabled or destroyed
│   ├── SecretExists          the command was to create a secret, and there is one
│   ├── EtagConflict          somebody else wrote first: read again, decide again
│   ├── CallerNotAccepted     `token`: Secret Manager does not accept the caller's own token
│   ├── CallerNotAllowed      `token`: the caller may not read the secret, or there is nothing to read
│   ├── StoreDenied           a permission is missing, which the message names: grant it
│   ├── StoreRefused          the request itself is refused, and will be again
│   └── StoreUnavailable      outage: try again later                                               503
│       ├── QuotaExceeded         the project's quota is used up: slow down
│       └── Contended             the metadata keeps changing, or is read too late to be written
├── Unfinished            a named version was not acted on: the message is delivered again          503
├── Busy                  another holder has the lease
│   ├── NotNow                the attempt is left for the next run
│   └── Paused                its label says so by now, whatever the list said
├── Superseded            a newer grant was stored meanwhile: the reply to the one before it is dropped
├── PublishError          the topic did not take the event: owed, published by a later run
├── KeysUnavailable       an issuer's public keys cannot be read: send the token again                503
├── Undeliverable         a message did not leave: the event is delivered again
│   └── OwnerUnreachable      this owner cannot be written to, now or later: the operators are told
└── TransportError        HTTP to a provider
    ├── NotSent               the connection could not be opened: nothing was spent
    └── ReplyLost             sent, but no complete answer: it may have happened

Outside the tree, because nothing of ours has broken: `Refused` is an answer to a browser, `Stop` is one to a shell. The
others are `ValueError`s, which say what is wrong with a text of somebody else's. What follows from it, whoever reads
the text decides: a bad environment, a refusal, a status, an exit code. They are `ProviderTableError`, `DiscoveryError`,
`ArgumentError`, `UnreachableError`, `SetError`, `CallbackError`, `TicketError`, `IdTokenError` and `WrongAccountError`.
"""

from __future__ import annotations


class TokenRefreshError(Exception):
    """Any exception of the tree."""


class BadRequest(TokenRefreshError):
    """The caller's message is malformed."""


class UnknownConnection(TokenRefreshError):
    """A named connection does not exist."""


class BadEnvironment(TokenRefreshError):
    """The environment is wrong; the message lists every problem."""


class Misconfigured(TokenRefreshError):
    """A connection, its payload, its client or its provider cannot be used; the message names fault and fix."""


class StoreError(TokenRefreshError):
    """Secret Manager did not do what was asked."""


class SecretMissing(StoreError):
    """There is no such secret."""


class VersionMissing(StoreError):
    """The secret exists and has no such version."""


class VersionUnusable(StoreError):
    """The version is disabled or destroyed."""


class SecretExists(StoreError):
    """There is a secret of that name already."""


class EtagConflict(StoreError):
    """The secret changed since it was read."""


class CallerNotAccepted(StoreError):
    """Secret Manager does not accept the token of the caller of `token`."""


class CallerNotAllowed(StoreError):
    """The caller of `token` may not read the secret, or there is nothing to read."""


class StoreDenied(StoreError):
    """A permission is missing, or there is no such secret: without the permission Secret Manager does not say."""


class StoreRefused(StoreError):
    """Secret Manager refuses the request itself: a precondition, an argument, a limit."""


class StoreUnavailable(StoreError):
    """Secret Manager cannot be reached, or is out of quota."""


class QuotaExceeded(StoreUnavailable):
    """The project's quota of Secret Manager calls is used up for this minute."""


class Contended(StoreUnavailable):
    """Other writers were always faster, or what is read is older than what they wrote."""


class Unfinished(TokenRefreshError):
    """A run was asked for by a new version and has not acted on it."""


class Busy(TokenRefreshError):
    """Another holder has the connection's lease."""


class NotNow(Busy):
    """The attempt is left for the next run; `reason` is the one that the report shows."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Paused(Busy):
    """The connection was paused after it was listed: its grant may be in another project by now."""


class Superseded(TokenRefreshError):
    """A newer grant was stored meanwhile: the reply is of no use any more."""


class PublishError(TokenRefreshError):
    """The event was not taken by the topic."""


class Undeliverable(TokenRefreshError):
    """A message did not leave. Names services, never URLs or addresses."""


class OwnerUnreachable(Undeliverable):
    """A message would not reach exactly the owner, however often it is tried."""


class KeysUnavailable(TokenRefreshError):
    """An issuer's public keys cannot be read; carries the name of the setting, never a body."""


class TransportError(TokenRefreshError):
    """A request to a provider failed below HTTP; carries the host, never URL or body."""


class NotSent(TransportError):
    """No connection could be opened: the provider saw nothing."""


class ReplyLost(TransportError):
    """The request was (or may have been) sent and no complete reply came."""
