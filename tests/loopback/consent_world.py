"""A small world for the consent tests: a store, topics and a token endpoint in memory, the pages under Flask."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Flask, Response, request
from flask.testing import FlaskClient

from token_refresh.adapters.pages import Pages
from token_refresh.adapters.tickets import Tickets
from token_refresh.adapters.web import handle_consent, handle_status
from token_refresh.consent_case import Cases
from token_refresh.core.connection import SecretRecord
from token_refresh.core.events import Event
from token_refresh.core.grant import Client
from token_refresh.core.outcome import Refreshed, TokenOutcome
from token_refresh.core.provider import Provider, SubjectSource
from token_refresh.core.secrecy import Secret
from token_refresh.core.status import Status, render_status
from token_refresh.deposit import Deposit
from token_refresh.errors import (
    EtagConflict,
    PublishError,
    SecretMissing,
    StoreUnavailable,
    VersionMissing,
    VersionUnusable,
)
from token_refresh.overview import Overview
from token_refresh.pace import Paces
from token_refresh.ports import AccessedVersion, VersionInfo
from token_refresh.reconsent import Reconsent
from token_refresh.redemption import Redemption
from token_refresh.settings import Settings

KEY = Secret("a-signing-key-for-tests")
NOW = 1_795_000_000.0
ISSUER = "https://provider.example"
BASE = "http://localhost"
NAME = "gmail-alice"
SECRET = f"{NAME}-refresh-token"
OWNER = "alice@example.com"
# Whatever must never be seen: it runs through every test of the workflow.
CODE = "canary-code-4711"
OLD_TOKEN = "canary-old-refresh-token"
NEW_TOKEN = "canary-new-refresh-token"
ACCESS_TOKEN = "canary-access-token"
CLIENT_SECRET = "canary-client-secret"
CANARIES = (CODE, OLD_TOKEN, NEW_TOKEN, ACCESS_TOKEN, CLIENT_SECRET, KEY.reveal())


class FakeStore:
    """Secret Manager in memory: versions, annotations and etags; `journal` lists the writes in order."""

    def __init__(self) -> None:
        self.records: dict[str, SecretRecord] = {}
        self.versions: dict[str, dict[int, bytes | None]] = {}  # None = destroyed
        self.journal: list[tuple[str, str]] = []
        self.add_failures = 0
        self.down = False
        self.before_annotate: list[Callable[[], None]] = []
        self.before_add: list[Callable[[], None]] = []

    def create(self, secret_id: str, labels: Mapping[str, str] | None = None, **annotations: str) -> None:
        notes = {f"token-refresh.{name.replace('_', '-')}": value for name, value in annotations.items()}
        self.records[secret_id] = SecretRecord(secret_id, dict(labels or {}), notes, "1")
        self.versions[secret_id] = {}

    def note(self, secret_id: str, name: str, value: str | None) -> None:
        """Write an annotation as somebody else would."""
        record = self.records[secret_id]
        notes = {**record.annotations, f"token-refresh.{name}": value}
        kept = {k: v for k, v in notes.items() if v is not None}
        self.records[secret_id] = replace(record, annotations=kept, etag=str(int(record.etag) + 1))

    def annotation(self, name: str, secret_id: str = SECRET) -> str | None:
        return self.records[secret_id].annotations.get(f"token-refresh.{name}")

    def newest(self, secret_id: str = SECRET) -> int:
        return max(self.versions[secret_id], default=0)

    def payload(self, version: int, secret_id: str = SECRET) -> Any:
        return self.versions[secret_id][version]

    # -- ports.SecretStore

    def list_connections(self) -> list[SecretRecord]:
        self._check()
        return [record for record in self.records.values() if "token-refresh" in record.labels]

    def get(self, secret_id: str) -> SecretRecord:
        self._check()
        if secret_id not in self.records:
            raise SecretMissing(secret_id)
        return self.records[secret_id]

    def access(self, secret_id: str, version: int | None = None) -> AccessedVersion:
        self.get(secret_id)
        versions = self.versions[secret_id]
        number = self.newest(secret_id) if version is None else version
        if number not in versions:
            raise VersionMissing(f"{secret_id} {number}")
        payload = versions[number]
        if payload is None:
            raise VersionUnusable(f"{secret_id} {number}")
        return AccessedVersion(number, payload)

    def add(self, secret_id: str, payload: bytes) -> int:
        self.get(secret_id)
        if self.before_add:
            self.before_add.pop(0)()
        if self.add_failures:
            self.add_failures -= 1
            raise StoreUnavailable("quota")
        number = self.newest(secret_id) + 1
        self.versions[secret_id][number] = payload
        self.journal.append(("add", secret_id))
        return number

    def destroy(self, secret_id: str, version: int) -> None:
        self.versions[secret_id][version] = None

    def annotate(self, record: SecretRecord, changes: Mapping[str, str | None]) -> SecretRecord:
        self._check()
        if self.before_annotate:
            self.before_annotate.pop(0)()
        current = self.records[record.secret_id]
        if current.etag != record.etag:
            raise EtagConflict(record.secret_id)
        notes = {k: v for k, v in {**current.annotations, **changes}.items() if v is not None}
        written = replace(current, annotations=notes, etag=str(int(current.etag) + 1))
        self.records[record.secret_id] = written
        self.journal.append(("annotate", record.secret_id))
        return written

    def list_versions(self, secret_id: str) -> list[VersionInfo]:
        self.get(secret_id)
        return [VersionInfo(n, "ENABLED") for n in sorted(self.versions[secret_id], reverse=True)]

    def created_at(self, secret_id: str, version: int) -> float:
        self.access(secret_id, version)
        return NOW - 1000

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("secret manager is down")


class FakePublisher:
    """The topics in memory."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.events: list[Event] = []
        self.requests: list[Mapping[str, object]] = []
        self.down = False
        self.requests_down = False

    def publish(self, event: Event) -> None:
        if self.down:
            raise PublishError("the topic is down")
        self.events.append(event)
        self._store.journal.append(("publish", event.type))

    def request_refresh(self, message: Mapping[str, object]) -> None:
        if self.requests_down:
            raise PublishError("the topic is down")
        self.requests.append(message)


def id_token(**claims: object) -> Secret:
    """Make an ID token as a provider would; the signature is not looked at."""

    def part(data: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    return Secret(f"{part({'alg': 'RS256'})}.{part(claims)}.c2lnbmF0dXJl")


class FakeEndpoint:
    """A provider's token endpoint that issues codes to itself: `ask` is the last authorization request."""

    def __init__(self) -> None:
        self.ask: dict[str, str] = {}
        self.redeemed: list[dict[str, Any]] = []
        self.claims: dict[str, object] = {}
        self.reply: dict[str, Any] = {}
        self.outcome: TokenOutcome | None = None
        self.userinfo: Mapping[str, object] | Exception | None = None
        self.on_redeem: Callable[[], None] | None = None

    def redeem(self, provider: Provider, client: Client, **asked: Any) -> TokenOutcome:
        self.redeemed.append({"provider": provider.name, "client": client, **asked})
        if self.on_redeem:
            self.on_redeem()
        if self.outcome is not None:
            return self.outcome
        claims = {
            "iss": ISSUER,
            "aud": client.client_id,
            "exp": NOW + 600,
            "nonce": self.ask.get("nonce"),
            "sub": "alice-1",
            "email": OWNER,
            "email_verified": True,
            **self.claims,
        }
        reply: dict[str, Any] = {
            "scope": "openid email mail.read",
            "refresh_token": Secret(NEW_TOKEN),
            "id_token": id_token(**claims),
            **self.reply,
        }
        return Refreshed(Secret(ACCESS_TOKEN), int(NOW) + 3600, **reply)

    def fetch_json(self, provider: Provider, url: str, access_token: Secret) -> Mapping[str, object] | None:
        assert provider.name
        assert access_token.reveal() == ACCESS_TOKEN
        assert url.startswith("https://")
        if isinstance(self.userinfo, Exception):
            raise self.userinfo
        return self.userinfo


def provider(name: str = "acme", **changes: Any) -> Provider:
    """Define a provider that speaks OpenID Connect and never rotates."""
    plain = Provider(
        name=name,
        token_url=f"{ISSUER}/token",
        refresh_url=f"{ISSUER}/token",
        authorization_url=f"{ISSUER}/authorize",
        issuer=ISSUER,
        authorization_params={"access_type": "offline", "prompt": "consent"},
        openid=True,
        rotates_refresh_tokens="never",
        subject=SubjectSource("id_token"),
    )
    return replace(plain, **changes)


DEAD = Status(
    state="needs_consent",
    reason="revoked_or_expired",
    since=NOW - 9000,
    version=1,
    event_id="invalid_grant-0815",
    attempts=2,
)


@dataclass
class Clock:
    now: float = NOW
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class World:
    """One connection with a dead grant, its owner's browser, and everything in between."""

    def __init__(self, **definition: Any) -> None:
        self.clock = Clock()
        self.store = FakeStore()
        self.publisher = FakePublisher(self.store)
        self.endpoint = FakeEndpoint()
        self.providers = {"acme": provider(**definition)}
        self.settings = Settings(consent_url=BASE, consent_signing_key=KEY)
        self.store.create("oauth-client-acme")
        self.store.add("oauth-client-acme", json.dumps({"client_id": "id-1", "client_secret": CLIENT_SECRET}).encode())
        labels = {"token-refresh": "enabled", "token-refresh-provider": "acme"}
        self.store.create(SECRET, labels, scopes="openid mail.read", owner=OWNER, status=render_status(DEAD))
        self.store.add(SECRET, json.dumps({"refresh_token": OLD_TOKEN, "note": "kept"}).encode())
        self.store.journal.clear()
        self.tickets = Tickets(KEY, BASE, self.settings.consent_ticket_ttl, self.clock)
        self.pages = Pages()
        self.reconsent = self.instance()
        overview = Overview(self.store, self.publisher, self.providers, self.tickets, self.settings, self.clock)
        self.app = Flask("consent")
        self.app.add_url_rule(
            "/status", view_func=lambda: handle_status(request, overview, self.pages, self.tickets, self.clock),
            endpoint="status", methods=["GET", "POST", "PUT"],
        )  # fmt: skip
        for rule in ("/", "/<path:path>"):
            self.app.add_url_rule(
                rule, view_func=lambda path="": handle_consent(request, self.reconsent, self.pages),  # noqa: ARG005
                endpoint=rule, methods=["GET", "POST", "PUT", "DELETE"], provide_automatic_options=False,
            )  # fmt: skip
        self.browser = self.new_browser()
        self.seen: list[str] = []

    def instance(self) -> Reconsent:
        """Build the workflow as another instance would have it."""
        deposit = Deposit(self.store, self.publisher, self.settings, self.clock, self.clock.sleep, lambda: "holder-1")
        return Reconsent(
            Cases(self.store, self.providers),
            Redemption(self.endpoint, self.clock),
            self.publisher,
            self.tickets,
            deposit,
            Paces(1000, self.clock, self.clock.sleep),
            self.clock,
        )

    def new_browser(self) -> FlaskClient:
        return self.app.test_client()

    def link(self, version: int = 1, connection: str = NAME) -> str:
        url = self.tickets.url(connection, version)
        assert url is not None
        return url.removeprefix(BASE)

    def open(self, link: str | None = None) -> Response:
        return self._keep(self.browser.get(link or self.link()))

    def start(self, link: str | None = None, browser: FlaskClient | None = None) -> dict[str, str]:
        """Press the button; return the authorization request's parameters."""
        response = (browser or self.browser).post(link or self.link())
        assert response.status_code == 303, response.get_data(as_text=True)
        self.endpoint.ask = dict(parse_qsl(urlsplit(response.headers["Location"]).query))
        return self.endpoint.ask

    def cookie(self, browser: FlaskClient | None = None) -> tuple[str, str]:
        """Return name and value of the browser's only cookie."""
        (cookie,) = ((browser or self.browser)._cookies or {}).values()
        return cookie.key, cookie.value

    def finish(self, browser: FlaskClient | None = None, **query: str) -> Response:
        """Come back from the provider; by default with what it would send."""
        asked = {"code": CODE, "state": self.endpoint.ask.get("state", ""), "iss": ISSUER, **query}
        response = (browser or self.browser).get("/callback", query_string={k: v for k, v in asked.items() if v})
        return self._keep(response)

    def consent(self, **query: str) -> Response:
        self.start()
        return self.finish(None, **query)

    def is_untouched(self) -> bool:
        """Tell whether grant, incident and lease are as they were, and nobody was told anything."""
        return (
            self.store.newest() == 1
            and self.store.annotation("status") == render_status(DEAD)
            and self.store.annotation("lease") is None
            and not self.publisher.events
            and not self.publisher.requests
        )

    def _keep(self, response: Any) -> Response:
        self.seen.append(response.get_data(as_text=True) + str(response.headers))
        return response  # type: ignore[no-any-return]


def title(response: Response) -> str:
    found = re.search(r"<h1>(.*?)</h1>", response.get_data(as_text=True), re.DOTALL)
    return re.sub(r"<[^>]*>", "", found[1]).strip() if found else ""
