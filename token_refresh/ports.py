"""What the use cases need from the outside, as Protocols; adapters and the tests' fakes fulfil them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from token_refresh.core.connection import SecretRecord
from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.incident.events import Event
from token_refresh.core.provider.definition import Provider
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import TokenOutcome
from token_refresh.core.token_endpoint.revocation import Revocation
from token_refresh.core.token_request import TokenRequest

if TYPE_CHECKING:  # for one function each: a cold start of the others does without
    from token_refresh.core.consent.session import Cookie, Receipt, Session, Ticket
    from token_refresh.core.incident.message import Message


@dataclass(frozen=True, slots=True)
class AccessedVersion:
    """One version of a secret, read whole and with its checksum verified."""

    number: int
    payload: bytes = field(repr=False)


class VersionState(StrEnum):
    """The states of a version, by Secret Manager's names."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DESTROYED = "DESTROYED"


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A version's number and state, without its payload."""

    number: int
    state: VersionState
    created_at: float = 0  # epoch seconds; 0 = not known


class SecretStore(Protocol):
    """Secret Manager, the only store. Every method raises `StoreUnavailable` when it cannot be reached."""

    def list_connections(self) -> list[SecretRecord]:
        """List the secrets that carry the label, eventually consistent."""

    def get(self, secret_id: str) -> SecretRecord:
        """Fetch one secret's metadata; raises `SecretMissing`."""

    def access(self, secret_id: str, version: int | None = None) -> AccessedVersion:
        """Read a version by number, or `latest` (which may be stale).

        Raises `SecretMissing`, `VersionMissing`, `VersionUnusable`.
        """

    def read_latest(self, secret_id: str) -> bytes | None:
        """Read `latest` by one access and nothing else; None when there is no version, or no such secret.

        Raises `VersionUnusable`.
        """

    def add(self, secret_id: str, payload: bytes) -> int:
        """Add a version and return its number; a retry inside may leave a stray version. Raises `SecretMissing`."""

    def destroy(self, secret_id: str, version: int) -> None:
        """Destroy a version; one that is gone already is fine."""

    def annotate(self, record: SecretRecord, changes: Mapping[str, str | None]) -> SecretRecord:
        """Replace or (None) remove annotations, provided that the secret still has `record`'s etag.

        Returns the secret as written. Raises `EtagConflict`, `SecretMissing`.
        """

    def list_versions(self, secret_id: str) -> list[VersionInfo]:
        """List versions, newest first, without payloads; eventually consistent. Raises `SecretMissing`."""

    def created_at(self, secret_id: str, version: int) -> float:
        """Return when a version was created, epoch seconds. Raises `SecretMissing`, `VersionMissing`."""


class CallerStore(Protocol):
    """Secret Manager as the callers of `token` see it."""

    def read(self, secret_id: str, caller: Secret) -> bytes:
        """Read the newest version of a secret with the caller's own access token.

        Raises `CallerNotAccepted`, `CallerNotAllowed`, `StoreUnavailable`.
        """


class Publisher(Protocol):
    """The topics."""

    def publish(self, event: Event) -> None:
        """Publish an event and wait until the topic has it; raises `PublishError`."""

    def request_refresh(self, message: Mapping[str, object]) -> None:
        """Ask for a refresh run by a message on the refresh topic; raises `PublishError`."""


class TokenEndpoint(Protocol):
    """The token endpoint."""

    def check(self, request: TokenRequest) -> None:
        """Find whatever can be found wrong before anything is sent; raises `Misconfigured`."""

    def refresh(self, request: TokenRequest) -> TokenOutcome:
        """Exchange the grant once; raises `Misconfigured` and nothing else."""


class CodeEndpoint(Protocol):
    """The token endpoint, as far as a new grant needs it."""

    def redeem(
        self, request: TokenRequest, *, code: Secret, code_verifier: Secret | None, redirect_uri: str
    ) -> TokenOutcome:
        """Exchange an authorization code; raises `Misconfigured`."""

    def fetch_json(self, provider: Provider, url: str, access_token: Secret) -> Mapping[str, object] | None:
        """GET a JSON object as the owner; raises `TransportError`."""


class Revoker(Protocol):
    """The revocation endpoint (RFC 7009)."""

    def check(self, request: TokenRequest) -> RefreshTokenGrant:
        """Return the grant as one that can be revoked; nothing is sent. Raises `Misconfigured`."""

    def revoke(self, request: TokenRequest, *, access_token: Secret | None) -> Revocation:
        """Revoke a grant, and the access token made from it; raises `Misconfigured` and nothing else."""


class HttpTransport(Protocol):
    """HTTP to providers: one send per call, no redirect followed."""

    def send(self, request: HttpRequest) -> HttpReply:
        """Send a request once. Raises `NotSent` (nothing left this machine) or `ReplyLost` (it may have)."""


class Signer(Protocol):
    """Signatures with a private key in PEM form. Every method raises `ValueError` for a key it cannot use."""

    def sign(self, private_key: Secret, claims: Mapping[str, object], *, key_id: str | None = None) -> Secret:
        """Return a signed JWT (RFC 7519): RS256 for an RSA key, ES256 or ES384 for an EC key."""

    def sign_proof(self, private_key: Secret, claims: Mapping[str, object]) -> Secret:
        """Return a DPoP proof (RFC 9449, section 4.2), which carries the public key."""

    def check(self, private_key: Secret) -> None:
        """Raise `ValueError` when the key cannot be used."""


class SetVerifier(Protocol):
    """The issuer's public keys."""

    def verify(self, token: str) -> Mapping[str, object]:
        """Return the claims of a security event token whose signature holds; raises `SetError`, `KeysUnavailable`."""


class ConsentLinks(Protocol):
    """The links that lead an owner to the re-consent workflow."""

    def url(self, connection: str, consents: int) -> str | None:
        """Return a link with a fresh ticket, good until there has been one more consent; None without `consent`."""


class ConsentTickets(Protocol):
    """Links, sessions and receipts, signed."""

    @property
    def base_url(self) -> str:
        """Return the public base URL of these pages."""

    @property
    def redirect_uri(self) -> str:
        """Return the redirect URI that is registered at the provider."""

    def read(self, text: str) -> Ticket:
        """Read a ticket; raises `TicketError`."""

    def begin(self, ticket: Ticket) -> Session:
        """Begin a consent in one browser."""

    def resume(self, state: str, cookies: Mapping[str, str]) -> Session:
        """Find the session in this browser's cookies; raises `TicketError`."""

    def end(self, session: Session) -> Cookie:
        """Make the cookie that replaces a session's once its answer has come."""

    def again(self, state: str, cookies: Mapping[str, str]) -> Ticket:
        """Return the ticket of a session that has ended in this browser; raises `TicketError`."""

    def give_receipt(self, session: Session, receipt: Receipt) -> Cookie:
        """Make the cookie that replaces a session's once its grant is stored."""

    def receipt(self, state: str, cookies: Mapping[str, str]) -> Receipt | None:
        """Return this browser's receipt for a state."""

    def receipts(self, connection: str, cookies: Mapping[str, str]) -> list[Receipt]:
        """Return this browser's receipts for a connection, newest first."""

    def superfluous(self, cookies: Mapping[str, str]) -> list[str]:
        """Return the names of older cookies of ours that must go."""


class ActionTokens(Protocol):
    """Tokens that let a status page that we served ask for something."""

    def action(self, connection: str) -> str:
        """Make a token that allows one connection's "refresh now"."""

    def allows(self, token: str, connection: str) -> bool:
        """Tell whether a token is ours, fresh and for this connection."""


class Messenger(Protocol):
    """Sends one message by one Apprise URL."""

    def send(self, url: Secret, message: Message, owner: str | None = None) -> None:
        """Send it; with `owner`, ``{owner}`` in the URL stands for exactly that address.

        Raises `Undeliverable`, and `OwnerUnreachable` when the URL would write to another address, or to more.
        """
